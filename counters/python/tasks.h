/*
 * asyncio's tasks in another process: which ones wait in a thread's event loop, where each of them
 * does, and who awaits whom.
 *
 * From 3.14 CPython keeps the tasks of a thread in a list and publishes where things are in a task,
 * in section .AsyncioDebug of what asyncio is compiled into. Before that the tasks are in weak sets
 * of Python's, and nobody keeps who awaits whom: nothing is read there.
 *
 * What is read may be torn, for the process runs on: each address is read with a guard, each task
 * must say that it is one and of the loop that was asked for, and who asks finds out whether the
 * thread ran meanwhile. Code objects are checked by who takes the frames.
 */
#ifndef TALLY_PYTHON_TASKS_H
#define TALLY_PYTHON_TASKS_H

#include "python/walk.h"

#include <sys/types.h>

/* As in the section, word by word. Offsets in bytes. */
struct py_task_offsets {
    uint64_t task_size, task_name, task_awaited_by, task_is_task, task_by_several, task_coroutine,
        task_node;
    uint64_t interpreter_size, interpreter_tasks;
    uint64_t thread_size, thread_loop, thread_task, thread_tasks;
};

enum { PY_TYPES_KNOWN = 32 };

struct py_tasks {
    const struct py_layout *layout;
    struct py_memory *memory; /* borrowed */
    struct py_task_offsets offsets;
    uint64_t type_name, type_flags, set_table, set_mask;
    uint64_t coroutine_size, coroutine_frame, coroutine_state, frame_stack;
    uint8_t first_state, await_depth;
    struct py_known_type { /* a cache */
        uint64_t address;
        int kind;
    } types[PY_TYPES_KNOWN];
};

/*
 * Whether the offsets are known: of the interpreter of `layout` whose _PyRuntime is at `runtime`,
 * in process `pid`, whose memory is `memory`. Then *out can be used with the functions below.
 */
bool py_tasks_find(struct py_tasks *out, pid_t pid, const struct py_layout *layout,
                   struct py_memory *memory, uint64_t runtime);

/* As above, with the offsets given: whether they make sense together. */
bool py_tasks_init(struct py_tasks *out, const struct py_layout *layout, struct py_memory *memory,
                   uint64_t runtime, const struct py_task_offsets *offsets);

/* Address of the event loop that runs in a thread while none of its tasks does; 0: there is none.
 */
uint64_t py_tasks_idle_loop(const struct py_tasks *tasks, uint64_t tstate);

struct py_task {
    uint64_t address, coroutine;
    uint64_t awaited_by; /* a task or future, or a set of them; 0: nobody awaits it */
    bool by_several;     /* a set of them */
};

/* Whether the object at `address` is a task of this loop that is not done. */
bool py_task_read(const struct py_tasks *tasks, uint64_t address, uint64_t loop,
                  struct py_task *out);

/*
 * Tasks of the thread that belong to the loop, at most `room`: all of them if *is_all. *cursor is
 * where the listing begins and, afterwards, where the next one goes on; 0 at first. The list is a
 * circle, so that several listings see all tasks alike.
 */
size_t py_tasks_list(const struct py_tasks *tasks, uint64_t tstate, uint64_t loop, uint64_t *cursor,
                     struct py_task *out, size_t room, bool *is_all);

/* What the innermost coroutine of a task awaits. */
struct py_awaited {
    enum { PY_AWAITED_OTHER, PY_AWAITED_TASK, PY_AWAITED_GATHER } kind;
    uint64_t future; /* its address; 0: not known */
};

/*
 * The frames of a suspended coroutine and of those that it awaits, innermost first. Returns how
 * many; 0 if there are more than `room`, or none could be read.
 */
size_t py_task_frames(struct py_tasks *tasks, uint64_t coroutine, struct py_frame *frames,
                      size_t room, struct py_awaited *awaited);

/* Addresses of tasks that may await the task, at most `room`. */
size_t py_task_awaiters(const struct py_tasks *tasks, const struct py_task *task, uint64_t *out,
                        size_t room);

#endif
