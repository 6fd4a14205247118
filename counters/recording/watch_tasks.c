#include "recording/watch_tasks.h"

#include "base/buffer.h"
#include "python/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 64, FILE_MOST = 1024, CODES_KNOWN = 64, AWAITERS = 8, CHAIN_MOST = 64 };

/* What a code object is to the division. */
enum role {
    ROLE_NONE = 0,
    ROLE_LOOP = 1,   /* asyncio's own loop */
    ROLE_HANDLE = 2, /* it calls back: what is inside is no wait of the loop */
    ROLE_RUNNER = 4, /* runs a loop, maybe another's */
    ROLE_WAITER = 8, /* waits for tasks only */
};

struct tally_watched_tasks {
    bool is_known; /* whether the interpreter tells of tasks */
    struct py_tasks python;
    struct known_code { /* a cache */
        uint64_t code, qualname;
        enum role role;
    } codes[CODES_KNOWN];
    uint64_t random;
    uint64_t loop; /* that is looked at */
    size_t listed_count;
    bool is_all; /* whether all of its tasks are listed */
    struct py_task listed[TALLY_TASKS_LISTED];
};

static struct tally_watched_tasks *tasks_of(struct tally_watched_python *python)
{
    if (python->tasks)
        return python->tasks;
    struct tally_watched_tasks *tasks = tally_alloc_zeroed(1, sizeof(*tasks));
    tasks->random = (uint64_t)python->remote.pid * UINT64_C(0x9e3779b97f4a7c15) | 1;
    tasks->is_known = py_tasks_find(&tasks->python, python->remote.pid, python->layout,
                                    &python->remote.memory, python->header->runtime);
    python->tasks = tasks;
    return tasks;
}

void tally_watched_tasks_free(struct tally_watched_tasks *tasks)
{
    free(tasks);
}

/* Roles */

static enum role role_by_name(const struct py_layout *layout, struct py_memory *memory,
                              const struct py_code *code)
{
    static const struct {
        const char *name;
        enum role role;
    } known[] = {{"BaseEventLoop._run_once", ROLE_LOOP},
                 {"Handle._run", ROLE_HANDLE},
                 {"Runner.run", ROLE_RUNNER},
                 {"TaskGroup._aexit", ROLE_WAITER},
                 {"TaskGroup.__aexit__", ROLE_WAITER},
                 {"_wait", ROLE_WAITER},
                 {"_cancel_and_wait", ROLE_WAITER},
                 {"_AsCompletedIterator._wait_for_one", ROLE_WAITER}};
    char name[NAME_MOST], file[FILE_MOST];
    name[py_string_read(layout, memory, code->qualname, name, sizeof(name) - 1)] = '\0';
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(name, known[i].name)) {
            file[py_string_read(layout, memory, code->filename, file, sizeof(file) - 1)] = '\0';
            return strstr(file, "asyncio/") ? known[i].role : ROLE_NONE;
        }
    return ROLE_NONE;
}

static enum role role_of(struct tally_watched_python *python, const struct py_frame *frame)
{
    struct known_code *known = &python->tasks->codes[frame->code / 64 % CODES_KNOWN];
    struct py_memory *memory = &python->remote.memory;
    struct py_code code;
    const void *object = memory->view(memory, frame->code, python->layout->code_start);
    if (!object)
        return ROLE_NONE;
    py_code_read(python->layout, object, &code);
    if (known->code != frame->code || known->qualname != code.qualname)
        *known = (struct known_code){frame->code, code.qualname,
                                     role_by_name(python->layout, memory, &code)};
    return known->role;
}

/* The roles of the innermost frames. */
static unsigned roles_of(struct tally_watched_python *python, const struct py_frame *frames,
                         size_t count)
{
    enum { INNERMOST = 3 };
    unsigned roles = 0;
    for (size_t i = 0; i < count && i < INNERMOST; i++)
        roles |= role_of(python, &frames[i]);
    return roles;
}

/* Paths */

static bool still_waits(const struct tally_eye *eye, uint64_t slices)
{
    struct tally_times times;
    return tally_look_times(eye, &times) && times.slices == slices;
}

/* Whether one of the tasks that are listed is awaited by the one at `address`. */
static bool has_awaited(struct tally_watched_tasks *tasks, uint64_t address)
{
    uint64_t awaiters[AWAITERS];
    for (size_t i = 0; i < tasks->listed_count; i++) {
        const struct py_task *task = &tasks->listed[i];
        if (task->awaited_by == address)
            return true;
        size_t count =
            task->by_several ? py_task_awaiters(&tasks->python, task, awaiters, AWAITERS) : 0;
        for (size_t k = 0; k < count; k++)
            if (awaiters[k] == address)
                return true;
    }
    return false;
}

/*
 * Whether a task waits for other tasks alone: what it awaits says so, or is the future of a
 * function that waits for tasks. Those have futures of their own and may wait for other things than
 * tasks; then none of the tasks is awaited by this one.
 */
static bool is_passive(struct tally_watched_python *python, const struct py_task *task,
                       const struct py_frame *frames, size_t count,
                       const struct py_awaited *awaited)
{
    if (awaited->kind == PY_AWAITED_TASK)
        return true;
    if (awaited->kind != PY_AWAITED_GATHER && !(roles_of(python, frames, count) & ROLE_WAITER))
        return false;
    return !python->tasks->is_all || has_awaited(python->tasks, task->address);
}

/* Puts the frames of a task that awaits `task` behind `count` of them; false: none does. */
static bool add_awaiter(struct tally_watched_python *python, struct py_task *task, size_t *count)
{
    struct tally_watched_tasks *tasks = python->tasks;
    uint64_t awaiters[AWAITERS];
    size_t several = py_task_awaiters(&tasks->python, task, awaiters, AWAITERS);
    for (size_t i = 0; i < several; i++) {
        struct py_task awaiter;
        struct py_awaited awaited;
        struct py_frame *frames = python->frames + *count;
        if (!py_task_read(&tasks->python, awaiters[i], tasks->loop, &awaiter))
            continue;
        size_t added = py_task_frames(&tasks->python, awaiter.coroutine, frames,
                                      TALLY_WATCHED_FRAMES - *count, &awaited);
        bool awaits = awaited.kind == PY_AWAITED_TASK
                          ? awaited.future == task->address
                          : awaited.kind == PY_AWAITED_GATHER ||
                                roles_of(python, frames, added) & ROLE_WAITER;
        if (!added || !awaits)
            continue;
        *count += added;
        *task = awaiter;
        return true;
    }
    return false;
}

/* Node of where a task waits; 0 if it is passive. */
static uint32_t node_of(struct tally_watched_python *python, struct tally_waits *waits,
                        struct py_task task, uint32_t root)
{
    struct tally_waits_interpreter interpreter = {python->layout, &python->remote.memory,
                                                  python->header->code_type};
    struct py_awaited awaited;
    size_t count = py_task_frames(&python->tasks->python, task.coroutine, python->frames,
                                  TALLY_WATCHED_FRAMES, &awaited);
    if (count && is_passive(python, &task, python->frames, count, &awaited))
        return 0;
    for (int i = 0; count && i < CHAIN_MOST && add_awaiter(python, &task, &count); i++)
        ;
    uint32_t node = tally_waits_node(waits, &interpreter, python->frames, count, root);
    return node == TALLY_NODE_LOST ? root : node;
}

/* Divisions */

static uint64_t random_below(struct tally_watched_tasks *tasks, size_t bound)
{
    tasks->random ^= tasks->random << 13; /* Marsaglia's xorshift */
    tasks->random ^= tasks->random >> 7;
    tasks->random ^= tasks->random << 17;
    return tasks->random % bound;
}

static void add_part(struct tally_division *division, uint32_t node)
{
    size_t at = 0;
    while (at < division->count && division->parts[at].node != node)
        at++;
    if (at == division->count)
        division->parts[division->count++] = (struct tally_part){.node = node};
    division->parts[at].taken++;
    division->taken++;
}

/* Draws tasks without putting them back, until there are enough that wait themselves. */
static void take_tasks(struct tally_watched_python *python, struct tally_waits *waits,
                       const struct tally_eye *eye, uint64_t slices, uint32_t root,
                       struct tally_division *out)
{
    enum { AT_ONCE = 8, PASSIVE_MOST = 4 * TALLY_TASKS_TAKEN };
    struct tally_watched_tasks *tasks = python->tasks;
    struct tally_division sure = *out;
    size_t seen = 0, sure_seen = 0, count = tasks->listed_count;
    while (seen < count && out->taken < TALLY_TASKS_TAKEN && seen - out->taken < PASSIVE_MOST) {
        size_t drawn = seen + random_below(tasks, count - seen);
        struct py_task task = tasks->listed[drawn];
        tasks->listed[drawn] = tasks->listed[seen];
        tasks->listed[seen++] = task;
        uint32_t node = node_of(python, waits, task, root);
        if (node)
            add_part(out, node);
        if (seen % AT_ONCE && seen < count && out->taken < TALLY_TASKS_TAKEN)
            continue;
        if (!still_waits(eye, slices))
            break;
        sure = *out;
        sure_seen = seen;
    }
    *out = sure;
    out->is_estimated = sure_seen < count || !tasks->is_all;
    out->tasks = sure_seen ? (uint32_t)(count * out->taken / sure_seen) : 0;
}

/* Whether asyncio's own loop called what the thread is in, which waits for itself. */
static bool calls_back(struct tally_watched_python *python)
{
    for (size_t i = 0; i < python->depth; i++)
        if (role_of(python, &python->frames[i]) & ROLE_HANDLE)
            return true;
    return false;
}

enum tally_tasks_gap tally_watched_tasks_divide(struct tally_watched_python *python,
                                                struct tally_waits *waits,
                                                const struct tally_eye *eye, uint64_t slices,
                                                uint64_t tstate, uint32_t root,
                                                struct tally_division *out)
{
    *out = (struct tally_division){.cursor = out->cursor};
    if (!python->layout || !waits || !python->depth || !tstate)
        return TALLY_TASKS_TOLD;
    struct tally_watched_tasks *tasks = tasks_of(python);
    unsigned inner = role_of(python, &python->frames[0]);
    unsigned outer = python->depth > 1 ? role_of(python, &python->frames[1]) : ROLE_NONE;
    bool is_own = !(inner & ROLE_HANDLE) && ((inner | outer) & ROLE_LOOP);
    if (!tasks->is_known)
        return is_own ? TALLY_TASKS_UNTOLD : TALLY_TASKS_TOLD;
    tasks->loop = py_tasks_idle_loop(&tasks->python, tstate);
    if (!tasks->loop || inner & ROLE_HANDLE)
        return TALLY_TASKS_TOLD;
    if (!is_own && !(inner & ROLE_RUNNER))
        return calls_back(python) ? TALLY_TASKS_TOLD : TALLY_TASKS_FOREIGN;
    tasks->listed_count = py_tasks_list(&tasks->python, tstate, tasks->loop, &out->cursor,
                                        tasks->listed, TALLY_TASKS_LISTED, &tasks->is_all);
    if (!still_waits(eye, slices))
        return TALLY_TASKS_TOLD;
    take_tasks(python, waits, eye, slices, root, out);
    return tasks->is_all ? TALLY_TASKS_TOLD : TALLY_TASKS_MANY;
}

void tally_division_put(const struct tally_division *division, const struct tally_wait *wait,
                        struct tally_waits *waits)
{
    uint64_t all = division->taken, taken = 0, done_ns = 0;
    for (size_t i = 0; i < division->count; i++) {
        const struct tally_part *part = &division->parts[i];
        taken += part->taken;
        uint64_t end_ns = wait->duration_ns / all * taken + wait->duration_ns % all * taken / all;
        struct tally_await record = {.wait = *wait,
                                     .tasks =
                                         (uint32_t)(division->tasks * (uint64_t)part->taken / all),
                                     .taken = (uint16_t)part->taken,
                                     .is_estimated = division->is_estimated,
                                     .goes_on = i > 0};
        record.wait.type = TALLY_RECORD_AWAIT;
        record.wait.node = part->node;
        record.wait.begin_ns = wait->begin_ns + done_ns;
        record.wait.duration_ns = end_ns - done_ns;
        tally_waits_put(waits, &record, sizeof(record));
        done_ns = end_ns;
    }
}

void tally_tasks_gap_tell(enum tally_tasks_gap gap, pid_t pid, char *text, size_t size)
{
    static const char *const reasons[TALLY_TASKS_GAPS] = {
        [TALLY_TASKS_UNTOLD] = "its interpreter does not tell (CPython does from 3.14 on)",
        [TALLY_TASKS_FOREIGN] = "the loop is not asyncio's own"};
    if (gap == TALLY_TASKS_MANY)
        snprintf(
            text, size,
            "process %d had more than %d tasks in an event loop: each look knew of so many, in "
            "turn, and they stand for all.",
            (int)pid, TALLY_TASKS_LISTED);
    else if (gap != TALLY_TASKS_TOLD)
        snprintf(text, size,
                 "which coroutines an event loop of process %d waited for is not known: %s; such "
                 "waits are the loop's.",
                 (int)pid, reasons[gap]);
}
