#include "profile/profile.h"

#include "base/buffer.h"
#include "base/text.h"
#include "profile/index.h"
#include "profile/intern.h"
#include "profile/module.h"
#include "python/lines.h"
#include "python/walk.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct code {
    uint32_t function;
    bool is_known;
    uint32_t first_line;
    uint8_t *table; /* line table as recorded */
    size_t table_size;
    uint32_t *lines; /* decoded when first needed */
    size_t line_count;
};

struct builder {
    struct tally_profile *profile;
    struct tally_recording *recording;
    bool addresses;
    uint32_t read_only;
    struct tally_index functions, paths, cells, threads;
    size_t function_room, path_room, cell_room, thread_room;
    int event_of[TALLY_MAX_COUNTERS];
    double factor_of[TALLY_MAX_COUNTERS];
    int read_only_counters[TALLY_MAX_COUNTERS];
    tally_progress *progress;
    void *progress_context;
    double *startup; /* image x event: before the agent was there, by the kernel's accounts */
    uint32_t *main_threads;                  /* by image */
    double (*accounted)[TALLY_MAX_COUNTERS]; /* by process: by its earlier images */
    char *root_file;  /* that is __main__ in the program asked for; NULL: a module is */
    double done, all; /* chunks */
};

/* What is known while the records of one image are read. */
struct image_state {
    const struct tally_image *image;
    uint32_t number;
    uint32_t process;
    struct code *codes;
    size_t code_count;
    char *main_file, *main_module;
    uint64_t sample_count;
    double written[TALLY_MAX_COUNTERS]; /* weights of samples */
    struct tally_index lives;           /* (slot, life) of threads with final counts */
    struct life {
        double counts[TALLY_MAX_COUNTERS];
        double handler_ns, handler_calls;
    } * life;
};

/* Room for one more element; doubles. */
#define ENSURE(array, count, room)                                                                 \
    do {                                                                                           \
        if ((count) == (room)) {                                                                   \
            (room) = (room) ? (room)*2 : 64;                                                       \
            (array) = tally_realloc((array), (room), sizeof(*(array)));                            \
        }                                                                                          \
    } while (0)

static uint32_t add_function(struct builder *builder, const char *module, const char *name,
                             const char *file, uint32_t first_line)
{
    struct tally_profile *profile = builder->profile;
    struct tally_function function = {tally_intern(&profile->strings, module),
                                      tally_intern(&profile->strings, name),
                                      tally_intern(&profile->strings, file), first_line};
    struct tally_key key = {(uint64_t)(uintptr_t)function.name ^
                                (uint64_t)(uintptr_t)function.module << 20,
                            (uint64_t)(uintptr_t)function.file, first_line};
    bool is_new;
    uint32_t index = tally_index_of(&builder->functions, key, &is_new);
    if (is_new) {
        ENSURE(profile->functions, profile->function_count, builder->function_room);
        profile->functions[profile->function_count++] = function;
    }
    return index;
}

static uint32_t add_path(struct builder *builder, uint32_t parent, uint32_t function, uint32_t line)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {parent, function, line};
    bool is_new;
    uint32_t index = tally_index_of(&builder->paths, key, &is_new);
    if (is_new) {
        ENSURE(profile->paths, profile->path_count, builder->path_room);
        profile->paths[profile->path_count++] = (struct tally_path){parent, function, line};
    }
    return index;
}

static uint32_t special_path(struct builder *builder, const char *name)
{
    return add_path(builder, TALLY_NO_PATH, add_function(builder, "", name, "", 0), 0);
}

/* The values of a cell, one for each event. */
static struct tally_value *cell_values(struct builder *builder, uint32_t thread, uint32_t path,
                                       uint32_t image, uint64_t pc)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {thread, (uint64_t)image << 32 | path, pc};
    size_t events = profile->event_count;
    bool is_new;
    uint32_t index = tally_index_of(&builder->cells, key, &is_new);
    if (is_new) {
        if (profile->cell_count == builder->cell_room) {
            builder->cell_room = builder->cell_room ? builder->cell_room * 2 : 256;
            profile->cells =
                tally_realloc(profile->cells, builder->cell_room, sizeof(*profile->cells));
            profile->values = tally_realloc(profile->values, builder->cell_room * events,
                                            sizeof(*profile->values));
        }
        profile->cells[profile->cell_count] = (struct tally_cell){thread, path, image, pc};
        memset(&profile->values[profile->cell_count * events], 0,
               events * sizeof(*profile->values));
        profile->cell_count++;
    }
    return &profile->values[index * events];
}

static uint32_t add_thread(struct builder *builder, uint32_t process, uint32_t tid,
                           const char *name)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {process, tid, 0};
    struct tally_buffer text = {0};
    bool is_new;
    uint32_t index = tally_index_of(&builder->threads, key, &is_new);
    char *clean = tally_text_clean(name, strnlen(name, 16));
    tally_buffer_printf(&text, "%" PRIu32 " %s", tid, clean);
    if (is_new) {
        ENSURE(profile->threads, profile->thread_count, builder->thread_room);
        profile->threads[profile->thread_count++] =
            (struct tally_profile_thread){process, tid, text.data};
    } else if (*clean) {
        free(profile->threads[index].name); /* the last name is the best: programs set it late */
        profile->threads[index].name = text.data;
    } else {
        tally_buffer_release(&text);
    }
    free(clean);
    return index;
}

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
    char *name = tally_text_clean(text, record->qualname_size);
    char *given = tally_text_clean(text + record->qualname_size, record->filename_size);
    char *file = tally_module_file(given, builder->recording->run.directory);
    char *module = tally_module_of(file);
    const char *shown = is_main(builder, state, file, module) ? "__main__" : module;
    code->function = add_function(builder, shown, name, file, record->first_line);
    code->first_line = record->first_line;
    code->is_known = true;
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
    if (code && code->is_known)
        path = add_path(builder, parent, code->function, line_of(code, record->instruction));
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
        cell_values(builder, slot->thread, path_of(slot, sample->node), state->number, pc);
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
    add_thread(builder, state->process, record->tid, record->name);
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

static void take_record(struct builder *builder, struct image_state *state, struct slot_state *slot,
                        const void *record)
{
    const struct tally_thread *thread = record;
    switch (*(const uint8_t *)record) {
    case TALLY_RECORD_SAMPLE:
    case TALLY_RECORD_SAMPLE_WIDE:
        take_sample(builder, state, slot, record);
        break;
    case TALLY_RECORD_NODE:
        take_node(builder, state, slot, record);
        break;
    case TALLY_RECORD_THREAD:
        slot->thread = add_thread(builder, state->process, thread->tid, thread->name);
        break;
    case TALLY_RECORD_COUNTS:
        take_counts(builder, state, record);
        break;
    case TALLY_RECORD_OBJECT:
        take_object(builder, state, record);
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
        slot.special[i] = special_path(builder, i == TALLY_NODE_NATIVE ? nothing : name);
    }
    slot.thread =
        add_thread(builder, state->process, state->image->header->pid, state->image->header->comm);
    each_record(builder, state, stream, &slot, false);
    free(slot.paths);
}

/* Processes */

static void format_version(char *out, size_t size, uint32_t hex)
{
    snprintf(out, size, "%u.%u.%u", hex >> 24, hex >> 16 & 255, hex >> 8 & 255);
}

static uint32_t add_process(struct builder *builder, const struct tally_image_header *header)
{
    struct tally_profile *profile = builder->profile;
    struct tally_buffer name = {0};
    size_t at = 0;
    while (at < profile->process_count && profile->processes[at].pid != header->pid)
        at++;
    char *clean = tally_text_clean(header->comm, strnlen(header->comm, sizeof(header->comm)));
    tally_buffer_printf(&name, "%" PRIu32 " %s", header->pid, clean);
    free(clean);
    if (at == profile->process_count) {
        profile->processes = tally_realloc(profile->processes, at + 1, sizeof(*profile->processes));
        profile->processes[profile->process_count++] = (struct tally_process){.pid = header->pid};
        builder->accounted = tally_realloc(builder->accounted, at + 1, sizeof(*builder->accounted));
        memset(&builder->accounted[at], 0, sizeof(*builder->accounted));
    }
    struct tally_process *process = &profile->processes[at];
    free(process->name);
    process->name = name.data;
    process->parent = header->parent;
    process->is_clock = header->is_clock;
    if (header->python)
        process->python = header->python;
    return (uint32_t)at;
}

static void note_python(struct tally_profile *profile, uint32_t hex)
{
    char version[24];
    struct tally_buffer text = {0};
    if (!hex)
        return;
    format_version(version, sizeof(version), hex);
    if (strstr(profile->python, version))
        return;
    tally_buffer_printf(&text, "%s%s%s", profile->python, *profile->python ? ", " : "", version);
    free(profile->python);
    profile->python = text.data;
}

static void add_exact(struct builder *builder, uint32_t thread, const char *name, int event,
                      double amount)
{
    if (amount != 0)
        cell_values(builder, thread, special_path(builder, name), 0, 0)[event].exact += amount;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/*
 * What the process had used when the agent came, but for what its earlier images stand for. Of the
 * program itself the recorder knows it to the count; of others the kernel's accounts tell.
 */
static void note_startup(struct builder *builder, const struct image_state *state, int counter,
                         double counted)
{
    const struct tally_image_header *header = state->image->header;
    double *accounted = &builder->accounted[state->process][counter];
    double before = (double)header->before[counter];
    size_t event = (size_t)builder->event_of[counter];
    double *startup = &builder->startup[state->number * builder->profile->event_count + event];
    if (header->counted[counter])
        *startup += (double)header->counted[counter];
    else
        *startup += larger(0, before - *accounted) * builder->factor_of[counter];
    *accounted = before + counted;
}

/* Whether a thread's count and its samples are of the same thing. */
static bool is_counted_alike(const struct image_state *state, const struct tally_run_event *event)
{
    const struct tally_term *term = &event->event.terms[0];
    bool is_partial_clock = event->event.is_clock && (term->exclude_user || term->exclude_kernel);
    return !state->image->header->is_clock && !is_partial_clock;
}

/*
 * What overflowed but was not written: the difference between what threads counted to their end and
 * their samples, and what the agent could not write. Where not every count is a sample, a thread's
 * last, unfinished period is no loss but part of its end.
 */
static void account_for_losses(struct builder *builder, const struct image_state *state,
                               uint32_t thread, double *seen)
{
    const struct tally_run *run = &builder->recording->run;
    double counted[TALLY_MAX_COUNTERS] = {0};
    if (!state->lives.count)
        builder->profile->untimed_samples += state->sample_count;
    for (size_t k = 0; k < state->lives.count; k++) {
        for (int i = 0; i < run->counter_count; i++)
            counted[i] += state->life[k].counts[i];
        builder->profile->handler_ns += state->life[k].handler_ns;
        builder->profile->handler_calls += (uint64_t)state->life[k].handler_calls;
    }
    for (int i = 0; i < run->counter_count; i++) {
        int event = builder->event_of[i];
        double lost = (double)state->image->header->lost[i], rest = 0;
        if (counted[i] - state->written[i] > lost && is_counted_alike(state, &run->events[event]))
            rest = counted[i] - state->written[i] - lost;
        if (tally_run_is_exact(&run->events[event])) {
            lost += rest;
            rest = 0;
        }
        add_exact(builder, thread, "[lost]", event, lost * builder->factor_of[i]);
        add_exact(builder, thread, "[start-up and exit]", event, rest * builder->factor_of[i]);
        builder->profile->lost[event] += lost * builder->factor_of[i];
        seen[event] += (state->written[i] + lost + rest) * builder->factor_of[i];
        note_startup(builder, state, i, larger(counted[i], state->written[i]));
    }
}

/* An interpreter that was left alone: what the kernel's accounts say of it. */
static void account_for_unsupported(struct builder *builder, const struct image_state *state,
                                    uint32_t thread, double *seen)
{
    const struct tally_image_header *header = state->image->header;
    char name[64];
    snprintf(name, sizeof(name), "[Python %u.%u unsupported]", header->python >> 24,
             header->python >> 16 & 255);
    for (int i = 0; i < builder->recording->run.counter_count; i++) {
        if (header->after[i] <= header->before[i])
            continue;
        double amount = (double)(header->after[i] - header->before[i]) * builder->factor_of[i];
        add_exact(builder, thread, name, builder->event_of[i], amount);
        seen[builder->event_of[i]] += amount;
    }
}

static void read_image(struct builder *builder, uint32_t number, double *seen)
{
    const struct tally_image *image = &builder->recording->images[number];
    const struct tally_image_header *header = image->header;
    struct image_state state = {
        .image = image, .number = number, .process = add_process(builder, header)};
    const char *directory = builder->recording->run.directory;
    tally_module_of_program(header->script, directory, &state.main_file, &state.main_module);
    if (header->is_root && header->python && state.main_file && state.main_file[0] == '/') {
        free(builder->root_file);
        builder->root_file = tally_strdup(state.main_file);
    }
    note_python(builder->profile, header->python);
    uint32_t main_thread = add_thread(builder, state.process, header->pid, header->comm);
    builder->main_threads[number] = main_thread;
    for (size_t i = 0; i < image->slot_count; i++)
        each_record(builder, &state, &image->slots[i], NULL, true);
    for (size_t i = 0; i < image->slot_count; i++)
        read_slot(builder, &state, &image->slots[i],
                  header->python ? "[native thread]" : "[native program]");
    if (header->state == TALLY_IMAGE_UNSUPPORTED)
        account_for_unsupported(builder, &state, main_thread, seen);
    else
        account_for_losses(builder, &state, main_thread, seen);
    for (size_t i = 0; i < state.code_count; i++) {
        free(state.codes[i].table);
        free(state.codes[i].lines);
    }
    free(state.codes);
    tally_index_release(&state.lives);
    free(state.life);
    free(state.main_file);
    free(state.main_module);
}

/* What the kernel counted for the run and no agent saw. */

/* Stands for processes that no agent told of. */
static uint32_t add_nobody(struct builder *builder)
{
    struct tally_profile *profile = builder->profile;
    profile->processes =
        tally_realloc(profile->processes, profile->process_count + 1, sizeof(*profile->processes));
    profile->processes[profile->process_count++] = (struct tally_process){.name = tally_strdup("")};
    return add_thread(builder, (uint32_t)profile->process_count - 1, 0, "");
}

/*
 * What was counted after the agents' last readings: the ends of processes, of which no more is
 * known than how many there were. Each gets the same share.
 */
static void account_for_ends(struct builder *builder, int event, double rest)
{
    size_t images = builder->recording->image_count;
    double share = floor(rest / (double)images);
    for (size_t i = 0; i < images; i++)
        add_exact(builder, builder->main_threads[i], "[start-up and exit]", event,
                  i ? share : rest - share * (double)(images - 1));
}

/* Gives each process its start, no more than `rest` in all; returns what is left of it. */
static double account_for_startup(struct builder *builder, int event, double rest)
{
    size_t events = builder->profile->event_count, images = builder->recording->image_count;
    double sum = 0;
    for (size_t i = 0; i < images; i++)
        sum += builder->startup[i * events + (size_t)event];
    double scale = sum > rest ? rest / sum : 1;
    for (size_t i = 0; i < images; i++)
        add_exact(builder, builder->main_threads[i], "[start-up and exit]", event,
                  floor(builder->startup[i * events + (size_t)event] * scale));
    for (size_t i = 0; i < images; i++)
        rest -= floor(builder->startup[i * events + (size_t)event] * scale);
    return rest;
}

static void account_for_rest(struct builder *builder, const double *seen)
{
    struct tally_recording *recording = builder->recording;
    struct tally_profile *profile = builder->profile;
    const struct tally_run *run = &recording->run;
    bool has_others = run->has_foreign || !recording->image_count;
    uint32_t nobody = has_others ? add_nobody(builder) : builder->main_threads[0];
    for (int i = 0; i < run->event_count; i++) {
        if (!run->events[i].has_total)
            continue;
        double rest = (double)run->events[i].total - seen[i];
        if (rest < 0) {
            profile->excess[i] = -rest;
        } else if (recording->is_damaged) {
            add_exact(builder, nobody, "[lost]", i, rest);
            profile->lost[i] += rest;
        } else {
            rest = account_for_startup(builder, i, rest);
            if (has_others)
                add_exact(builder, nobody, "[no agent]", i, rest);
            else
                account_for_ends(builder, i, rest);
        }
    }
}

static void sum_totals(struct tally_profile *profile)
{
    profile->totals = tally_alloc_zeroed(profile->event_count, sizeof(*profile->totals));
    for (size_t i = 0; i < profile->cell_count * profile->event_count; i++) {
        struct tally_value *total = &profile->totals[i % profile->event_count];
        total->sampled += profile->values[i].sampled;
        total->squares += profile->values[i].squares;
        total->exact += profile->values[i].exact;
        total->samples += profile->values[i].samples;
    }
}

static void map_counters(struct builder *builder)
{
    const struct tally_run *run = &builder->recording->run;
    for (int i = 0; i < run->counter_count; i++) {
        int term = 0;
        builder->event_of[i] = tally_run_event_of(run, (unsigned)i, &term);
        const struct tally_event *event = &run->events[builder->event_of[i]].event;
        builder->factor_of[i] = event->terms[term].factor;
        bool is_read = event->read_only || (run->is_clock && i > 0);
        if (is_read)
            builder->read_only_counters[builder->read_only++] = i;
    }
}

struct tally_profile *tally_profile_new(struct tally_recording *recording, bool addresses,
                                        tally_progress *progress, void *context)
{
    struct tally_profile *profile = tally_alloc_zeroed(1, sizeof(*profile));
    struct builder builder = {.profile = profile,
                              .recording = recording,
                              .addresses = addresses,
                              .progress = progress,
                              .progress_context = context};
    double seen[TALLY_MAX_EVENTS] = {0};
    profile->run = &recording->run;
    profile->event_count = (size_t)recording->run.event_count;
    profile->python = tally_strdup("");
    map_counters(&builder);
    builder.startup =
        tally_alloc_zeroed(recording->image_count * profile->event_count, sizeof(*builder.startup));
    builder.main_threads =
        tally_alloc_zeroed(recording->image_count, sizeof(*builder.main_threads));
    add_path(&builder, TALLY_NO_PATH, add_function(&builder, "", "[all]", "", 0), 0);
    for (size_t i = 0; i < recording->image_count; i++)
        for (size_t k = 0; k < recording->images[i].slot_count; k++)
            builder.all += 2 * (double)recording->images[i].slots[k].chunk_count;
    for (size_t i = 0; i < recording->image_count; i++)
        read_image(&builder, (uint32_t)i, seen);
    account_for_rest(&builder, seen);
    sum_totals(profile);
    free(builder.root_file);
    free(builder.startup);
    free(builder.main_threads);
    free(builder.accounted);
    tally_index_release(&builder.functions);
    tally_index_release(&builder.paths);
    tally_index_release(&builder.cells);
    tally_index_release(&builder.threads);
    return profile;
}

void tally_profile_free(struct tally_profile *profile)
{
    if (!profile)
        return;
    for (size_t i = 0; i < profile->process_count; i++)
        free(profile->processes[i].name);
    for (size_t i = 0; i < profile->thread_count; i++)
        free(profile->threads[i].name);
    free(profile->functions);
    free(profile->paths);
    free(profile->processes);
    free(profile->threads);
    free(profile->cells);
    free(profile->loaded);
    free(profile->values);
    free(profile->totals);
    free(profile->python);
    tally_interned_free(profile->strings);
    free(profile);
}

bool tally_function_is_special(const struct tally_function *function)
{
    return function->name[0] == '[' && function->file[0] == '\0';
}
