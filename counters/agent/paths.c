/*
 * From frames to node numbers.
 *
 * A code object is known by its address together with its version or texts: an address alone may be
 * used again by another. The table of code objects is shared by the
 * threads of the process and only ever grows; a thread claims an entry with one compare-and-swap,
 * describes it in its stream, and publishes its number. A thread that meets an entry between the
 * two describes the code object once more under a number of its own.
 */
#include "agent/agent.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct code_entry {
    _Atomic uint64_t address; /* 0: free */
    struct py_code code;
    uint64_t texts;      /* py_code_texts() */
    _Atomic uint32_t id; /* 0: not published yet */
};

enum {
    CODE_ROOM = 1 << 16,
    NODE_ROOM_MOST = 1 << 20,
    FRAME_ROOM_MOST = 1 << 20,
    NAME_MOST = 2048,
    FILENAME_MOST = 4096,
    LINES_MOST = 1 << 22,
    LINES_PART = 8192,
};

static struct code_entry *codes;
static atomic_uint code_count, codes_used;

/* A reader of our own memory that asks the kernel unless the address is known to be mapped. */
struct own_memory {
    struct py_memory memory;
    uint64_t tstate, stack_low, stack_high;
    uint64_t chunk_low, chunk_high;
    unsigned char copy[PY_VIEW_MAX];
};

bool paths_init(void)
{
    codes = arena_alloc(CODE_ROOM * sizeof(*codes));
    return codes != NULL;
}

void paths_reset(void)
{
    codes = NULL;
    code_count = codes_used = 0;
}

static const void *guarded(struct own_memory *own, uint64_t address, size_t size)
{
    struct iovec local = {own->copy, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    long got = syscall(SYS_process_vm_readv, agent.pid, &local, 1, &remote, 1, 0);
    return got == (long)size ? own->copy : NULL;
}

static bool inside(uint64_t address, size_t size, uint64_t low, uint64_t high)
{
    return address >= low && address < high && size <= high - address;
}

/*
 * _PyStackChunk: the previous chunk, the size in bytes, top, data. The list is this thread's own,
 * and CPython changes it so that it is whole at every instruction.
 */
static bool step_to_chunk_of(struct own_memory *own, uint64_t address, size_t size)
{
    uint64_t chunk = own->chunk_low;
    for (int steps = 0; chunk && steps < 4096; steps++) {
        const uint64_t *words = (const uint64_t *)(uintptr_t)chunk;
        if (inside(address, size, chunk, chunk + words[1])) {
            own->chunk_low = chunk;
            own->chunk_high = chunk + words[1];
            return true;
        }
        chunk = words[0];
    }
    return false;
}

static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    enum { TSTATE_SIZE = 320 };
    struct own_memory *own = (struct own_memory *)memory;
    if (inside(address, size, own->chunk_low, own->chunk_high) ||
        inside(address, size, own->stack_low, own->stack_high) ||
        inside(address, size, own->tstate, own->tstate + TSTATE_SIZE))
        return (const void *)(uintptr_t)address;
    /* Frames of generators lie in the heap: only an address near a chunk is looked for in one. */
    uint64_t distance =
        address > own->chunk_low ? address - own->chunk_low : own->chunk_low - address;
    if (distance < UINT64_C(1) << 32 && size > sizeof(uint64_t) &&
        step_to_chunk_of(own, address, size))
        return (const void *)(uintptr_t)address;
    return guarded(own, address, size);
}

static void own_memory_init(struct own_memory *own, const struct slot *slot, uint64_t tstate,
                            uint64_t sp)
{
    own->memory.view = view;
    own->tstate = tstate;
    own->stack_low = sp;
    own->stack_high = sp < slot->stack_top ? slot->stack_top : sp;
    uint64_t chunk = *(const uint64_t *)(uintptr_t)(tstate + agent.python.layout->tstate_chunk);
    own->chunk_low = own->chunk_high = chunk;
    if (chunk)
        own->chunk_high = chunk + ((const uint64_t *)(uintptr_t)chunk)[1];
}

static const void *view_live(struct py_memory *memory, uint64_t address, size_t size)
{
    (void)memory;
    (void)size;
    return (const void *)(uintptr_t)address;
}

/* `is_live`: the code object and its texts are there for certain. */
static bool is_entry_of(const struct code_entry *entry, const struct py_code *code,
                        struct own_memory *own, bool is_live)
{
    struct py_memory live = {.view = view_live};
    return py_code_is_same(agent.python.layout, is_live ? &live : &own->memory, &entry->code,
                           entry->texts, code);
}

static void write_lines(struct slot *slot, struct own_memory *own, uint32_t id, uint64_t data,
                        uint32_t size)
{
    for (uint32_t done = 0; done < size;) {
        uint32_t part = size - done < LINES_PART ? size - done : LINES_PART;
        uint32_t room = (uint32_t)sizeof(struct tally_lines) + tally_padded(part);
        struct tally_lines *record = stream_reserve(slot, room);
        if (!record)
            return;
        *record = (struct tally_lines){
            .type = TALLY_RECORD_LINES, .code = id, .offset = done, .size = part};
        for (uint32_t at = 0; at < part; at += PY_VIEW_MAX) {
            uint32_t piece = part - at < PY_VIEW_MAX ? part - at : PY_VIEW_MAX;
            const void *bytes = own->memory.view(&own->memory, data + done + at, piece);
            if (!bytes)
                return;
            memcpy((char *)(record + 1) + at, bytes, piece);
        }
        stream_commit(slot, room);
        done += part;
    }
}

static void write_code(struct slot *slot, struct own_memory *own, uint32_t id,
                       const struct py_code *code)
{
    const struct py_layout *layout = agent.python.layout;
    uint32_t most = sizeof(struct tally_code) + NAME_MOST + FILENAME_MOST;
    struct tally_code *record = stream_reserve(slot, most);
    if (!record)
        return;
    uint64_t data = 0;
    size_t lines = py_bytes_find(&own->memory, code->lines, &data);
    if (lines > LINES_MOST)
        lines = 0;
    char *text = (char *)(record + 1);
    size_t name = py_string_read(layout, &own->memory, code->qualname, text, NAME_MOST);
    size_t file = py_string_read(layout, &own->memory, code->filename, text + name, FILENAME_MOST);
    uint32_t size = (uint32_t)sizeof(*record) + tally_padded((uint32_t)(name + file));
    *record = (struct tally_code){
        .type = TALLY_RECORD_CODE,
        .qualname_size = (uint16_t)name,
        .id = id,
        .first_line = code->first_line,
        .filename_size = (uint32_t)file,
        .lines_size = (uint32_t)lines,
    };
    stream_commit(slot, size);
    write_lines(slot, own, id, data, (uint32_t)lines);
}

static uint32_t describe(struct slot *slot, struct own_memory *own, const struct py_code *code)
{
    uint32_t id = atomic_fetch_add(&code_count, 1) + 1;
    write_code(slot, own, id, code);
    return id;
}

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ value >> 29;
}

/* Number of the code object; 0 if it is none, or the table is full. */
static uint32_t code_id(struct slot *slot, struct own_memory *own, uint64_t address, bool trusted)
{
    const struct py_layout *layout = agent.python.layout;
    uint32_t at = (uint32_t)mix(address) % CODE_ROOM;
    struct py_code code;
    bool is_read = false;
    for (;; at = (at + 1) % CODE_ROOM) {
        struct code_entry *entry = &codes[at];
        uint64_t there = atomic_load_explicit(&entry->address, memory_order_acquire);
        if (there && there != address)
            continue;
        /* An address seen before is a live code object's again, or still: a frame refers to it. */
        if (!is_read) {
            const void *object = there && trusted ? (const void *)(uintptr_t)address
                                                  : guarded(own, address, layout->code_start);
            uint64_t type;
            if (!object)
                return 0;
            memcpy(&type, (const char *)object + 8, sizeof(type));
            if (type != agent.python.code_type)
                return 0;
            py_code_read(layout, object, &code);
            is_read = true;
        }
        if (there) {
            uint32_t id = atomic_load_explicit(&entry->id, memory_order_acquire);
            if (!id)
                return describe(slot, own, &code);
            if (is_entry_of(entry, &code, own, trusted))
                return id;
            continue;
        }
        if (atomic_load(&codes_used) > CODE_ROOM * 3 / 4)
            return 0;
        if (!atomic_compare_exchange_strong(&entry->address, &there, address)) {
            at = (at + CODE_ROOM - 1) % CODE_ROOM; /* look at the same entry again */
            continue;
        }
        atomic_fetch_add(&codes_used, 1);
        entry->code = code;
        entry->texts = py_code_texts(layout, &own->memory, &code);
        uint32_t id = describe(slot, own, &code);
        atomic_store_explicit(&entry->id, id, memory_order_release);
        return id;
    }
}

static uint32_t node_hash(uint32_t parent, uint32_t code, uint32_t instruction)
{
    return (uint32_t)mix((uint64_t)parent << 40 ^ (uint64_t)code << 20 ^ instruction);
}

static bool grow_nodes(struct slot *slot)
{
    uint32_t room = slot->node_room * 2;
    struct node_entry *nodes = NULL;
    if (room <= NODE_ROOM_MOST)
        nodes = arena_alloc(room * sizeof(*nodes));
    if (!nodes)
        return false;
    for (uint32_t i = 0; i < slot->node_room; i++) {
        const struct node_entry *entry = &slot->nodes[i];
        if (!entry->id)
            continue;
        uint32_t at = node_hash(entry->parent, entry->code, entry->instruction) % room;
        while (nodes[at].id)
            at = (at + 1) % room;
        nodes[at] = *entry;
    }
    slot->nodes = nodes;
    slot->node_room = room;
    return true;
}

/* 0 if there is no room for one more. */
static uint32_t child_node(struct slot *slot, uint32_t parent, uint32_t code, uint32_t instruction)
{
    uint32_t at = node_hash(parent, code, instruction) % slot->node_room;
    for (; slot->nodes[at].id; at = (at + 1) % slot->node_room) {
        const struct node_entry *entry = &slot->nodes[at];
        if (entry->parent == parent && entry->code == code && entry->instruction == instruction)
            return entry->id;
    }
    if (slot->node_count >= slot->node_room / 4 * 3) {
        if (!grow_nodes(slot))
            return 0;
        return child_node(slot, parent, code, instruction);
    }
    struct tally_node *record = stream_reserve(slot, sizeof(*record));
    if (!record)
        return 0;
    uint32_t id = TALLY_NODE_FIRST + slot->node_count++;
    *record = (struct tally_node){.type = TALLY_RECORD_NODE,
                                  .id = id,
                                  .parent = parent,
                                  .code = code,
                                  .instruction = instruction};
    stream_commit(slot, sizeof(*record));
    slot->nodes[at] = (struct node_entry){parent, code, instruction, id};
    return id;
}

static bool grow_frames(struct slot *slot)
{
    uint32_t room = slot->frame_room * 4;
    if (room > FRAME_ROOM_MOST)
        return false;
    struct py_frame *frames = arena_alloc(room * sizeof(*frames));
    struct path_step *last = arena_alloc(room * sizeof(*last));
    if (!frames || !last)
        return false;
    memcpy(last, slot->last, slot->last_depth * sizeof(*last));
    slot->frames = frames;
    slot->last = last;
    slot->frame_room = room;
    return true;
}

static uint32_t node_of_frames(struct slot *slot, struct own_memory *own, size_t depth,
                               uint32_t root)
{
    uint32_t parent = root, same = 0, id = 0;
    uint64_t address = 0;
    bool on_old_path = root == TALLY_NODE_STARTUP;
    uint32_t known = on_old_path ? slot->last_depth : 0;
    slot->last_depth = 0; /* until the path is whole again */
    for (size_t i = depth; i-- > 0;) {
        const struct py_frame *frame = &slot->frames[i];
        struct path_step *step = &slot->last[same];
        if (frame->code != address) {
            address = frame->code;
            /* 3.11 and 3.12 show the innermost frame a few instructions before it is set up. */
            bool trusted = i > 0 || !agent.python.layout->frame_by_cframe;
            id = code_id(slot, own, address, trusted);
            if (!id)
                return TALLY_NODE_LOST;
        }
        if (same >= known || step->code != id || step->instruction != frame->instruction) {
            known = 0;
            uint32_t node = child_node(slot, parent, id, frame->instruction);
            if (!node)
                return TALLY_NODE_LOST;
            *step = (struct path_step){id, frame->instruction, node};
        }
        parent = step->node;
        same++;
    }
    slot->last_depth = on_old_path ? same : 0;
    return parent;
}

uint32_t path_node(struct slot *slot, uint64_t sp)
{
    struct own_memory own;
    uint64_t tstate = (uint64_t)(uintptr_t)agent.python.thread_state();
    size_t depth;
    if (!tstate)
        return TALLY_NODE_NATIVE;
    own_memory_init(&own, slot, tstate, sp);
    enum py_walk_end end;
    do
        end = py_walk(agent.python.layout, &own.memory, tstate, slot->frames, slot->frame_room,
                      &depth);
    while (end == PY_WALK_TRUNCATED && grow_frames(slot));
    if (end == PY_WALK_UNREADABLE)
        return TALLY_NODE_LOST;
    if (depth == 0)
        return TALLY_NODE_NATIVE;
    return node_of_frames(slot, &own, depth,
                          end == PY_WALK_TRUNCATED ? TALLY_NODE_TRUNCATED : TALLY_NODE_STARTUP);
}
