#include "agent/agent.h"

#include <sys/mman.h>

/*
 * Blocks are mapped as they are needed: what is only reserved counts for a limit of address space,
 * too, which a program may set for itself. Each is a quarter of all before it, so that there are
 * few to look through. Pages get their rights as they are taken: the rest is not yet committed, and
 * no huge page is made of it.
 */
struct block { /* its own first page */
    struct block *older;
    size_t size, total; /* of this one; and with all that are older */
    atomic_size_t used;
};

enum { PAGE = 4096, FIRST_BLOCK = 4 << 20 };
static const size_t most = (size_t)2048 << 20;

static _Atomic(struct block *) newest;
static uint64_t own_start, own_end;

static struct block *map_block(struct block *older, size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t total = older ? older->total : 0, size = total / 4 & ~(size_t)(PAGE - 1);
    if (size < FIRST_BLOCK)
        size = FIRST_BLOCK;
    if (size < bytes + PAGE)
        size = bytes + PAGE;
    if (size > most - total)
        return NULL;
    struct block *block = mmap(NULL, size, PROT_NONE, flags, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    if (mprotect(block, PAGE, PROT_READ | PROT_WRITE) < 0) {
        munmap(block, size);
        return NULL;
    }
    block->older = older;
    block->size = size;
    block->total = total + size;
    block->used = PAGE;
    return block;
}

/* A thread, or a signal to this one, that was faster has added a block that is as good. */
static bool add_block(struct block *older, size_t bytes)
{
    struct block *block = map_block(older, bytes);
    if (block && !atomic_compare_exchange_strong(&newest, &older, block))
        munmap(block, block->size);
    return block != NULL;
}

bool arena_init(void)
{
    link_own_range(&own_start, &own_end);
    return atomic_load(&newest) || add_block(NULL, 0);
}

void arena_reset(void)
{
    struct block *block = atomic_exchange(&newest, NULL);
    while (block) {
        struct block *older = block->older;
        munmap(block, block->size);
        block = older;
    }
}

static char *take(struct block *block, size_t bytes)
{
    size_t offset = atomic_load(&block->used);
    do
        if (bytes > block->size - offset)
            return NULL;
    while (!atomic_compare_exchange_weak(&block->used, &offset, offset + bytes));
    return (char *)block + offset;
}

void *arena_alloc(size_t bytes)
{
    if (bytes > most)
        return NULL;
    bytes = (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
    for (;;) {
        struct block *block = atomic_load(&newest);
        char *taken = block ? take(block, bytes) : NULL;
        if (taken)
            return mprotect(taken, bytes, PROT_READ | PROT_WRITE) == 0 ? taken : NULL;
        if (!add_block(block, bytes))
            return NULL;
    }
}

bool arena_owns(uint64_t address)
{
    for (struct block *block = atomic_load(&newest); block; block = block->older)
        if (address - (uint64_t)(uintptr_t)block < block->size)
            return true;
    return address - own_start < own_end - own_start;
}
