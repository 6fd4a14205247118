#include "python/tasks.h"

#include "python/section.h"
#include "python/words.h"

#include <string.h>

/* The first field behind the head of futures (its loop), their iterators and wrappers. */
enum { FIRST_FIELD = 16, OBJECT_TYPE = 8, SET_ENTRY = 16 };

/* Where groups of _Py_DebugOffsets start, in words, and what is no offset. */
static const struct version {
    uint32_t version;
    uint8_t frame, type, set, coroutine; /* each begins with the size of the whole */
    uint8_t first_state;                 /* FRAME_CREATED; SUSPENDED, SUSPENDED_YIELD_FROM follow */
    uint8_t await_depth;                 /* what is awaited is that deep in the frame's stack */
} versions[] = {
    {0x030e, 31, 52, 62, 83, (uint8_t)-3, 1},
    {0x030f, 39, 60, 74, 99, 0, 2},
};
enum { INTERPRETER_SIZE = 6, STATE_SUSPENDED = 1, STATE_AWAITS = 2 };

/* Offsets */

static bool is_within(uint64_t offset, uint64_t size)
{
    return offset % sizeof(uint64_t) == 0 && offset >= FIRST_FIELD && size >= sizeof(uint64_t) &&
           offset <= size - sizeof(uint64_t);
}

static bool offsets_agree(const struct py_task_offsets *offsets, uint64_t interpreter_size,
                          uint64_t thread_size)
{
    enum { THREAD_MOST = 1 << 20 };
    uint64_t size = offsets->task_size;
    return size <= PY_VIEW_MAX && is_within(offsets->task_awaited_by, size) &&
           is_within(offsets->task_coroutine, size) && is_within(offsets->task_node, size - 8) &&
           offsets->task_is_task < size && offsets->task_by_several < size &&
           offsets->interpreter_size == interpreter_size && offsets->thread_size > thread_size &&
           offsets->thread_size < THREAD_MOST &&
           is_within(offsets->thread_loop, offsets->thread_size) &&
           is_within(offsets->thread_task, offsets->thread_size) &&
           is_within(offsets->thread_tasks, offsets->thread_size - 8);
}

bool py_tasks_init(struct py_tasks *out, const struct py_layout *layout, struct py_memory *memory,
                   uint64_t runtime, const struct py_task_offsets *offsets)
{
    const struct version *version = NULL;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (versions[i].version == layout->version)
            version = &versions[i];
    if (!version)
        return false;
    *out = (struct py_tasks){.layout = layout,
                             .memory = memory,
                             .offsets = *offsets,
                             .first_state = version->first_state,
                             .await_depth = version->await_depth};
    uint64_t interpreter_size, thread_size, frame_size, set_size, type_size;
    const struct {
        unsigned word;
        uint64_t *value;
    } read[] = {{INTERPRETER_SIZE, &interpreter_size},
                {layout->debug_tstate, &thread_size},
                {version->frame, &frame_size},
                {version->frame + 6u, &out->frame_stack},
                {version->type, &type_size},
                {version->type + 1u, &out->type_name},
                {version->type + 3u, &out->type_flags},
                {version->set, &set_size},
                {version->set + 2u, &out->set_table},
                {version->set + 3u, &out->set_mask},
                {version->coroutine, &out->coroutine_size},
                {version->coroutine + 2u, &out->coroutine_frame},
                {version->coroutine + 3u, &out->coroutine_state}};
    for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++)
        if (!py_read_word(memory, runtime + read[i].word * sizeof(uint64_t), read[i].value))
            return false;
    return offsets_agree(offsets, interpreter_size, thread_size) &&
           is_within(out->frame_stack, frame_size) && is_within(out->type_name, type_size) &&
           is_within(out->type_flags, type_size) && is_within(out->set_table, set_size) &&
           is_within(out->set_mask, set_size) && out->coroutine_size <= PY_VIEW_MAX &&
           is_within(out->coroutine_frame, out->coroutine_size) &&
           out->coroutine_frame + layout->frame_size <= out->coroutine_size &&
           out->frame_stack + sizeof(uint64_t) <= layout->frame_size &&
           out->coroutine_state < out->coroutine_size;
}

bool py_tasks_find(struct py_tasks *out, pid_t pid, const struct py_layout *layout,
                   struct py_memory *memory, uint64_t runtime)
{
    struct py_task_offsets offsets;
    return py_section_read(pid, "_asyncio", ".AsyncioDebug", &offsets, sizeof(offsets)) &&
           py_tasks_init(out, layout, memory, runtime, &offsets);
}

/* Tasks */

uint64_t py_tasks_idle_loop(const struct py_tasks *tasks, uint64_t tstate)
{
    uint64_t loop, task;
    if (!py_read_word(tasks->memory, tstate + tasks->offsets.thread_loop, &loop) ||
        !py_read_word(tasks->memory, tstate + tasks->offsets.thread_task, &task) || task)
        return 0;
    return loop;
}

/* What of a task is read, before it is known to be one. */
struct head {
    struct py_task task;
    uint64_t loop, next, previous;
    bool is_task;
};

static bool read_head(const struct py_tasks *tasks, uint64_t address, struct head *out)
{
    const struct py_task_offsets *offsets = &tasks->offsets;
    const unsigned char *bytes = tasks->memory->view(tasks->memory, address, offsets->task_size);
    if (!bytes)
        return false;
    *out = (struct head){.task = {.address = address,
                                  .coroutine = py_word_at(bytes, offsets->task_coroutine),
                                  .awaited_by = py_word_at(bytes, offsets->task_awaited_by),
                                  .by_several = bytes[offsets->task_by_several] == 1},
                         .loop = py_word_at(bytes, FIRST_FIELD),
                         .next = py_word_at(bytes, offsets->task_node),
                         .previous = py_word_at(bytes, offsets->task_node + sizeof(uint64_t)),
                         .is_task = bytes[offsets->task_is_task] == 1};
    return true;
}

bool py_task_read(const struct py_tasks *tasks, uint64_t address, uint64_t loop,
                  struct py_task *out)
{
    struct head head;
    if (!read_head(tasks, address, &head) || !head.is_task || head.loop != loop ||
        !head.task.coroutine || !head.next)
        return false;
    *out = head.task;
    return true;
}

size_t py_tasks_list(const struct py_tasks *tasks, uint64_t tstate, uint64_t loop, uint64_t *cursor,
                     struct py_task *out, size_t room, bool *is_all)
{
    uint64_t list = tstate + tasks->offsets.thread_tasks, node_at = tasks->offsets.task_node;
    struct py_task first;
    struct head head;
    size_t count = 0, steps = 0;
    uint64_t before =
        *cursor && py_task_read(tasks, *cursor - node_at, loop, &first) ? *cursor : list;
    uint64_t start = before, node;
    *is_all = false;
    *cursor = 0;
    if (before == list ? !py_read_word(tasks->memory, list, &node)
                       : !read_head(tasks, before - node_at, &head))
        return 0;
    if (before != list)
        node = head.next;
    for (; steps < 2 * room && count < room; steps++) {
        if (node == list) {
            *is_all = start == list;
            if (*is_all)
                break;
            before = list;
            if (!py_read_word(tasks->memory, list, &node))
                return count;
            continue;
        }
        if (!read_head(tasks, node - node_at, &head) || !head.is_task || head.previous != before)
            return count;
        if (head.loop == loop && head.task.coroutine)
            out[count++] = head.task;
        *is_all = node == start;
        if (*is_all)
            break;
        before = node;
        node = head.next;
    }
    *cursor = before == list ? 0 : before;
    return count;
}

/* Coroutines */

enum kind { KIND_OTHER, KIND_COROUTINE, KIND_WRAPPER, KIND_FUTURE_ITERATOR, KIND_GATHER };

static enum kind kind_of_type(const struct py_tasks *tasks, uint64_t type)
{
    static const struct {
        const char *name;
        bool is_static; /* a built-in type, which no class of the program's can be */
        enum kind kind;
    } known[] = {{"coroutine", true, KIND_COROUTINE},
                 {"generator", true, KIND_COROUTINE},
                 {"async_generator", true, KIND_COROUTINE},
                 {"coroutine_wrapper", true, KIND_WRAPPER},
                 {"async_generator_asend", true, KIND_WRAPPER},
                 {"async_generator_athrow", true, KIND_WRAPPER},
                 {"anext_awaitable", true, KIND_WRAPPER},
                 {"_asyncio.FutureIter", false, KIND_FUTURE_ITERATOR},
                 {"_GatheringFuture", false, KIND_GATHER}};
    enum { HEAP_TYPE = 1 << 9 };
    char name[32] = "";
    uint64_t text, flags;
    if (!py_read_word(tasks->memory, type + tasks->type_name, &text) ||
        !py_read_word(tasks->memory, type + tasks->type_flags, &flags))
        return KIND_OTHER;
    for (size_t i = 0; i + 1 < sizeof(name); i++) {
        const char *byte = tasks->memory->view(tasks->memory, text + i, 1);
        if (!byte || !*byte)
            break;
        name[i] = *byte;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(name, known[i].name) && known[i].is_static == !(flags & HEAP_TYPE))
            return known[i].kind;
    return KIND_OTHER;
}

static enum kind kind_of(struct py_tasks *tasks, uint64_t object)
{
    uint64_t type;
    if (!py_read_word(tasks->memory, object + OBJECT_TYPE, &type))
        return KIND_OTHER;
    struct py_known_type *known = &tasks->types[type / 16 % PY_TYPES_KNOWN];
    if (known->address != type)
        *known = (struct py_known_type){type, kind_of_type(tasks, type)};
    return (enum kind)known->kind;
}

/* The frame of a suspended coroutine; *awaited is what it awaits, 0 if nothing. */
static bool read_coroutine(const struct py_tasks *tasks, uint64_t object, struct py_frame *out,
                           uint64_t *awaited)
{
    const struct py_layout *layout = tasks->layout;
    const unsigned char *bytes = tasks->memory->view(tasks->memory, object, tasks->coroutine_size);
    *awaited = 0;
    if (!bytes)
        return false;
    uint8_t state = (uint8_t)(bytes[tasks->coroutine_state] - tasks->first_state);
    const unsigned char *frame = bytes + tasks->coroutine_frame;
    uint64_t code = py_untagged(py_word_at(frame, layout->frame_code));
    uint64_t stack = py_word_at(frame, tasks->frame_stack);
    if (state > STATE_AWAITS)
        return false;
    *out =
        (struct py_frame){code, py_instruction(layout, code, py_word_at(frame, layout->frame_ip))};
    if (state == STATE_AWAITS &&
        py_read_word(tasks->memory, stack - tasks->await_depth * sizeof(uint64_t), awaited))
        *awaited = py_untagged(*awaited);
    return true;
}

static void read_future(struct py_tasks *tasks, uint64_t iterator, struct py_awaited *out)
{
    struct head head;
    uint64_t future;
    if (!py_read_word(tasks->memory, iterator + FIRST_FIELD, &future) || !future ||
        !read_head(tasks, future, &head))
        return;
    out->future = future;
    if (head.is_task)
        out->kind = PY_AWAITED_TASK;
    else if (kind_of(tasks, future) == KIND_GATHER)
        out->kind = PY_AWAITED_GATHER;
}

static void reverse(struct py_frame *frames, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct py_frame frame = frames[i];
        frames[i] = frames[count - 1 - i];
        frames[count - 1 - i] = frame;
    }
}

size_t py_task_frames(struct py_tasks *tasks, uint64_t coroutine, struct py_frame *frames,
                      size_t room, struct py_awaited *awaited)
{
    size_t count = 0;
    uint64_t object = coroutine;
    *awaited = (struct py_awaited){.kind = PY_AWAITED_OTHER};
    for (size_t steps = 0; object && steps <= 2 * room; steps++) {
        enum kind kind = kind_of(tasks, object);
        if (kind == KIND_COROUTINE) {
            if (count == room)
                return 0;
            if (!read_coroutine(tasks, object, &frames[count], &object))
                break;
            count++;
        } else if (kind != KIND_WRAPPER ||
                   !py_read_word(tasks->memory, object + FIRST_FIELD, &object)) {
            if (kind == KIND_FUTURE_ITERATOR)
                read_future(tasks, object, awaited);
            break;
        }
    }
    reverse(frames, count);
    return count;
}

/* Awaiters */

static size_t read_set(const struct py_tasks *tasks, uint64_t set, uint64_t *out, size_t room)
{
    enum { MOST_ENTRIES = 1024 };
    uint64_t table, mask;
    size_t count = 0;
    if (!py_read_word(tasks->memory, set + tasks->set_table, &table) ||
        !py_read_word(tasks->memory, set + tasks->set_mask, &mask))
        return 0;
    for (uint64_t i = 0; i <= mask && i < MOST_ENTRIES && count < room; i++) {
        const void *entry = tasks->memory->view(tasks->memory, table + i * SET_ENTRY, SET_ENTRY);
        if (!entry)
            break;
        uint64_t hash = py_word_at(entry, sizeof(uint64_t));
        if (py_word_at(entry, 0) && hash != UINT64_MAX) /* else free, or once used */
            out[count++] = py_word_at(entry, 0);
    }
    return count;
}

size_t py_task_awaiters(const struct py_tasks *tasks, const struct py_task *task, uint64_t *out,
                        size_t room)
{
    struct head head;
    size_t count = 1;
    if (!task->awaited_by || !room)
        return 0;
    if (task->by_several)
        count = read_set(tasks, task->awaited_by, out, room);
    else
        out[0] = task->awaited_by;
    /* A future between two tasks, such as gather's, stands for the task that awaits it. */
    for (size_t i = 0; i < count; i++)
        if (read_head(tasks, out[i], &head) && !head.is_task && head.task.awaited_by &&
            !head.task.by_several)
            out[i] = head.task.awaited_by;
    return count;
}
