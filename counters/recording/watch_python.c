#include "recording/watch_python.h"

#include "base/buffer.h"
#include "recording/watch_tasks.h"

#include <stdlib.h>

enum {
    STATES_EVERY_NS = 5000000, /* a round of the watcher */
    STATES_MOST = 8192,
};

void tally_watched_python_init(struct tally_watched_python *python, pid_t pid,
                               const struct tally_image_header *header, struct py_frame *frames,
                               struct py_remote_cache *cache)
{
    *python = (struct tally_watched_python){.header = header, .frames = frames};
    py_remote_init(&python->remote, pid, cache);
}

void tally_watched_python_release(struct tally_watched_python *python)
{
    free(python->states);
    tally_watched_tasks_free(python->tasks);
}

void tally_watched_python_find(struct tally_watched_python *python)
{
    char reason[PY_REASON_SIZE];
    uint64_t runtime = __atomic_load_n(&python->header->runtime, __ATOMIC_ACQUIRE);
    if (!python->layout && runtime)
        python->layout = py_layout_find(python->header->python, NULL, 0, reason);
}

static void list_states(struct tally_watched_python *python, uint64_t now)
{
    if (python->states && now - python->states_ns < STATES_EVERY_NS)
        return;
    if (!python->states)
        python->states = tally_alloc_zeroed(STATES_MOST, sizeof(*python->states));
    python->states_ns = now;
    python->state_count = py_thread_states(python->layout, &python->remote.memory,
                                           python->header->runtime, python->states, STATES_MOST);
}

static uint64_t find_state(struct tally_watched_python *python, uint32_t tid, uint64_t *tstate,
                           uint64_t now)
{
    struct py_memory *memory = &python->remote.memory;
    if (*tstate && py_thread_native_id(python->layout, memory, *tstate) == tid)
        return *tstate;
    *tstate = 0;
    list_states(python, now);
    for (size_t i = 0; i < python->state_count && !*tstate; i++)
        if (python->states[i].native_id == tid)
            *tstate = python->states[i].address;
    return *tstate;
}

static bool is_state(struct tally_watched_python *python, uint64_t address, uint64_t now)
{
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < python->state_count; i++)
            if (python->states[i].address == address)
                return true;
        list_states(python, now);
    }
    return false;
}

static uint32_t node_of_state(struct tally_watched_python *python, struct tally_waits *waits,
                              uint64_t tstate, size_t room)
{
    struct tally_waits_interpreter interpreter = {python->layout, &python->remote.memory,
                                                  python->header->code_type};
    python->depth = 0;
    if (!waits)
        return TALLY_NODE_LOST;
    enum py_walk_end end =
        py_walk(python->layout, interpreter.memory, tstate, python->frames, room, &python->depth);
    if (end == PY_WALK_UNREADABLE)
        return TALLY_NODE_LOST;
    if (!python->depth)
        return TALLY_NODE_NATIVE;
    uint32_t root = end == PY_WALK_TRUNCATED && room > 1 ? TALLY_NODE_TRUNCATED : 0;
    return tally_waits_node(waits, &interpreter, python->frames, python->depth, root);
}

static bool has_subinterpreters(struct tally_watched_python *python, uint64_t now)
{
    if (now - python->counted_ns >= STATES_EVERY_NS) {
        python->counted_ns = now;
        python->has_subinterpreters =
            py_has_subinterpreters(python->layout, &python->remote.memory, python->header->runtime);
    }
    return python->has_subinterpreters;
}

/*
 * A thread has a state in each interpreter that it ran in. Newer interpreters are listed first, and
 * are run by functions of older ones: in the first that is not idle, the thread went furthest.
 */
static uint32_t node_of_newest(struct tally_watched_python *python, struct tally_waits *waits,
                               uint32_t tid, uint64_t *tstate, uint64_t now)
{
    uint32_t node = TALLY_NODE_NATIVE;
    *tstate = 0;
    list_states(python, now);
    for (size_t i = 0; i < python->state_count && node == TALLY_NODE_NATIVE; i++)
        if (python->states[i].native_id == tid) {
            *tstate = python->states[i].address;
            node = node_of_state(python, waits, *tstate, TALLY_WATCHED_FRAMES);
        }
    return node;
}

uint32_t tally_watched_python_path(struct tally_watched_python *python, struct tally_waits *waits,
                                   uint32_t tid, uint64_t *tstate, uint64_t now)
{
    if (!python->layout)
        return TALLY_NODE_NATIVE;
    if (has_subinterpreters(python, now))
        return node_of_newest(python, waits, tid, tstate, now);
    uint64_t found = find_state(python, tid, tstate, now);
    return found ? node_of_state(python, waits, found, TALLY_WATCHED_FRAMES) : TALLY_NODE_NATIVE;
}

uint32_t tally_watched_python_holder(struct tally_watched_python *python, struct tally_waits *waits,
                                     uint64_t waited_at, uint64_t now)
{
    if (!python->layout)
        return 0;
    for (int way = 0; way < PY_CONDITIONS; way++) {
        uint64_t holder = py_gil_holder(&python->remote.memory, waited_at, way);
        if (!holder || !is_state(python, holder, now))
            continue;
        uint32_t node = node_of_state(python, waits, holder, 1);
        return node < TALLY_NODE_FIRST ? 0 : node;
    }
    return 0;
}
