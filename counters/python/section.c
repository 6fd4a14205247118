#include "python/section.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MOST = 64 };

static bool read_at(int fd, uint64_t offset, void *out, size_t size)
{
    return offset <= INT64_MAX && pread(fd, out, size, (off_t)offset) == (ssize_t)size;
}

static bool is_header(const Elf64_Ehdr *header)
{
    return !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_shentsize == sizeof(Elf64_Shdr) && header->e_shstrndx < header->e_shnum;
}

static bool read_from(int fd, const char *name, void *out, size_t size)
{
    Elf64_Ehdr header;
    Elf64_Shdr names, section;
    char found[NAME_MOST];
    size_t length = strlen(name) + 1;
    if (!read_at(fd, 0, &header, sizeof(header)) || !is_header(&header) || length > NAME_MOST ||
        !read_at(fd, header.e_shoff + header.e_shstrndx * sizeof(names), &names, sizeof(names)))
        return false;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        if (!read_at(fd, header.e_shoff + i * sizeof(section), &section, sizeof(section)))
            return false;
        if (section.sh_type == SHT_PROGBITS && section.sh_size == size &&
            read_at(fd, names.sh_offset + section.sh_name, found, length) &&
            !memcmp(found, name, length))
            return read_at(fd, section.sh_offset, out, size);
    }
    return false;
}

static bool read_from_file(const char *path, const char *name, void *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && read_from(fd, name, out, size);
    if (fd >= 0)
        close(fd);
    return is_read;
}

bool py_section_read(pid_t pid, const char *library, const char *name, void *out, size_t size)
{
    char line[PATH_MAX + 128], path[PATH_MAX + 32], last[PATH_MAX + 32] = "";
    bool is_read = false;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (read_from_file(path, name, out, size))
        return true;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && !is_read && fgets(line, sizeof(line), maps)) {
        const char *file = strchr(line, '/'), *base = strrchr(line, '/');
        line[strcspn(line, "\n")] = '\0';
        if (!file || !strstr(base, library))
            continue;
        /* Its paths are as the process sees them. */
        snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, file);
        if (!strcmp(path, last))
            continue;
        memcpy(last, path, sizeof(last));
        is_read = read_from_file(path, name, out, size);
    }
    if (maps)
        fclose(maps);
    return is_read;
}
