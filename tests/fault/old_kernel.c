/* Preloaded, it makes the kernel say that it is the release named in OLD_KERNEL, such as 5.15.0. */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

int uname(struct utsname *name)
{
    const char *release = getenv("OLD_KERNEL");
    int result = (int)syscall(SYS_uname, name);
    if (result == 0 && release)
        strncpy(name->release, release, sizeof(name->release) - 1);
    return result;
}
