#include "sources/fault.h"

#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Mapping, touching and unmapping, for each page; 0 if there is no memory. */
static double cost_of_pages(int flags)
{
    enum { PAGES = 1024 }; /* more than lies in most caches of a core */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    double start = now_ns();
    char *bytes = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return 0;
    for (size_t i = 0; i < PAGES; i++)
        ((volatile char *)bytes)[i * page] = 1;
    munmap(bytes, PAGES * page);
    return (now_ns() - start) / PAGES;
}

/* Shared memory costs about twice as much; of what kind a program's faults are is not known. */
double tally_fault_cost(void)
{
    return (cost_of_pages(MAP_PRIVATE) + cost_of_pages(MAP_SHARED)) / 2;
}
