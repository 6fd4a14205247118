#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { FIRST_FRAMES = 2048, FIRST_NODES = 1024 };

static _Atomic(struct slot *) free_slots, all_slots;
static atomic_uint slot_count;

/*
 * Slots are taken and given back by threads outside the handler, but a signal may interrupt a
 * thread that holds one in its hands, so there is no lock: taking steals the whole list and gives
 * the rest back, which has no ABA problem.
 */
static struct slot *take_free(void)
{
    struct slot *list = atomic_exchange(&free_slots, NULL);
    if (!list)
        return NULL;
    struct slot *rest = atomic_load(&list->next_free);
    while (rest) {
        struct slot *next = atomic_load(&rest->next_free);
        slot_release(rest);
        rest = next;
    }
    return list;
}

void slot_release(struct slot *slot)
{
    struct slot *head = atomic_load(&free_slots);
    do
        atomic_store(&slot->next_free, head);
    while (!atomic_compare_exchange_weak(&free_slots, &head, slot));
}

static struct slot *make_slot(void)
{
    struct slot *slot = arena_alloc(sizeof(*slot));
    if (!slot)
        return NULL;
    slot->window = arena_alloc(TALLY_CHUNK_SIZE);
    slot->nodes = arena_alloc(FIRST_NODES * sizeof(*slot->nodes));
    slot->frames = arena_alloc(FIRST_FRAMES * sizeof(*slot->frames));
    slot->last = arena_alloc(FIRST_FRAMES * sizeof(*slot->last));
    if (!slot->window || !slot->nodes || !slot->frames || !slot->last)
        return NULL;
    slot->node_room = FIRST_NODES;
    slot->frame_room = FIRST_FRAMES;
    slot->number = atomic_fetch_add(&slot_count, 1);
    for (int i = 0; i < TALLY_MAX_COUNTERS; i++)
        slot->fds[i] = -1;
    struct slot *head = atomic_load(&all_slots);
    do
        slot->next = head;
    while (!atomic_compare_exchange_weak(&all_slots, &head, slot));
    return slot;
}

struct slot *slot_acquire(void)
{
    struct slot *slot = take_free();
    return slot ? slot : make_slot();
}

struct slot *slot_first(void)
{
    return atomic_load(&all_slots);
}

void slots_reset(void)
{
    atomic_store(&free_slots, NULL);
    atomic_store(&all_slots, NULL);
    atomic_store(&slot_count, 0);
}

static bool pay_for_chunk(void)
{
    _Atomic uint64_t *left = (_Atomic uint64_t *)&agent.control->bytes_left;
    uint64_t now = atomic_load(left);
    do {
        if (now == UINT64_MAX)
            return true;
        if (now < TALLY_CHUNK_SIZE) {
            agent.control->stopped = 1;
            return false;
        }
    } while (!atomic_compare_exchange_weak(left, &now, now - TALLY_CHUNK_SIZE));
    return true;
}

/* A file beyond RLIMIT_FSIZE would send SIGXFSZ to the program. */
static bool within_file_limit(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
           end <= limit.rlim_cur;
}

/*
 * Blocks are allocated before they are mapped: a full disk is an error here, not a SIGBUS. Before
 * Linux 6.11 an overflow within fallocate() ends it with EINTR, each time where periods are short;
 * what a write has begun it ends.
 */
static int allocate_blocks(uint64_t offset)
{
    static const char zeros[4096];
    if (!within_file_limit(offset + TALLY_CHUNK_SIZE))
        return EFBIG;
    if (fallocate(agent.image_fd, 0, (off_t)offset, TALLY_CHUNK_SIZE) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
        return errno;
    for (uint32_t done = 0; done < TALLY_CHUNK_SIZE; done += sizeof(zeros))
        if (pwrite(agent.image_fd, zeros, sizeof(zeros), (off_t)(offset + done)) !=
            (ssize_t)sizeof(zeros))
            return errno ? errno : ENOSPC;
    return 0;
}

static bool next_chunk(struct slot *slot)
{
    if (slot->full || !agent.image || agent.control->stopped > 1 || !pay_for_chunk()) {
        slot->full = true;
        return false;
    }
    uint64_t index = atomic_fetch_add((_Atomic uint64_t *)&agent.image->chunk_count, 1);
    uint64_t offset = TALLY_HEADER_SIZE + index * TALLY_CHUNK_SIZE;
    int error = allocate_blocks(offset);
    if (!error && mmap(slot->window, TALLY_CHUNK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED, agent.image_fd, (off_t)offset) == MAP_FAILED)
        error = errno;
    if (error) {
        agent.control->stopped = (uint32_t)error;
        slot->full = true;
        return false;
    }
    /* So that writing samples does not fault; kernels before 5.14 fault, and it is counted. */
    madvise(slot->window, TALLY_CHUNK_SIZE, MADV_POPULATE_WRITE);
    slot->chunk = (struct tally_chunk *)slot->window;
    slot->chunk->slot = slot->number;
    slot->chunk->sequence = slot->sequence++;
    slot->chunk->used = 0;
    atomic_store_explicit((_Atomic uint32_t *)&slot->chunk->magic, TALLY_CHUNK_MAGIC,
                          memory_order_release);
    return true;
}

uint32_t stream_room(const struct slot *slot)
{
    if (!slot->chunk)
        return 0;
    return TALLY_CHUNK_SIZE - (uint32_t)sizeof(struct tally_chunk) - slot->chunk->used;
}

void *stream_reserve(struct slot *slot, uint32_t size)
{
    if (!agent_may_write() || (stream_room(slot) < size && !next_chunk(slot)))
        return NULL;
    return (char *)(slot->chunk + 1) + slot->chunk->used;
}

void stream_commit(struct slot *slot, uint32_t size)
{
    atomic_store_explicit((_Atomic uint32_t *)&slot->chunk->used, slot->chunk->used + size,
                          memory_order_release);
}

void stream_thread(struct slot *slot)
{
    struct tally_thread *record = stream_reserve(slot, sizeof(*record));
    if (!record)
        return;
    *record = (struct tally_thread){.type = TALLY_RECORD_THREAD, .tid = slot->tid};
    prctl(PR_GET_NAME, record->name);
    stream_commit(slot, sizeof(*record));
}

static bool is_described(struct slot *slot, uint64_t pc)
{
    for (uint32_t i = 0; i < slot->object_count; i++) {
        if (pc - slot->objects[i].start >= slot->objects[i].end - slot->objects[i].start)
            continue;
        if (i > 0) {
            uint64_t start = slot->objects[i].start, end = slot->objects[i].end;
            slot->objects[i] = slot->objects[0];
            slot->objects[0].start = start;
            slot->objects[0].end = end;
        }
        return true;
    }
    return false;
}

void stream_object_of(struct slot *slot, uint64_t pc)
{
    struct loaded_object object;
    if (is_described(slot, pc) || slot->object_count == SLOT_OBJECTS ||
        !link_find_object(pc, &object))
        return;
    uint32_t path_size = (uint32_t)strnlen(object.path, 4096);
    uint32_t size = (uint32_t)sizeof(struct tally_object) + tally_padded(path_size);
    struct tally_object *record = stream_reserve(slot, size);
    if (!record)
        return;
    *record = (struct tally_object){.type = TALLY_RECORD_OBJECT,
                                    .path_size = path_size,
                                    .start = object.start,
                                    .end = object.end,
                                    .bias = object.bias};
    memcpy(record + 1, object.path, path_size);
    stream_commit(slot, size);
    slot->objects[slot->object_count].start = object.start;
    slot->objects[slot->object_count++].end = object.end;
}

void stream_counts(struct slot *slot, const struct slot *of, const uint64_t *counts)
{
    uint32_t count = agent.control->counter_count;
    uint32_t size = (uint32_t)(sizeof(struct tally_counts) + count * sizeof(*counts));
    struct tally_counts *record = stream_reserve(slot, size);
    if (!record)
        return;
    *record = (struct tally_counts){.type = TALLY_RECORD_COUNTS,
                                    .counter_count = (uint8_t)count,
                                    .tid = of->tid,
                                    .slot = of->number,
                                    .life = of->life,
                                    .handler_ns = of->handler_ns,
                                    .handler_calls = of->handler_calls};
    if (slot == of)
        prctl(PR_GET_NAME, record->name);
    memcpy(record + 1, counts, count * sizeof(*counts));
    stream_commit(slot, size);
}
