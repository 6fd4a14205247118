/*
 * Preloaded into the recorder: /proc/PID/task/TID/syscall may not be read, as in containers whose
 * profile or kernel hides it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

int openat(int directory, const char *path, int flags, ...)
{
    static int (*next)(int, const char *, int, ...);
    const char *last = strrchr(path, '/');
    va_list more;
    if (last && !strcmp(last, "/syscall")) {
        errno = EACCES;
        return -1;
    }
    if (!next)
        next = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    va_start(more, flags);
    int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;
    va_end(more);
    return next(directory, path, flags, mode);
}
