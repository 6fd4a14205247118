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

static bool is_foreign(const char *path)
{
    Elf64_Ehdr header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, &header, sizeof(header)) : 0;
    if (fd >= 0)
        close(fd);
    if (size < (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    return header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != own_machine();
}

int tally_simulated_check_program(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && status.st_mode & (S_ISUID | S_ISGID))
        return tally_error("valgrind cannot run \"%s\", which is set-user-ID or set-group-ID; a "
                           "copy of it is not.",
                           path);
    if (access(path, R_OK) != 0)
        return tally_error("valgrind cannot run \"%s\", which may not be read; allow that.", path);
    if (is_foreign(path))
        return tally_error("valgrind cannot run \"%s\", which is a program for another processor; "
                           "take one built for this one in 64 bits.",
                           path);
    return 0;
}
