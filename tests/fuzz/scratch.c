#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/fuzz-XXXXXX";
static int descriptor = -1;

static void clean(void)
{
    DIR *list = fdopendir(descriptor);
    for (struct dirent *entry = list ? readdir(list) : NULL; entry; entry = readdir(list))
        if (entry->d_name[0] != '.')
            unlinkat(descriptor, entry->d_name, 0);
    rmdir(folder);
    if (list)
        closedir(list);
}

const char *scratch_file(const char *name, const void *bytes, size_t size)
{
    if (descriptor < 0) {
        if (!mkdtemp(folder) || (descriptor = open(folder, O_RDONLY | O_DIRECTORY)) < 0)
            abort();
        atexit(clean);
    }
    int fd = openat(descriptor, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size))
        abort();
    close(fd);
    return folder;
}
