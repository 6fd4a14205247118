#include "agent/agent.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static char *start;
static size_t size;
static atomic_size_t used;
static uint64_t own_start, own_end;

enum { ARENA_LARGEST_MB = 2048, ARENA_SMALLEST_MB = 16 };

/* A program under a limit of address space (ulimit -v) keeps nearly all of it. */
static size_t wanted_size(void)
{
    size_t wanted = (size_t)ARENA_LARGEST_MB << 20;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        while (wanted > limit.rlim_cur / 16 && wanted > (size_t)ARENA_SMALLEST_MB << 20)
            wanted /= 2;
    return wanted;
}

bool arena_reserve(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    for (size = wanted_size(); size >= (size_t)ARENA_SMALLEST_MB << 20; size /= 2) {
        start = mmap(NULL, size, PROT_NONE, flags, -1, 0);
        if (start != MAP_FAILED)
            break;
        start = NULL;
    }
    link_own_range(&own_start, &own_end);
    return start != NULL;
}

void arena_reset(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(start, size, PROT_NONE, flags, -1, 0) == MAP_FAILED)
        start = NULL;
    used = 0;
}

void *arena_alloc(size_t bytes)
{
    bytes = (bytes + 4095) & ~(size_t)4095;
    size_t offset = atomic_fetch_add(&used, bytes);
    if (!start || offset > size || bytes > size - offset) {
        atomic_fetch_sub(&used, bytes); /* less may still fit */
        return NULL;
    }
    if (mprotect(start + offset, bytes, PROT_READ | PROT_WRITE) < 0)
        return NULL;
    return start + offset;
}

bool arena_owns(uint64_t address)
{
    return address - (uint64_t)(uintptr_t)start < size || address - own_start < own_end - own_start;
}
