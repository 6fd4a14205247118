#include "sources/simulated_program.h"

#include "base/error.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As the tallystack that is running, with which its tool was built. */
static int own_machine(void)
{
#if defined(__x86_64__)
    return EM_X86_64;
#elif defined(__aarch64__)
    return EM_AARCH64;
#else
    return EM_NONE;
#endif
}

/* The beginning of the file, which ends with a NUL; returns its size. */
static size_t read_start(const char *path, char *bytes, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, bytes, room - 1) : 0;
    if (fd >= 0)
        close(fd);
    if (size < 0)
        size = 0;
    bytes[size] = '\0';
    return (size_t)size;
}

static bool is_elf(const char *bytes, size_t size)
{
    return size >= SELFMAG && !memcmp(bytes, ELFMAG, SELFMAG);
}

static bool is_foreign(const Elf64_Ehdr *header)
{
    return header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != own_machine();
}

/* The dynamic linker that the program asks for; NULL: none. `bytes` holds the file's beginning. */
static const char *elf_interpreter(const Elf64_Ehdr *header, const char *bytes, size_t size)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr part;
        uint64_t at = header->e_phoff + (uint64_t)i * sizeof(part);
        if (at > size || size - at < sizeof(part))
            return NULL;
        memcpy(&part, bytes + at, sizeof(part));
        if (part.p_type == PT_INTERP && part.p_offset < size)
            return bytes + part.p_offset;
    }
    return NULL;
}

static int check_interpreter(const char *path, const char *interpreter)
{
    if (access(interpreter, X_OK) == 0)
        return 0;
    return tally_error_code(TALLY_NOT_FOUND,
                            "cannot run \"%s\": \"%s\", which it names as its "
                            "interpreter, cannot be run.",
                            path, interpreter);
}

static int check_elf(const char *path, const char *bytes, size_t size)
{
    Elf64_Ehdr header = {0};
    memcpy(&header, bytes, size < sizeof(header) ? size : sizeof(header));
    if (is_foreign(&header))
        return tally_error("valgrind cannot run \"%s\", which is a program for another processor; "
                           "take one built for this one in 64 bits.",
                           path);
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return tally_error("cannot run \"%s\", which is no program but a part of one.", path);
    const char *interpreter = elf_interpreter(&header, bytes, size);
    return interpreter ? check_interpreter(path, interpreter) : 0;
}

/* "#!INTERPRETER ..." */
static int check_script(const char *path, char *bytes)
{
    char *name = bytes + 2 + strspn(bytes + 2, " \t");
    name[strcspn(name, " \t\r\n")] = '\0';
    return check_interpreter(path, name);
}

int tally_simulated_check_program(const char *path)
{
    char bytes[4096];
    struct stat status;
    if (stat(path, &status) == 0 && status.st_mode & (S_ISUID | S_ISGID))
        return tally_error("valgrind cannot run \"%s\", which is set-user-ID or set-group-ID; a "
                           "copy of it is not.",
                           path);
    if (access(path, R_OK) != 0)
        return tally_error("valgrind cannot run \"%s\", which may not be read; allow that.", path);
    size_t size = read_start(path, bytes, sizeof(bytes));
    if (is_elf(bytes, size))
        return check_elf(path, bytes, size);
    if (size > 2 && !memcmp(bytes, "#!", 2))
        return check_script(path, bytes);
    /* A shell runs other text; what has a NUL is none. */
    if (memchr(bytes, '\0', size))
        return tally_error("cannot run \"%s\", which is neither a program nor a script.", path);
    return 0;
}
