#include "recording/run.h"

#include "base/buffer.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const source_names[] = {"software", "hardware", "clock", "simulated"};
static const char *const unit_names[] = {"count", "ns", "J", "nJ", "bytes"};

static json_t *term_to_json(const struct tally_term *term)
{
    return json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:i}", "encoding",
                     term->encoding, "factor", term->factor, "type", (json_int_t)term->type,
                     "config", (json_int_t)term->config, "config1", (json_int_t)term->config1,
                     "config2", (json_int_t)term->config2, "exclude_user", term->exclude_user,
                     "exclude_kernel", term->exclude_kernel, "exclude_hv", term->exclude_hv,
                     "precise", term->precise);
}

static json_t *event_to_json(const struct tally_run_event *run_event)
{
    const struct tally_event *event = &run_event->event;
    json_t *terms = json_array();
    for (int i = 0; i < event->term_count; i++)
        json_array_append_new(terms, term_to_json(&event->terms[i]));
    json_t *total = run_event->has_total ? json_integer((json_int_t)run_event->total) : json_null();
    return json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:I, s:i, s:o, s:f, s:o}", "name", event->name,
        "source", source_names[event->source], "unit", unit_names[event->unit], "is_clock",
        event->is_clock, "read_only", event->read_only, "unproven", event->is_unproven, "period",
        (json_int_t)event->period, "frequency", (json_int_t)event->frequency, "first_counter",
        run_event->first_counter, "total", total, "running", run_event->running, "terms", terms);
}

static json_t *missing_to_json(const struct tally_run *run)
{
    json_t *all = json_array();
    for (int i = 0; i < run->missing_count; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s}", "name", run->missing[i].name,
                                             "unit", run->missing[i].unit, "source",
                                             run->missing[i].source, "why", run->missing[i].why));
    return all;
}

json_t *tally_run_to_json(const struct tally_run *run)
{
    json_t *events = json_array(), *machine = json_array(), *notes = json_array();
    for (int i = 0; i < run->event_count; i++)
        json_array_append_new(events, event_to_json(&run->events[i]));
    for (int i = 0; i < run->wide_count; i++)
        json_array_append_new(machine, event_to_json(&run->wide[i]));
    for (int i = 0; i < run->note_count; i++)
        json_array_append_new(notes, json_string(run->notes[i]));
    return json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:b, s:b, s:I, s:I, s:f, s:f, "
        "s:f, s:I, s:I, s:I, s:i, s:o, s:o, s:o, s:o}",
        "format", TALLY_RUN_FORMAT, "command", run->command, "directory", run->directory, "machine",
        run->machine, "started", run->started, "version", run->version, "wall_ns",
        (json_int_t)run->wall_ns, "user_ns", (json_int_t)run->user_ns, "system_ns",
        (json_int_t)run->system_ns, "exit_status", run->exit_status, "is_clock", run->is_clock,
        "has_foreign", run->has_foreign, "stopped", (json_int_t)run->stopped, "interval_ms",
        (json_int_t)run->interval_ms, "delivery_ns", run->delivery_ns, "clock_delivery_ns",
        run->clock_delivery_ns, "fault_ns", run->fault_ns, "watch_ns", (json_int_t)run->watch_ns,
        "start_ns", (json_int_t)run->start_ns, "tick_samples", (json_int_t)run->tick_samples,
        "counter_count", run->counter_count, "events", events, "machine_wide", machine, "missing",
        missing_to_json(run), "notes", notes);
}

static int index_of(const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

static bool term_from_json(struct tally_term *term, json_t *json)
{
    const char *encoding;
    json_int_t type, config, config1, config2;
    int user, kernel, hv, precise;
    if (json_unpack(json, "{s:s, s:F, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:i}", "encoding",
                    &encoding, "factor", &term->factor, "type", &type, "config", &config, "config1",
                    &config1, "config2", &config2, "exclude_user", &user, "exclude_kernel", &kernel,
                    "exclude_hv", &hv, "precise", &precise) < 0)
        return false;
    snprintf(term->encoding, sizeof(term->encoding), "%s", encoding);
    term->type = (uint32_t)type;
    term->config = (uint64_t)config;
    term->config1 = (uint64_t)config1;
    term->config2 = (uint64_t)config2;
    term->exclude_user = user;
    term->exclude_kernel = kernel;
    term->exclude_hv = hv;
    term->precise = (uint8_t)precise;
    return true;
}

/* It has `least` terms or more. */
static bool event_from_json(struct tally_run_event *run_event, json_t *json, size_t least)
{
    struct tally_event *event = &run_event->event;
    const char *name, *source, *unit;
    json_t *total, *terms;
    json_int_t period, frequency;
    int is_clock, read_only, is_unproven = 0;
    if (json_unpack(json, "{s:s, s:s, s:s, s:b, s:b, s?b, s:I, s:I, s:i, s:o, s:F, s:o}", "name",
                    &name, "source", &source, "unit", &unit, "is_clock", &is_clock, "read_only",
                    &read_only, "unproven", &is_unproven, "period", &period, "frequency",
                    &frequency, "first_counter", &run_event->first_counter, "total", &total,
                    "running", &run_event->running, "terms", &terms) < 0)
        return false;
    int source_index = index_of(source, source_names, 4),
        unit_index = index_of(unit, unit_names, 5);
    size_t count = json_array_size(terms);
    if (source_index < 0 || unit_index < 0 || count < least || count > TALLY_MAX_TERMS ||
        strlen(name) >= sizeof(event->name))
        return false;
    snprintf(event->name, sizeof(event->name), "%s", name);
    event->source = (enum tally_source_kind)source_index;
    event->unit = (enum tally_unit)unit_index;
    event->is_clock = is_clock;
    event->read_only = read_only;
    event->is_unproven = is_unproven;
    event->period = (uint64_t)period;
    event->frequency = (uint64_t)frequency;
    event->term_count = (int)count;
    run_event->has_total = json_is_integer(total);
    run_event->total = (uint64_t)json_integer_value(total);
    for (size_t i = 0; i < count; i++)
        if (!term_from_json(&event->terms[i], json_array_get(terms, i)))
            return false;
    return true;
}

static bool events_from_json(struct tally_run *run, json_t *events)
{
    size_t count = json_array_size(events);
    int counters = 0;
    if (count < 1 || count > TALLY_MAX_EVENTS)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!event_from_json(&run->events[i], json_array_get(events, i), 1) ||
            run->events[i].first_counter != counters)
            return false;
        counters += run->events[i].event.term_count;
    }
    run->event_count = (int)count;
    return counters == run->counter_count && counters <= TALLY_MAX_COUNTERS;
}

/* NULL in recordings of programs that knew no such events. */
static bool machine_from_json(struct tally_run *run, json_t *events)
{
    size_t count = json_array_size(events);
    if (count > TALLY_MAX_EVENTS)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!event_from_json(&run->wide[i], json_array_get(events, i), 0))
            return false;
        run->wide[i].event.is_machine_wide = true;
    }
    run->wide_count = (int)count;
    return true;
}

static void missing_from_json(struct tally_run *run, json_t *all)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name, *unit, *source, *why;
        if (json_unpack(json_array_get(all, i), "{s:s, s:s, s:s, s:s}", "name", &name, "unit",
                        &unit, "source", &source, "why", &why) == 0)
            tally_run_miss(run, name, unit, source, why);
    }
}

int tally_run_from_json(struct tally_run *run, const json_t *json)
{
    const char *command, *directory, *machine, *started, *version;
    json_t *events, *notes, *machine_wide = NULL, *missing = NULL;
    json_int_t wall, user, system, stopped, interval, watch, start = 0, tick_samples = 0;
    int format, is_clock, has_foreign;
    *run = (struct tally_run){0};
    json_t *root = (json_t *)(uintptr_t)json; /* json_unpack() only reads */
    if (json_unpack(root, "{s:i}", "format", &format) < 0)
        return tally_error_code(TALLY_DAMAGED, "session.json is not a recording's.");
    if (format != TALLY_RUN_FORMAT)
        return tally_error("the recording has format %d, which this tallystack does not read; use "
                           "the version that made it.",
                           format);
    if (json_unpack(
            root,
            "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:b, s:b, s:I, s:I, s:F, s:F, s:F, "
            "s:I, s?I, s?I, s:i, s:o, s?o, s?o, s:o}",
            "command", &command, "directory", &directory, "machine", &machine, "started", &started,
            "version", &version, "wall_ns", &wall, "user_ns", &user, "system_ns", &system,
            "exit_status", &run->exit_status, "is_clock", &is_clock, "has_foreign", &has_foreign,
            "stopped", &stopped, "interval_ms", &interval, "delivery_ns", &run->delivery_ns,
            "clock_delivery_ns", &run->clock_delivery_ns, "fault_ns", &run->fault_ns, "watch_ns",
            &watch, "start_ns", &start, "tick_samples", &tick_samples, "counter_count",
            &run->counter_count, "events", &events, "machine_wide", &machine_wide, "missing",
            &missing, "notes", &notes) < 0 ||
        !events_from_json(run, events) || !machine_from_json(run, machine_wide))
        return tally_error_code(TALLY_DAMAGED, "session.json of the recording is damaged.");
    run->command = tally_strdup(command);
    run->directory = tally_strdup(directory);
    run->machine = tally_strdup(machine);
    run->started = tally_strdup(started);
    run->version = tally_strdup(version);
    run->wall_ns = (uint64_t)wall;
    run->user_ns = (uint64_t)user;
    run->system_ns = (uint64_t)system;
    run->is_clock = is_clock;
    run->has_foreign = has_foreign;
    run->stopped = (uint32_t)stopped;
    run->interval_ms = (uint64_t)interval;
    run->watch_ns = (uint64_t)watch;
    run->start_ns = (uint64_t)start;
    run->tick_samples = (uint64_t)tick_samples;
    missing_from_json(run, missing);
    for (size_t i = 0; i < json_array_size(notes); i++) {
        const char *note = json_string_value(json_array_get(notes, i));
        if (note)
            tally_run_note(run, "%s", note);
    }
    return 0;
}

static const char *known_name(const char *name, const char *const *names, int count)
{
    int index = index_of(name, names, count);
    return index < 0 ? "" : names[index];
}

void tally_run_miss(struct tally_run *run, const char *name, const char *unit, const char *source,
                    const char *why)
{
    if (run->missing_count == TALLY_MAX_EVENTS)
        return;
    run->missing[run->missing_count++] =
        (struct tally_run_missing){.name = tally_strdup(name),
                                   .why = tally_strdup(why),
                                   .unit = known_name(unit, unit_names, 5),
                                   .source = known_name(source, source_names, 4)};
}

const struct tally_run_missing *tally_run_missing_of(const struct tally_run *run, const char *name)
{
    for (int i = 0; i < run->missing_count; i++)
        if (!strcmp(run->missing[i].name, name))
            return &run->missing[i];
    return NULL;
}

void tally_run_note(struct tally_run *run, const char *format, ...)
{
    struct tally_buffer text = {0};
    char note[1024];
    va_list args;
    if (run->note_count == TALLY_MAX_NOTES)
        return;
    va_start(args, format);
    vsnprintf(note, sizeof(note), format, args);
    va_end(args);
    tally_buffer_printf(&text, "%s", note);
    run->notes[run->note_count++] = text.data;
}

void tally_run_release(struct tally_run *run)
{
    free(run->command);
    free(run->directory);
    free(run->machine);
    free(run->started);
    free(run->version);
    for (int i = 0; i < run->missing_count; i++) {
        free(run->missing[i].name);
        free(run->missing[i].why);
    }
    for (int i = 0; i < run->note_count; i++)
        free(run->notes[i]);
    *run = (struct tally_run){0};
}

int tally_run_event_of(const struct tally_run *run, unsigned counter, int *term)
{
    for (int i = 0; i < run->event_count; i++) {
        unsigned first = (unsigned)run->events[i].first_counter;
        if (counter >= first && counter < first + (unsigned)run->events[i].event.term_count) {
            *term = (int)(counter - first);
            return i;
        }
    }
    return -1;
}

bool tally_run_is_exact(const struct tally_run_event *event)
{
    if (event->event.source == TALLY_SOURCE_SIMULATED)
        return true;
    return event->event.period == 1 && !event->event.is_clock && !event->event.read_only;
}
