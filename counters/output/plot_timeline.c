/* Data of plots/timeline.gp: the rate of each event over time, from the interval series; the bands
 * of the threads are plot_bands.c's. */
#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "output/csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct panel {
    const struct tally_event *event;
    char *key; /* "event,unit,source,", as in the series */
    double time, value;
    bool has_value;
    double *times, *rates, *values; /* of the interval up to the time; NAN: missing */
    size_t count, room;
    double largest, first, last; /* value at the first and last time that has one */
    double until;
    bool is_seen;
};

static void add_interval(struct panel *panel, double time, double value)
{
    if (panel->count == panel->room) {
        panel->room = panel->room ? 2 * panel->room : 256;
        panel->times = tally_realloc(panel->times, panel->room, sizeof(double));
        panel->rates = tally_realloc(panel->rates, panel->room, sizeof(double));
        panel->values = tally_realloc(panel->values, panel->room, sizeof(double));
    }
    double rate = panel->has_value && value >= panel->value
                      ? (value - panel->value) / (time - panel->time)
                      : NAN;
    panel->times[panel->count] = time;
    panel->values[panel->count] = value;
    panel->rates[panel->count++] = rate;
    if (rate > panel->largest)
        panel->largest = rate;
    if (!isnan(value)) {
        panel->last = value;
        panel->until = time;
    }
    panel->time = time;
    panel->value = value;
    panel->has_value = !isnan(value);
}

/*
 * "time_s,event,unit,source,value" with an empty value where it is missing. Of a machine-wide event
 * that is one which PAPI had not refreshed yet: the interval goes on to the next.
 */
static void take_line(struct panel *panels, size_t count, char *line)
{
    char *end;
    double time = strtod(line, &end);
    if (end == line || *end != ',' || !isfinite(time))
        return;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(panels[i].key);
        if (strncmp(end + 1, panels[i].key, size) != 0 || !(time > panels[i].time))
            continue;
        char *text = end + 1 + size, *rest;
        double value = strtod(text, &rest);
        if (rest == text && panels[i].event->is_machine_wide)
            return;
        add_interval(&panels[i], time, rest == text || !isfinite(value) ? NAN : value);
        return;
    }
}

static size_t panel_count(const struct tally_run *run)
{
    return (size_t)run->event_count + (size_t)run->wide_count;
}

static struct panel *read_panels(const struct tally_recording *recording)
{
    const struct tally_run *run = &recording->run;
    size_t count = panel_count(run), own = (size_t)run->event_count;
    struct panel *panels = tally_alloc_zeroed(count, sizeof(*panels));
    for (size_t i = 0; i < count; i++) {
        struct tally_buffer key = {0};
        const struct tally_event *event =
            i < own ? &run->events[i].event : &run->wide[i - own].event;
        tally_buffer_printf(&key, "%s,%s,%s,", event->name, tally_unit_name(event->unit),
                            tally_source_name(event->source));
        panels[i] = (struct panel){.event = event, .key = key.data, .has_value = true};
    }
    char *text = tally_strdup(recording->series), *save = NULL;
    for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
        take_line(panels, count, line);
    free(text);
    return panels;
}

static void free_panels(struct panel *panels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(panels[i].key);
        free(panels[i].times);
        free(panels[i].rates);
        free(panels[i].values);
    }
    free(panels);
}

static void write_row(FILE *out, const struct panel *panel, size_t number, size_t i)
{
    const struct tally_event *event = panel->event;
    size_t next = i < panel->count ? i : panel->count - 1;
    fprintf(out, "%zu,%.6f,", number, i ? panel->times[i - 1] : 0);
    double value = i ? panel->values[i - 1] : 0;
    if (!isnan(value))
        tally_csv_number(out, value);
    fputc(',', out);
    if (!isnan(panel->rates[next]))
        tally_csv_number(out, panel->rates[next]);
    fprintf(out, ",%s,%s,,,,,,,", tally_unit_name(event->unit), tally_source_name(event->source));
    tally_csv_field(out, event->name);
    fputs(",,\r\n", out);
}

static bool is_energy(const struct tally_event *event)
{
    return event->unit == TALLY_UNIT_JOULE || event->unit == TALLY_UNIT_NJ;
}

/* What a rate of the event is, in words. */
static const char *rate_words(const struct tally_event *event)
{
    if (event->unit == TALLY_UNIT_NS)
        return "CPU seconds per second: processors in use";
    return is_energy(event)                 ? "watts"
           : event->unit == TALLY_UNIT_BYTE ? "bytes per second"
                                            : "per second";
}

static struct tally_plot_scale rate_scale(const struct panel *panel)
{
    struct tally_plot_scale scale = {.factor = 1e-9};
    if (panel->event->unit == TALLY_UNIT_NS)
        return scale;
    double joules = panel->event->unit == TALLY_UNIT_NJ ? 1e-9 : 1;
    if (!is_energy(panel->event))
        return tally_plot_scale_of(panel->largest, panel->event->unit);
    scale = tally_plot_scale_of(joules * panel->largest, TALLY_UNIT_JOULE);
    scale.factor *= joules;
    scale.unit[strlen(scale.unit) - 1] = 'W';
    return scale;
}

static void write_panel(struct tally_plot *plot, const struct panel *panel, size_t number)
{
    struct tally_plot_scale scale = rate_scale(panel);
    struct tally_buffer title = {0};
    tally_buffer_printf(&title, "%s, %s · %s", panel->event->name, rate_words(panel->event),
                        panel->event->is_machine_wide ? "of the whole machine, counted by PAPI"
                                                      : tally_plot_source(panel->event->source));
    tally_plot_text_at(plot, "panel_title", number, title.data);
    tally_buffer_release(&title);
    tally_plot_number_at(plot, "panel_scale", number, scale.factor);
    tally_plot_text_at(plot, "panel_unit", number, scale.unit);
    tally_plot_number_at(plot, "panel_largest", number,
                         panel->largest > 0 ? 1.05 * panel->largest : 1 / scale.factor);
    tally_plot_number_at(plot, "panel_mean", number,
                         panel->until > 0 ? panel->last / panel->until : -1);
    for (size_t i = 0; i <= panel->count; i++)
        write_row(tally_plot_data(plot), panel, number + 1, i);
}

static void write_words(struct tally_plot *plot, const struct tally_recording *recording,
                        const struct tally_plot_threads *threads)
{
    struct tally_buffer text = {0};
    char samples[64];
    snprintf(samples, sizeof(samples), "read every %" PRIu64 " ms", recording->run.interval_ms);
    tally_plot_words(plot, "heading", "Events over time", 18);
    tally_plot_provenance(plot, recording, threads->accounts->profile, "", samples);
    tally_buffer_printf(&text, "What threads did meanwhile, seen by looking on");
    if (threads->count < threads->known)
        tally_buffer_printf(&text, ": the longest %zu of %zu", threads->count, threads->known);
    tally_plot_words(plot, "bands_title", text.data, 12);
    tally_buffer_release(&text);
}

static void write_panels(struct tally_plot *plot, const struct panel *panels, size_t events,
                         size_t drawn)
{
    static const char *const arrays[] = {"panel_title", "panel_scale", "panel_unit",
                                         "panel_largest", "panel_mean"};
    size_t number = 0;
    tally_plot_number(plot, "panels", (double)drawn);
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        tally_plot_array(plot, arrays[i], drawn);
    fputs("panel,time_s,value,rate,unit,source,band,end_s,low,high,account_number,is_longest,event,"
          "process,thread\r\n",
          tally_plot_data(plot));
    for (size_t i = 0; i < events; i++)
        if (panels[i].count)
            write_panel(plot, &panels[i], number++);
}

int tally_plot_timeline(struct tally_plot *plot, const struct tally_recording *recording,
                        const struct tally_accounts *accounts, size_t limit)
{
    size_t events = panel_count(&recording->run), drawn = 0;
    if (recording->run.events[0].event.source == TALLY_SOURCE_SIMULATED)
        return tally_error("a simulated recording has no interval series; record with -I MS, such "
                           "as -I 100, and without --simulate, to have one.");
    if (!recording->series)
        return tally_error("the recording has no interval series; record with -I MS, such as "
                           "-I 100, to have one.");
    struct tally_plot_bands bands;
    tally_plot_bands_find(&bands, recording, accounts, limit);
    struct panel *panels = read_panels(recording);
    for (size_t i = 0; i < events; i++) {
        drawn += panels[i].count > 0;
        bands.duration = fmax(bands.duration, panels[i].time);
    }
    if (drawn) {
        size_t rows = bands.threads.count, lines = 8 + 9 * drawn + (rows ? rows + 5 : 0);
        tally_plot_size(plot, 200 + 170 * drawn + (rows ? 72 + 22 * rows : 0),
                        lines > 30 ? lines : 30);
        tally_plot_number(plot, "duration", bands.duration);
        tally_plot_number(plot, "bands", (double)rows);
        write_panels(plot, panels, events, drawn);
        if (rows)
            tally_plot_bands_write(plot, &bands);
        write_words(plot, recording, &bands.threads);
    }
    free_panels(panels, events);
    free(bands.threads.threads);
    return drawn ? 0
                 : tally_error("the interval series of the recording is empty: the program "
                               "ended before the first interval did.");
}
