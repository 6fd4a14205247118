/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/image.h"

#include "simulator/asking.h"
#include "simulator/attribution.h"
#include "simulator/channel.h"
#include "simulator/core.h"
#include "simulator/within.h"

struct image_options image_options;

/* Of the core. */
SysRes VG_(do_syscall)(UWord number, UWord, UWord, UWord, UWord, UWord, UWord, UWord, UWord);

static Int image_fd = -1;
static uint32_t own_pid; /* as the recorder sees it */
static uint64_t start_ns;
static struct {
    uint64_t first, end;
} kept; /* chunks that the header in the file names */

struct writer {
    int fd;
    bool has_failed;
    struct tally_image_header header;
    struct tally_chunk *chunk; /* TALLY_CHUNK_SIZE bytes */
    uint64_t end;              /* no chunk may be written there */
    uint32_t node_count;
};

static uint64_t now_ns(void)
{
    struct vki_timespec now;
    VG_(clock_gettime)(&now, VKI_CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Records */

static void write_all(struct writer *writer, const void *bytes, uint32_t size)
{
    const char *at = bytes;
    while (size > 0 && !writer->has_failed) {
        Int done = VG_(write)(writer->fd, at, (Int)size);
        writer->has_failed = done <= 0;
        at += done > 0 ? done : 0;
        size -= done > 0 ? (uint32_t)done : 0;
    }
}

static void end_chunk(struct writer *writer)
{
    if (!writer->chunk->used)
        return;
    writer->has_failed |= writer->header.chunk_count == writer->end;
    writer->chunk->sequence = (uint32_t)(writer->header.chunk_count - writer->header.first_chunk);
    writer->header.chunk_count++;
    write_all(writer, writer->chunk, TALLY_CHUNK_SIZE);
    VG_(memset)(writer->chunk + 1, 0, writer->chunk->used);
    writer->chunk->used = 0;
}

/* Room for a zeroed record of `size` bytes, a multiple of 8. */
static void *record(struct writer *writer, uint32_t size)
{
    if (sizeof(*writer->chunk) + writer->chunk->used + size > TALLY_CHUNK_SIZE)
        end_chunk(writer);
    char *at = (char *)(writer->chunk + 1) + writer->chunk->used;
    writer->chunk->used += size;
    return at;
}

static void write_lines(struct writer *writer, const struct code *code)
{
    enum { PART = 8192 };
    for (uint32_t done = 0; done < code->table_size; done += PART) {
        uint32_t part = code->table_size - done < PART ? code->table_size - done : PART;
        struct tally_lines *lines = record(writer, sizeof(*lines) + tally_padded(part));
        *lines = (struct tally_lines){
            .type = TALLY_RECORD_LINES, .code = code->id, .offset = done, .size = part};
        VG_(memcpy)(lines + 1, code->table + done, part);
    }
}

static void write_code(struct writer *writer, struct code *code)
{
    uint32_t text = code->name_size + code->file_size;
    struct tally_code *to = record(writer, sizeof(*to) + tally_padded(text));
    code->is_written = true;
    *to = (struct tally_code){
        .type = TALLY_RECORD_CODE,
        .qualname_size = (uint16_t)code->name_size,
        .id = code->id,
        .first_line = code->key.first_line,
        .filename_size = code->file_size,
        .lines_size = code->table_size,
    };
    VG_(memcpy)(to + 1, code->text, text);
    write_lines(writer, code);
}

static void write_node(struct writer *writer, struct cell *cell)
{
    const struct context *context = cell->context;
    if (!context->code->is_written)
        write_code(writer, context->code);
    struct tally_node *node = record(writer, sizeof(*node));
    const struct cell *caller = context->caller;
    *node = (struct tally_node){
        .type = TALLY_RECORD_NODE,
        .id = TALLY_NODE_FIRST + writer->node_count++,
        .parent = caller->context ? caller->node : 0,
        .code = context->code->id,
        .instruction = context->code->first_units[cell->line],
    };
    cell->node = node->id;
}

static uint64_t sum_of(const struct counts *counts, uint64_t mask)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < TALLY_RAW_COUNT; i++)
        if (mask & TALLY_RAW_BIT(i))
            sum += counts->raw[i];
    return sum;
}

static void write_object(struct writer *writer, struct object *object)
{
    uint32_t size = (uint32_t)VG_(strlen)(object->path);
    struct tally_object *to = record(writer, sizeof(*to) + tally_padded(size));
    object->is_written = true;
    *to = (struct tally_object){
        .type = TALLY_RECORD_OBJECT,
        .path_size = size,
        .start = object->start,
        .end = object->end,
        .bias = object->bias,
    };
    VG_(memcpy)(to + 1, object->path, size);
}

static void write_share(struct writer *writer, const struct cell *cell, const struct share *share)
{
    uint64_t pc = share->native ? share->native->pc : 0;
    for (uint32_t i = 0; i < image_options.counter_count; i++) {
        uint64_t weight = sum_of(&share->counts, image_options.masks[i]);
        if (!weight)
            continue;
        if (share->native && share->native->object && !share->native->object->is_written)
            write_object(writer, share->native->object);
        struct tally_sample_wide *sample = record(writer, sizeof(*sample));
        *sample = (struct tally_sample_wide){
            .sample = {.type = TALLY_RECORD_SAMPLE_WIDE,
                       .counter = (uint8_t)i,
                       .pc_high = (uint16_t)(pc >> 32),
                       .pc_low = (uint32_t)pc,
                       .node = cell->node},
            .weight = weight,
        };
    }
}

static void write_counts(struct writer *writer, const struct cell *cell)
{
    for (const struct share *share = &cell->first; share; share = share->next)
        write_share(writer, cell, share);
}

static bool has_counts(const struct cell *cell)
{
    for (const struct share *share = &cell->first; share; share = share->next)
        for (unsigned i = 0; i < TALLY_RAW_COUNT; i++)
            if (share->counts.raw[i])
                return true;
    return false;
}

/* Cells with counts, and those that lead to them; all others get no node. */
static void mark_needed(const struct thread *thread)
{
    for (uint32_t i = 0; i < thread->cell_count; i++)
        thread->cells[i]->node = has_counts(thread->cells[i]);
    for (uint32_t i = thread->cell_count; i-- > 0;) {
        const struct cell *cell = thread->cells[i];
        if (cell->node && cell->context)
            cell->context->caller->node = 1;
    }
}

static void write_thread(struct writer *writer, const struct thread *thread, bool is_first)
{
    mark_needed(thread);
    if (!thread->root->node)
        return;
    struct tally_thread *name = record(writer, sizeof(*name));
    *name = (struct tally_thread){.type = TALLY_RECORD_THREAD, .tid = thread->tid};
    VG_(memcpy)(name->name, writer->header.comm, sizeof(name->name));
    thread->root->node = is_first && attribution.layout ? TALLY_NODE_STARTUP : TALLY_NODE_NATIVE;
    write_counts(writer, thread->root);
    for (uint32_t i = 0; i < thread->cell_count; i++) {
        struct cell *cell = thread->cells[i];
        if (!cell->node || !cell->context)
            continue;
        write_node(writer, cell);
        write_counts(writer, cell);
    }
}

/* Header */

static void copy_text(char *to, uint32_t room, const char *from)
{
    VG_(strncpy)(to, from, room - 1);
    to[room - 1] = '\0';
}

static void describe(struct tally_image_header *header)
{
    const char *program = VG_(args_the_exename);
    char *script = header->script;
    uint32_t room = sizeof(header->script), used = 0;
    VG_(memcpy)(header->magic, TALLY_IMAGE_MAGIC, sizeof(header->magic));
    header->pid = own_pid;
    header->parent = (uint32_t)VG_(getppid)();
    header->is_root = (uint32_t)VG_(getpid)() == image_options.root;
    header->python = attribution.layout ? attribution.version : image_options.refused_version;
    header->counter_count = image_options.counter_count;
    header->start_ns = start_ns;
    header->state = TALLY_IMAGE_SAMPLING;
    header->flags = (within.has_run ? TALLY_IMAGE_WITHIN : 0u) |
                    (attribution.has_folded ? TALLY_IMAGE_FOLDED : 0u) |
                    (image_options.has_left ? TALLY_IMAGE_LEFT : 0u) |
                    (image_options.has_interpreters ? TALLY_IMAGE_INTERPRETERS : 0u) |
                    (image_options.has_unknown ? TALLY_IMAGE_UNKNOWN : 0u);
    copy_text(header->comm, sizeof(header->comm), VG_(basename)(program));
    VG_(client_fname)(header->program, sizeof(header->program), True);
    used = VG_(snprintf)(script, (Int)room, "%s", program);
    for (Word i = 0; i < VG_(sizeXA)(VG_(args_for_client)) && used < room - 1; i++)
        used += VG_(snprintf)(script + used, (Int)(room - used), "\n%s",
                              *(HChar **)VG_(indexXA)(VG_(args_for_client), i));
}

/* What must not be counted: outside of --within. */
static uint64_t sum_outside(uint64_t mask)
{
    uint64_t sum = 0;
    for (const struct share *share = &within.outside.first; share; share = share->next)
        sum += sum_of(&share->counts, mask);
    return sum;
}

static void write_header(struct writer *writer)
{
    char bytes[TALLY_HEADER_SIZE] = {0};
    VG_(memcpy)(bytes, &writer->header, sizeof(writer->header));
    write_all(writer, bytes, sizeof(bytes));
}

/* The recorder closes a file that it has locked. */
static void lock(bool is_locked)
{
    enum { LOCK_EX = 2, LOCK_UN = 8 };
    UWord operation = is_locked ? LOCK_EX : LOCK_UN;
    SysRes result;
    do
        result = VG_(do_syscall)(__NR_flock, (UWord)image_fd, operation, 0, 0, 0, 0, 0, 0);
    while (sr_isError(result) && sr_Err(result) == VKI_EINTR);
}

/* Whether the recorder still waits for what is written. */
static bool is_open(void)
{
    struct tally_image_header header;
    if (image_fd < 0)
        return false;
    VG_(lseek)(image_fd, 0, VKI_SEEK_SET);
    return VG_(read)(image_fd, &header, sizeof(header)) == (Int)sizeof(header) &&
           !(header.flags & TALLY_IMAGE_CLOSED);
}

enum { SAVE_MS = 5000 };
static UInt next_save_ms;

void image_begin(void)
{
    if (image_fd >= 0)
        VG_(close)(image_fd); /* of the parent */
    start_ns = now_ns();
    image_options.has_left = false;
    image_fd = asking_image(&own_pid);
    struct writer writer = {.fd = image_fd};
    if (image_fd < 0)
        return;
    kept.first = kept.end = 0;
    next_save_ms = VG_(read_millisecond_timer)() + SAVE_MS;
    describe(&writer.header);
    write_header(&writer);
}

static void write_threads(struct writer *writer)
{
    writer->chunk = VG_(calloc)("tallystack.chunk", 1, TALLY_CHUNK_SIZE);
    writer->chunk->magic = TALLY_CHUNK_MAGIC;
    codes_forget_written();
    for (struct object *object = natives_objects; object; object = object->next)
        object->is_written = false;
    for (uint32_t i = 0; i < attribution.thread_count; i++)
        write_thread(writer, attribution.threads[i], i == 0);
    end_chunk(writer);
    VG_(free)(writer->chunk);
}

/* All chunks from `first` on, if there is room for them before `end`. */
static bool write_chunks(struct writer *writer, uint64_t first, uint64_t end)
{
    writer->header.first_chunk = writer->header.chunk_count = first;
    writer->end = end;
    writer->node_count = 0;
    writer->has_failed = false;
    const uint64_t offset = TALLY_HEADER_SIZE + first * TALLY_CHUNK_SIZE;
    VG_(lseek)(writer->fd, (Off64T)offset, VKI_SEEK_SET);
    if (!image_options.refusal[0])
        write_threads(writer);
    return !writer->has_failed;
}

/* Gives back the room of chunks that do not hold any more. */
static void trim(const struct writer *writer)
{
    enum { KEEP_SIZE = 1, PUNCH_HOLE = 2 };
    uint64_t first = writer->header.first_chunk * TALLY_CHUNK_SIZE;
    uint64_t end = writer->header.chunk_count * TALLY_CHUNK_SIZE;
    VG_(do_syscall)(__NR_ftruncate, (UWord)writer->fd, TALLY_HEADER_SIZE + end, 0, 0, 0, 0, 0, 0);
    if (first)
        VG_(do_syscall)
    (__NR_fallocate, (UWord)writer->fd, KEEP_SIZE | PUNCH_HOLE, TALLY_HEADER_SIZE, first, 0, 0, 0,
     0);
}

/* Writes all counts so far where the last ones, which hold until the header is written, are not. */
static void save(enum tally_image_state state)
{
    struct writer writer = {.fd = image_fd};
    bool has_room = kept.first >= kept.end - kept.first;
    describe(&writer.header);
    if (!(kept.end && has_room && write_chunks(&writer, 0, kept.first)) &&
        !write_chunks(&writer, kept.end, UINT64_MAX)) {
        VG_(printf)(TALLY_CHANNEL_FULL "\n");
        return;
    }
    copy_text(writer.header.refusal, sizeof(writer.header.refusal), image_options.refusal);
    writer.header.flags |= TALLY_IMAGE_REWRITTEN;
    writer.header.state = state;
    writer.header.end_ns = now_ns();
    writer.header.progress = machine_totals.raw[TALLY_RAW_INSTRUCTIONS];
    for (uint32_t i = 0; i < writer.header.counter_count; i++)
        writer.header.after[i] =
            sum_of(&machine_totals, image_options.masks[i]) - sum_outside(image_options.masks[i]);
    VG_(lseek)(writer.fd, 0, VKI_SEEK_SET);
    write_header(&writer);
    kept.first = writer.header.first_chunk;
    kept.end = writer.header.chunk_count;
    if (state != TALLY_IMAGE_SAMPLING)
        trim(&writer);
}

/* So that it takes 2 % of the time at most. */
static void save_now_and_then(UInt now_ms)
{
    enum { TIMES = 50 };
    if (now_ms < next_save_ms || image_options.refusal[0])
        return;
    save(TALLY_IMAGE_SAMPLING);
    UInt end_ms = VG_(read_millisecond_timer)(), pause_ms = (end_ms - now_ms) * TIMES;
    next_save_ms = end_ms + (pause_ms > SAVE_MS ? pause_ms : SAVE_MS);
}

void image_show_progress(void)
{
    enum { INTERVAL_MS = 500 };
    static UInt next_ms;
    UInt now_ms = VG_(read_millisecond_timer)();
    if (now_ms < next_ms || image_fd < 0)
        return;
    next_ms = now_ms + INTERVAL_MS;
    lock(true);
    if (is_open()) {
        uint64_t count = machine_totals.raw[TALLY_RAW_INSTRUCTIONS];
        VG_(lseek)(image_fd, __builtin_offsetof(struct tally_image_header, progress), VKI_SEEK_SET);
        VG_(write)(image_fd, &count, sizeof(count));
        save_now_and_then(now_ms);
    }
    lock(false);
}

void image_end(void)
{
    if (image_fd < 0)
        return;
    lock(true);
    if (is_open())
        save(image_options.refusal[0] ? TALLY_IMAGE_UNSUPPORTED : TALLY_IMAGE_ENDED);
    VG_(close)(image_fd); /* and the lock with it */
    image_fd = -1;
}
