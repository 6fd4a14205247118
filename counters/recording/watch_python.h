/*
 * The watcher's view of an interpreter in another process: where in Python a thread is, and who
 * holds the GIL. It reads memory and stops nobody; what it reads may be of two moments, which the
 * watcher finds out.
 */
#ifndef TALLY_RECORDING_WATCH_PYTHON_H
#define TALLY_RECORDING_WATCH_PYTHON_H

#include "python/remote.h"
#include "recording/format.h"
#include "recording/waits.h"

#include <sys/types.h>

enum { TALLY_WATCHED_FRAMES = 4096 }; /* of a call path, at most */

struct tally_watched_python {
    const struct tally_image_header *header; /* borrowed */
    const struct py_layout *layout;          /* NULL: no interpreter yet */
    struct py_remote remote;
    struct py_frame *frames; /* borrowed room for TALLY_WATCHED_FRAMES */
    size_t depth;            /* of the path that was walked last, which is in `frames` */
    struct py_thread_state *states;
    size_t state_count;
    uint64_t states_ns; /* when they were listed */
    bool has_subinterpreters;
    uint64_t counted_ns;               /* when that was read */
    struct tally_watched_tasks *tasks; /* NULL: no event loop was seen */
};

void tally_watched_python_init(struct tally_watched_python *python, pid_t pid,
                               const struct tally_image_header *header, struct py_frame *frames,
                               struct py_remote_cache *cache);
void tally_watched_python_release(struct tally_watched_python *python);

/* Looks whether there is an interpreter by now. */
void tally_watched_python_find(struct tally_watched_python *python);

/*
 * Node of the call path of thread `tid`, as its own process numbers it. *tstate is where its thread
 * state was found, 0 at first. `waits` may be NULL: nothing can be written then.
 */
uint32_t tally_watched_python_path(struct tally_watched_python *python, struct tally_waits *waits,
                                   uint32_t tid, uint64_t *tstate, uint64_t now);

/* Node of the function that holds the GIL which is waited for at an address; 0 if not known. */
uint32_t tally_watched_python_holder(struct tally_watched_python *python, struct tally_waits *waits,
                                     uint64_t waited_at, uint64_t now);

#endif
