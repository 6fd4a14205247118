#include "profile/image.h"

#include "base/buffer.h"
#include "base/text.h"
#include "profile/intern.h"
#include "profile/module.h"
#include "profile/remainder.h"
#include "python/lines.h"
#include "python/walk.h"

#include <stdlib.h>
#include <string.h>

struct code {
    uint32_t function;
    bool is_known;
    bool is_shim; /* no function: what is its is its caller's */
    uint32_t first_line;
    uint8_t *table; /* line table as recorded */
    size_t table_size;
    uint32_t *lines; /* decoded when first needed */
    size_t line_count;
};

/* Code objects */

/* The program's own file is __main__ in its workers too, which import it under another name. */
static bool is_main(const struct builder *builder, const struct image_state *state,
                    const char *file, const char *module)
{
    if (builder->root_file && !strcmp(builder->root_file, file))
        return true;
    if (state->main_file)
        return !strcmp(state->main_file, file);
    if (!state->main_module)
        return false;
    size_t size = strlen(state->main_module);
    return !strcmp(module, state->main_module) ||
           (!strncmp(module, state->main_module, size) && !strcmp(module + size, ".__main__"));
}

static struct code *code_at(struct image_state *state, uint32_t id)
{
    enum { MOST_CODES = 1 << 22 };
    if (id >= MOST_CODES)
        return NULL;
    if (id >= state->code_count) {
        size_t count = state->code_count ? state->code_count : 256;
        while (count <= id)
            count *= 2;
        state->codes = tally_realloc(state->codes, count, sizeof(*state->codes));
        memset(state->codes + state->code_count, 0,
               (count - state->code_count) * sizeof(*state->codes));
        state->code_count = count;
    }
    return &state->codes[id];
}

static void take_code(struct builder *builder, struct image_state *state,
                      const struct tally_code *record)
{
    struct code *code = code_at(state, record->id);
    const char *text = (const char *)(record + 1);
    if (!code || code->is_known)
        return;
    code->is_known = true;
    code->is_shim = py_code_is_shim(text, record->qualname_size, text + record->qualname_size,
                                    record->filename_size, record->lines_size);
    if (code->is_shim)
        return;
    char *name = tally_text_clean(text, record->qualname_size);
    char *given = tally_text_clean(text + record->qualname_size, record->filename_size);
    char *file = tally_module_file(given, builder->recording->run.directory);
    char *module = tally_module_of(file);
    const char *shown = is_main(builder, state, file, module) ? "__main__" : module;
    code->function = build_function(builder, shown, name, file, record->first_line);
    code->first_line = record->first_line;
    free(name);
    free(given);
    free(file);
    free(module);
}

static void take_lines(struct image_state *state, const struct tally_lines *record)
{
    struct code *code = code_at(state, record->code);
    if (!code || record->offset != code->table_size)
        return;
    code->table = tally_realloc(code->table, code->table_size + record->size, 1);
    memcpy(code->table + code->table_size, record + 1, record->size);
    code->table_size += record->size;
}

static uint32_t line_of(struct code *code, uint32_t instruction)
{
    if (instruction == PY_NO_INSTRUCTION || !code->table_size)
        return code->first_line;
    if (!code->lines)
        code->line_count =
            py_lines_decode(code->table, code->table_size, code->first_line, &code->lines);
    if (!code->line_count)
        return code->first_line;
    return code->lines[instruction < code->line_count ? instruction : code->line_count - 1];
}

/* One slot of an image */

struct slot_state {
    uint32_t *paths; /* of node TALLY_NODE_FIRST + i; TALLY_NO_PATH: not defined */
    size_t path_count, path_room;
    uint32_t thread;
    uint32_t special[TALLY_NODE_FIRST];
    uint64_t last_cell; /* cache: samples come in runs */
};

static uint32_t path_of(const struct slot_state *slot, uint32_t node)
{
    if (node < TALLY_NODE_FIRST)
        return slot->special[node];
    node -= TALLY_NODE_FIRST;
    if (node < slot->path_count && slot->paths[node] != TALLY_NO_PATH)
        return slot->paths[node];
    return slot->special[TALLY_NODE_LOST];
}

static void take_node(struct builder *builder, struct image_state *state, struct slot_state *slot,
                      const struct tally_node *record)
{
    enum { MOST_NODES = 1 << 24 };
    if (record->id < TALLY_NODE_FIRST || record->id >= MOST_NODES)
        return;
    uint32_t index = record->id - TALLY_NODE_FIRST;
    struct code *code = code_at(state, record->code);
    uint32_t parent = record->parent == 0 ? TALLY_NO_PATH : path_of(slot, record->parent);
    uint32_t path = slot->special[TALLY_NODE_LOST];
    if (code && code->is_shim)
        path = parent;
    else if (code && code->is_known)
        path = build_path(builder, parent, code->function, line_of(code, record->instruction));
    if (index >= slot->path_room) {
        size_t room = slot->path_room ? slot->path_room : 256;
        while (room <= index)
            room *= 2;
        slot->paths = tally_realloc(slot->paths, room, sizeof(*slot->paths));
        slot->path_room = room;
    }
    while (slot->path_count <= index)
        slot->paths[slot->path_count++] = TALLY_NO_PATH;
    slot->paths[index] = path;
}

static void add_weight(struct tally_value *value, double weight)
{
    value->sampled += weight;
    value->squares += weight * weight;
    value->samples++;
}

static void take_sample(struct builder *builder, struct image_state *state, struct slot_state *slot,
                        const struct tally_sample *sample)
{
    if (sample->counter >= builder->recording->run.counter_count)
        return;
    const char *behind = (const char *)(sample + 1);
    uint64_t weight = sample->weight;
    if (sample->type == TALLY_RECORD_SAMPLE_WIDE) {
        memcpy(&weight, behind, sizeof(weight));
        behind += sizeof(weight);
    }
    uint64_t pc = builder->addresses ? (uint64_t)sample->pc_high << 32 | sample->pc_low : 0;
    struct tally_value *values =
        build_values(builder, slot->thread, path_of(slot, sample->node), state->number, pc);
    double amount = (double)weight * builder->factor_of[sample->counter];
    int event = builder->event_of[sample->counter];
    state->written[sample->counter] += (double)weight;
    if (builder->recording->run.events[event].event.source == TALLY_SOURCE_SIMULATED) {
        values[event].exact += amount; /* a sum, not a sample */
        return;
    }
    add_weight(&values[event], amount);
    builder->profile->samples++;
    state->sample_count++;
    if (sample->counter != 0)
        return;
    for (uint32_t i = 0; i < builder->read_only; i++) {
        uint64_t count;
        int counter = builder->read_only_counters[i];
        memcpy(&count, behind + i * sizeof(count), sizeof(count));
        add_weight(&values[builder->event_of[counter]],
                   (double)count * builder->factor_of[counter]);
        state->written[counter] += (double)count;
    }
}

static void take_counts(struct builder *builder, struct image_state *state,
                        const struct tally_counts *record)
{
    const uint64_t *counts = (const uint64_t *)(record + 1);
    bool is_new;
    uint32_t index =
        tally_index_of(&state->lives, (struct tally_key){record->slot, record->life, 0}, &is_new);
    if (is_new)
        state->life = tally_realloc(state->life, state->lives.count, sizeof(*state->life));
    struct life *life = &state->life[index];
    *life = (struct life){.handler_ns = (double)record->handler_ns,
                          .handler_calls = (double)record->handler_calls};
    for (int i = 0; i < record->counter_count && i < TALLY_MAX_COUNTERS; i++)
        life->counts[i] = (double)counts[i];
    build_thread(builder, state->process, record->tid, record->name);
}

static void take_object(struct builder *builder, const struct image_state *state,
                        const struct tally_object *record)
{
    struct tally_profile *profile = builder->profile;
    for (size_t i = 0; i < profile->loaded_count; i++)
        if (profile->loaded[i].image == state->number && profile->loaded[i].start == record->start)
            return;
    char *path = strndup((const char *)(record + 1), record->path_size);
    profile->loaded =
        tally_realloc(profile->loaded, profile->loaded_count + 1, sizeof(*profile->loaded));
    profile->loaded[profile->loaded_count++] =
        (struct tally_loaded){.image = state->number,
                              .start = record->start,
                              .end = record->end,
                              .bias = record->bias,
                              .path = tally_intern(&profile->strings, path ? path : "")};
    free(path);
}

/* TALLY_NO_PATH: not known, as where nothing but a shim was seen of who holds it. */
static uint32_t holder_of(const struct slot_state *slot, uint32_t node)
{
    uint32_t index = node - TALLY_NODE_FIRST;
    return node >= TALLY_NODE_FIRST && index < slot->path_count ? slot->paths[index]
                                                                : TALLY_NO_PATH;
}

/* `part` is NULL for whole looks. */
static void take_wait(struct builder *builder, struct image_state *state,
                      const struct slot_state *slot, const struct tally_wait *wait,
                      const struct tally_await *part)
{
    if (wait->state >= TALLY_STATES)
        return;
    struct tally_look look = {.thread = build_thread(builder, state->process, wait->tid, ""),
                              .path = path_of(slot, wait->node),
                              .holder = holder_of(slot, wait->holder),
                              .state = (enum tally_state)wait->state,
                              .waker = (enum tally_waker)wait->waker,
                              .is_whole = wait->is_whole,
                              .begin_ns = wait->begin_ns,
                              .duration_ns = wait->duration_ns};
    if (part) {
        look.tasks = part->tasks;
        look.taken = part->taken ? part->taken : 1;
        look.is_estimated = part->is_estimated;
        look.goes_on = part->goes_on;
    }
    build_look(builder, &look);
}

static void take_record(struct builder *builder, struct image_state *state, struct slot_state *slot,
                        const void *record)
{
    const struct tally_thread *thread = record;
    const struct tally_await *part = record;
    switch (*(const uint8_t *)record) {
    case TALLY_RECORD_SAMPLE:
    case TALLY_RECORD_SAMPLE_WIDE:
        take_sample(builder, state, slot, record);
        break;
    case TALLY_RECORD_NODE:
        take_node(builder, state, slot, record);
        break;
    case TALLY_RECORD_THREAD:
        slot->thread = build_thread(builder, state->process, thread->tid, thread->name);
        break;
    case TALLY_RECORD_COUNTS:
        take_counts(builder, state, record);
        break;
    case TALLY_RECORD_OBJECT:
        take_object(builder, state, record);
        break;
    case TALLY_RECORD_LIFE:
        build_lifetime(builder, state->process, state->number, record);
        break;
    case TALLY_RECORD_WAIT:
        take_wait(builder, state, slot, record, NULL);
        break;
    case TALLY_RECORD_AWAIT:
        take_wait(builder, state, slot, &part->wait, part);
        break;
    default:
        break;
    }
}

/* Calls `take` for each record of a slot; a bad one ends its chunk. */
static void each_record(struct builder *builder, struct image_state *state,
                        const struct tally_slot_stream *stream, struct slot_state *slot,
                        bool definitions)
{
    for (size_t i = 0; i < stream->chunk_count; i++) {
        const struct tally_chunk *chunk = stream->chunks[i];
        uint32_t offset = 0, size;
        bool is_bad = false;
        const void *record;
        if (chunk->sequence != i && !builder->recording->is_damaged)
            tally_recording_damage(builder->recording, "a block of samples is missing.");
        while ((record = tally_record_next(chunk, &offset, builder->read_only, &size, &is_bad))) {
            if (!definitions)
                take_record(builder, state, slot, record);
            else if (*(const uint8_t *)record == TALLY_RECORD_CODE)
                take_code(builder, state, record);
            else if (*(const uint8_t *)record == TALLY_RECORD_LINES)
                take_lines(state, record);
        }
        if (is_bad)
            tally_recording_damage(builder->recording,
                                   "a block of samples has damaged records; what follows in it is "
                                   "left out.");
        if (i % TALLY_CHUNKS_HELD == 0 || i + 1 == stream->chunk_count)
            tally_image_let_go(state->image);
        builder->done++;
        if (builder->progress)
            builder->progress(builder->done / builder->all, builder->progress_context);
    }
}

static void read_slot(struct builder *builder, struct image_state *state,
                      const struct tally_slot_stream *stream, const char *nothing)
{
    static const char *const names[] = {"[start-up and exit]", "", "[tallystack]", "[lost]",
                                        "[deeper frames]"};
    struct slot_state slot = {0};
    for (uint32_t i = 0; i < TALLY_NODE_FIRST; i++) {
        const char *name = i < sizeof(names) / sizeof(names[0]) ? names[i] : "[lost]";
        slot.special[i] = build_special_path(builder, i == TALLY_NODE_NATIVE ? nothing : name);
    }
    slot.thread = build_thread(builder, state->process, state->image->header->pid, "");
    each_record(builder, state, stream, &slot, false);
    free(slot.paths);
}

static void release_codes(struct image_state *state)
{
    for (size_t i = 0; i < state->code_count; i++) {
        free(state->codes[i].table);
        free(state->codes[i].lines);
    }
    free(state->codes);
    state->codes = NULL;
    state->code_count = 0;
}

/* The .waits file has code objects and nodes of its own. */
static void read_waits(struct builder *builder, struct image_state *state, const char *nothing)
{
    const struct tally_image *image = state->image, *waits = image->waits;
    release_codes(state);
    state->image = waits;
    for (size_t i = 0; i < waits->slot_count; i++)
        each_record(builder, state, &waits->slots[i], NULL, true);
    for (size_t i = 0; i < waits->slot_count; i++)
        read_slot(builder, state, &waits->slots[i], nothing);
    state->image = image;
}

void image_read(struct builder *builder, uint32_t number, double *seen)
{
    const struct tally_image *image = &builder->recording->images[number];
    const struct tally_image_header *header = image->header;
    struct image_state state = {
        .image = image, .number = number, .process = build_process(builder, header)};
    const char *directory = builder->recording->run.directory;
    tally_module_of_program(header->script, directory, &state.main_file, &state.main_module);
    if (header->is_root && header->python && state.main_file && state.main_file[0] == '/') {
        free(builder->root_file);
        builder->root_file = tally_strdup(state.main_file);
    }
    build_python(builder->profile, header->python);
    uint32_t main_thread = build_thread(builder, state.process, header->pid, header->comm);
    builder->main_threads[number] = main_thread;
    builder->profile->images[number].thread = main_thread;
    if (header->end_ns > header->start_ns)
        builder->profile->images[number].ns = header->end_ns - header->start_ns;
    for (size_t i = 0; i < image->slot_count; i++)
        each_record(builder, &state, &image->slots[i], NULL, true);
    const char *nothing = header->python ? "[native thread]" : "[native program]";
    for (size_t i = 0; i < image->slot_count; i++)
        read_slot(builder, &state, &image->slots[i], nothing);
    if (header->state == TALLY_IMAGE_UNSUPPORTED)
        remainder_of_unsupported(builder, &state, main_thread, seen);
    else
        remainder_of_image(builder, &state, main_thread, seen);
    if (image->waits)
        read_waits(builder, &state, nothing);
    build_process_name(builder, main_thread);
    release_codes(&state);
    tally_index_release(&state.lives);
    free(state.life);
    free(state.main_file);
    free(state.main_module);
}
