#include "python/remote.h"

#include "python/words.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

static const unsigned char *block_at(struct py_remote *remote, uint64_t block)
{
    struct py_remote_cache *cache = remote->cache;
    size_t at = block % PY_REMOTE_BLOCKS;
    if (cache->numbers[at] == block + 1)
        return cache->bytes[at];
    struct iovec local = {cache->bytes[at], PY_REMOTE_BLOCK};
    struct iovec other = {(void *)(uintptr_t)(block * PY_REMOTE_BLOCK), PY_REMOTE_BLOCK};
    cache->numbers[at] = 0;
    if (process_vm_readv(remote->pid, &local, 1, &other, 1, 0) != PY_REMOTE_BLOCK) {
        remote->error = errno;
        return NULL;
    }
    cache->numbers[at] = block + 1;
    return cache->bytes[at];
}

static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    struct py_remote *remote = (struct py_remote *)memory;
    uint64_t block = address / PY_REMOTE_BLOCK;
    size_t offset = address % PY_REMOTE_BLOCK;
    const unsigned char *bytes = block_at(remote, block);
    if (!bytes || offset + size <= PY_REMOTE_BLOCK)
        return bytes ? bytes + offset : NULL;
    size_t first = PY_REMOTE_BLOCK - offset;
    memcpy(remote->cache->joined, bytes + offset, first);
    bytes = block_at(remote, block + 1);
    if (!bytes)
        return NULL;
    memcpy(remote->cache->joined + first, bytes, size - first);
    return remote->cache->joined;
}

void py_remote_init(struct py_remote *remote, pid_t pid, struct py_remote_cache *cache)
{
    remote->memory.view = view;
    remote->pid = pid;
    remote->error = 0;
    remote->cache = cache;
    py_remote_forget(remote);
}

void py_remote_forget(struct py_remote *remote)
{
    memset(remote->cache->numbers, 0, sizeof(remote->cache->numbers));
}

uint64_t py_thread_native_id(const struct py_layout *layout, struct py_memory *memory,
                             uint64_t tstate)
{
    uint64_t id;
    return py_read_word(memory, tstate + layout->tstate_native_id, &id) ? id : 0;
}

struct lists {
    uint64_t interpreters, next, threads; /* offsets: in the runtime, and in an interpreter */
};

/* From 3.13 on the runtime begins with a table of offsets, which differ between builds. */
static bool find_lists(const struct py_layout *layout, struct py_memory *memory, uint64_t runtime,
                       struct lists *out)
{
    enum { RUNTIME_INTERPRETERS = 5, INTERPRETER_NEXT = 8, INTERPRETER_THREADS = 9 }; /* words */
    const uint64_t size = sizeof(uint64_t);
    *out = (struct lists){layout->runtime_interpreters, layout->interpreter_next,
                          layout->interpreter_threads};
    if (!layout->debug_code)
        return true;
    return py_read_word(memory, runtime + size * RUNTIME_INTERPRETERS, &out->interpreters) &&
           py_read_word(memory, runtime + size * INTERPRETER_NEXT, &out->next) &&
           py_read_word(memory, runtime + size * INTERPRETER_THREADS, &out->threads);
}

bool py_has_subinterpreters(const struct py_layout *layout, struct py_memory *memory,
                            uint64_t runtime)
{
    struct lists lists;
    uint64_t newest, next;
    return find_lists(layout, memory, runtime, &lists) &&
           py_read_word(memory, runtime + lists.interpreters, &newest) && newest &&
           py_read_word(memory, newest + lists.next, &next) && next;
}

size_t py_thread_states(const struct py_layout *layout, struct py_memory *memory, uint64_t runtime,
                        struct py_thread_state *out, size_t room)
{
    enum { MOST_INTERPRETERS = 256 };
    struct lists lists;
    uint64_t interpreter = 0, tstate;
    size_t count = 0;
    if (!find_lists(layout, memory, runtime, &lists))
        return 0;
    py_read_word(memory, runtime + lists.interpreters, &interpreter);
    for (int i = 0; interpreter && i < MOST_INTERPRETERS; i++) {
        if (!py_read_word(memory, interpreter + lists.threads, &tstate))
            break;
        while (tstate && count < room) {
            out[count].address = tstate;
            out[count].native_id = py_thread_native_id(layout, memory, tstate);
            count++;
            if (!py_read_word(memory, tstate + layout->tstate_next, &tstate))
                break;
        }
        if (!py_read_word(memory, interpreter + lists.next, &interpreter))
            break;
    }
    return count;
}

uint64_t py_gil_holder(struct py_memory *memory, uint64_t waited_at, int way)
{
    /* pthread_cond_t's __g_signals, two words; before and since glibc 2.41. */
    static const uint64_t signals[PY_CONDITIONS] = {40, 32};
    enum { GIL_COND = 32, GIL_LAST_HOLDER = 8, GIL_LOCKED = 16 };
    uint64_t gil = (waited_at & ~UINT64_C(7)) - signals[way] - GIL_COND, holder, locked;
    if (!py_read_word(memory, gil + GIL_LAST_HOLDER, &holder) ||
        !py_read_word(memory, gil + GIL_LOCKED, &locked) || (uint32_t)locked != 1)
        return 0;
    return holder;
}
