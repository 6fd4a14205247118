#include "base/file.h"

#include "base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opened without waiting for somebody to write into it. */
static FILE *open_regular(const char *path)
{
    struct stat status = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fdopen(fd, "r");
    close(fd);
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    return NULL;
}

char *tally_read_file(const char *path, size_t *size)
{
    struct tally_buffer content = {0};
    char part[65536];
    size_t got;
    FILE *in = open_regular(path);
    if (!in)
        return NULL;
    tally_buffer_append(&content, "", 0);
    while ((got = fread(part, 1, sizeof(part), in)) > 0)
        tally_buffer_append(&content, part, got);
    int failed = ferror(in);
    fclose(in);
    if (failed)
        tally_buffer_release(&content);
    *size = content.size;
    return content.data;
}

char *tally_file_beside_command(const char *const *places, size_t count, const char *name)
{
    char own[PATH_MAX], *found = NULL;
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (size < 0)
        return NULL;
    own[size] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < count && !found; i++) {
        struct tally_buffer path = {0};
        tally_buffer_printf(&path, "%s/%s/%s", own, places[i], name);
        found = realpath(path.data, NULL);
        tally_buffer_release(&path);
    }
    return found;
}
