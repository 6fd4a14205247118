/*
 * The interpreter of another process, read from outside by process_vm_readv: which thread states
 * it has. The process runs on meanwhile, so what is read may be torn; every address that is found
 * is read with a guard, and what is found is checked by who asks.
 */
#ifndef TALLY_PYTHON_REMOTE_H
#define TALLY_PYTHON_REMOTE_H

#include "python/walk.h"

#include <sys/types.h>

enum { PY_REMOTE_BLOCK = 4096, PY_REMOTE_BLOCKS = 128 };

/* Blocks of memory, kept until py_remote_forget(). Several processes may share one in turn. */
struct py_remote_cache {
    uint64_t numbers[PY_REMOTE_BLOCKS]; /* block number + 1; 0: none */
    unsigned char bytes[PY_REMOTE_BLOCKS][PY_REMOTE_BLOCK];
    unsigned char joined[PY_VIEW_MAX]; /* what lies in two blocks */
};

struct py_remote {
    struct py_memory memory;
    pid_t pid;
    int error;                     /* errno of the last block that could not be read */
    struct py_remote_cache *cache; /* borrowed */
};

void py_remote_init(struct py_remote *remote, pid_t pid, struct py_remote_cache *cache);

/* To be called when the process has run on, or the cache was another's. */
void py_remote_forget(struct py_remote *remote);

struct py_thread_state {
    uint64_t address;
    uint64_t native_id; /* TID in the process's own PID namespace */
};

/* Whether the runtime at `runtime` has more than one interpreter. */
bool py_has_subinterpreters(const struct py_layout *layout, struct py_memory *memory,
                            uint64_t runtime);

/* Thread states of all its interpreters, the newest interpreter's first, at most `room`. */
size_t py_thread_states(const struct py_layout *layout, struct py_memory *memory, uint64_t runtime,
                        struct py_thread_state *out, size_t room);

/* TID of the thread whose state is at `tstate`; 0 if it cannot be read. */
uint64_t py_thread_native_id(const struct py_layout *layout, struct py_memory *memory,
                             uint64_t tstate);

/*
 * The thread state that held the GIL last, given the address that a thread waits at for it: the
 * condition variable of a _gil_runtime_state, which starts with
 *     unsigned long interval; PyThreadState *last_holder; int locked; unsigned long switch_number;
 * in 3.11 to 3.15. Where in the variable a thread waits differs between versions of glibc: `way`,
 * below PY_CONDITIONS, chooses one. 0 if the GIL is not held or cannot be read; that the result is
 * a thread state must be checked, and tells that the way was right.
 */
enum { PY_CONDITIONS = 2 };
uint64_t py_gil_holder(struct py_memory *memory, uint64_t waited_at, int way);

#endif
