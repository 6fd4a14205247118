/*
 * The watcher's view of asyncio: which coroutines a thread waits for that waits in its event loop.
 *
 * All tasks of a loop that is idle wait, and the thread waits for any of them. So the time of a
 * look is divided among the tasks that wait for something themselves, in equal parts. A task that
 * awaits nothing but other tasks (await, gather, TaskGroup, wait, as_completed) has no part of its
 * own: it is on the call path of those. Where a task waits is its innermost coroutine; the call
 * path is that of the loop, then the coroutines of the tasks that await, outermost first. Of
 * several tasks that await the same one, one is on the path.
 *
 * Tasks of classes that are written in Python alone are not seen.
 *
 * What is read is bounded: of many tasks some are taken at random and stand for all, which the
 * division says of itself.
 */
#ifndef TALLY_RECORDING_WATCH_TASKS_H
#define TALLY_RECORDING_WATCH_TASKS_H

#include "recording/look.h"
#include "recording/waits.h"
#include "recording/watch_python.h"

enum {
    TALLY_TASKS_LISTED = 1024, /* tasks of a loop that one look knows of, at most */
    TALLY_TASKS_TAKEN = 32,    /* of which so many are divided among, at most */
};

/* Why waits are the loop's alone. */
enum tally_tasks_gap {
    TALLY_TASKS_TOLD = 0,
    TALLY_TASKS_UNTOLD,  /* the interpreter does not tell */
    TALLY_TASKS_FOREIGN, /* the loop is not asyncio's own */
    TALLY_TASKS_MANY,    /* there were more than are listed at one look */
    TALLY_TASKS_GAPS,
};

/* How a thread's wait in its event loop is divided; all 0: it is not. */
struct tally_division {
    uint64_t cursor; /* where in the list of tasks the next look begins */
    uint32_t tasks;  /* that waited */
    uint32_t taken;  /* of these */
    bool is_estimated;
    size_t count;
    struct tally_part {
        uint32_t node, taken; /* tasks that waited there */
    } parts[TALLY_TASKS_TAKEN];
};

struct tally_watched_tasks;

/* NULL is nothing to be freed. */
void tally_watched_tasks_free(struct tally_watched_tasks *tasks);

/*
 * Divides the wait of a thread that waits for descriptors, whose state is at `tstate`, whose call
 * path is `root` and was the last that tally_watched_python_path() walked. `slices` is what its
 * times said before: what is read after it ran again is left out. Returns why it is not divided, or
 * not as it should be.
 */
enum tally_tasks_gap tally_watched_tasks_divide(struct tally_watched_python *python,
                                                struct tally_waits *waits,
                                                const struct tally_eye *eye, uint64_t slices,
                                                uint64_t tstate, uint32_t root,
                                                struct tally_division *out);

/* Writes a wait by the parts of its division, whose times sum to the wait's. */
void tally_division_put(const struct tally_division *division, const struct tally_wait *wait,
                        struct tally_waits *waits);

/* The sentence for a gap, empty for none. */
void tally_tasks_gap_tell(enum tally_tasks_gap gap, pid_t pid, char *text, size_t size);

#endif
