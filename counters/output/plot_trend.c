/* Data of plots/trend.gp: totals and top functions of several recordings. */
#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "output/csv.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    MOST_PANELS = 4 * TALLY_MAX_EVENTS,
    NAME_COLUMNS = 34,
    NAME_COLUMNS_TEXT = 29,
    POSITION_COLUMNS = 24
};

struct point {
    double value, low, high; /* low, high: equal to value where there is no interval */
    bool is_there;
};

struct function {
    char *key; /* "module\nfunction" */
    const char *module, *name;
    struct point *points; /* panel x run */
    bool is_chosen;
    UT_hash_handle hh;
};

struct trend {
    struct tally_plot *plot;
    const struct tally_plot_run *runs;
    size_t count, panel_count, chosen_count;
    const struct tally_event *panels[MOST_PANELS];
    struct point *totals; /* panel x run */
    struct function *functions, **chosen;
};

/* Events of one name from different sources are never one line. */
static bool is_same_event(const struct tally_event *a, const struct tally_event *b)
{
    return a->source == b->source && a->unit == b->unit && !strcmp(a->name, b->name);
}

static size_t panel_of(const struct trend *trend, const struct tally_event *event)
{
    size_t panel = 0;
    while (panel < trend->panel_count && !is_same_event(trend->panels[panel], event))
        panel++;
    return panel;
}

static void find_panels(struct trend *trend)
{
    for (size_t r = 0; r < trend->count; r++) {
        const struct tally_run *run = &trend->runs[r].recording->run;
        for (int e = 0; e < run->event_count; e++) {
            size_t panel = panel_of(trend, &run->events[e].event);
            if (panel == trend->panel_count && panel < MOST_PANELS)
                trend->panels[trend->panel_count++] = &run->events[e].event;
        }
    }
}

static struct function *function_of(struct trend *trend, const struct tally_row *row)
{
    struct tally_buffer key = {0};
    struct function *function;
    tally_buffer_printf(&key, "%s\n%s", row->module, row->function);
    HASH_FIND_STR(trend->functions, key.data, function);
    if (function) {
        tally_buffer_release(&key);
        return function;
    }
    function = tally_alloc_zeroed(1, sizeof(*function));
    *function = (struct function){.key = key.data, .module = row->module, .name = row->function};
    function->points = tally_alloc_zeroed(trend->panel_count * trend->count, sizeof(struct point));
    HASH_ADD_KEYPTR(hh, trend->functions, function->key, key.size, function);
    return function;
}

/* Two functions of one name in one module, such as two lambdas, count as one. */
static void add_row(struct trend *trend, size_t r, const struct tally_row *row)
{
    const struct tally_run *run = &trend->runs[r].recording->run;
    if (!*row->file && *row->function == '[')
        return;
    struct function *function = function_of(trend, row);
    for (int e = 0; e < run->event_count; e++) {
        const struct tally_row_value *value = &row->values[e];
        size_t panel = panel_of(trend, &run->events[e].event);
        if (panel == trend->panel_count)
            continue;
        struct point *point = &function->points[panel * trend->count + r];
        point->value += value->self;
        point->low += value->has_interval ? value->low : value->self;
        point->high += value->has_interval ? value->high : value->self;
    }
}

static void add_run(struct trend *trend, size_t r)
{
    const struct tally_run *run = &trend->runs[r].recording->run;
    struct tally_view view;
    for (int e = 0; e < run->event_count; e++) {
        size_t panel = panel_of(trend, &run->events[e].event);
        double total = tally_profile_total(trend->runs[r].profile, e);
        if (panel < trend->panel_count)
            trend->totals[panel * trend->count + r] =
                (struct point){.value = total, .low = total, .high = total, .is_there = true};
    }
    tally_view_make(&view, TALLY_VIEW_FUNCTION, trend->runs[r].profile, NULL, 0);
    for (size_t i = 0; i < view.row_count; i++)
        add_row(trend, r, &view.rows[i]);
    tally_view_release(&view);
}

/* The largest share of the panel's total that the function has in any run. */
static double best_share(const struct trend *trend, const struct function *function, size_t panel)
{
    double best = 0;
    for (size_t r = 0; r < trend->count; r++) {
        size_t at = panel * trend->count + r;
        if (trend->totals[at].value > 0)
            best = fmax(best, function->points[at].value / trend->totals[at].value);
    }
    return best;
}

/* The panels choose in turn, each the largest function that is not chosen yet. */
static void choose_functions(struct trend *trend, size_t limit)
{
    size_t all = HASH_COUNT(trend->functions), refused = 0;
    if (!limit || limit > all)
        limit = all;
    trend->chosen = tally_alloc_zeroed(limit + 1, sizeof(struct function *));
    for (size_t turn = 0; trend->chosen_count < limit && refused < trend->panel_count; turn++) {
        struct function *best = NULL;
        double share, best_of_all = 0;
        for (struct function *f = trend->functions; f; f = f->hh.next)
            if (!f->is_chosen &&
                (share = best_share(trend, f, turn % trend->panel_count)) > best_of_all) {
                best_of_all = share;
                best = f;
            }
        refused = best ? 0 : refused + 1;
        if (best) {
            best->is_chosen = true;
            trend->chosen[trend->chosen_count++] = best;
        }
    }
}

static void write_point(const struct trend *trend, size_t panel, size_t series, size_t r)
{
    const struct function *function = series ? trend->chosen[series - 1] : NULL;
    const struct tally_event *event = trend->panels[panel];
    size_t at = panel * trend->count + r;
    struct point point = function ? function->points[at] : trend->totals[at];
    FILE *out = tally_plot_data(trend->plot);
    double numbers[] = {point.value, point.low, point.high};
    fprintf(out, "%zu,%zu,%zu", panel + 1, series, r + 1);
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        fputc(',', out);
        if (trend->totals[at].is_there)
            tally_csv_number(out, numbers[n]);
    }
    fprintf(out, ",%s,%s,", tally_unit_name(event->unit), tally_source_name(event->source));
    tally_csv_field(out, event->name);
    fputc(',', out);
    tally_csv_field(out, trend->runs[r].name);
    fputc(',', out);
    tally_csv_field(out, function ? function->module : "");
    fputc(',', out);
    tally_csv_field(out, function ? function->name : "");
    fputs("\r\n", out);
}

/* How one of the panel's two axes is drawn: PREFIX_scale, PREFIX_unit and PREFIX_largest. */
static void write_axis(const struct trend *trend, const char *prefix, size_t panel, double largest)
{
    struct tally_plot_scale scale = tally_plot_scale_of(largest, trend->panels[panel]->unit);
    char name[32];
    snprintf(name, sizeof(name), "%s_scale", prefix);
    tally_plot_number_at(trend->plot, name, panel, scale.factor);
    snprintf(name, sizeof(name), "%s_unit", prefix);
    tally_plot_text_at(trend->plot, name, panel, scale.unit);
    snprintf(name, sizeof(name), "%s_largest", prefix);
    tally_plot_number_at(trend->plot, name, panel, largest > 0 ? 1.08 * largest : 1 / scale.factor);
}

static void write_panel(const struct trend *trend, size_t panel)
{
    const struct tally_event *event = trend->panels[panel];
    double total = 0, self = 0;
    for (size_t r = 0; r < trend->count; r++) {
        total = fmax(total, trend->totals[panel * trend->count + r].value);
        for (size_t f = 0; f < trend->chosen_count; f++)
            self = fmax(self, trend->chosen[f]->points[panel * trend->count + r].high);
    }
    struct tally_buffer title = {0};
    tally_buffer_printf(&title, "%s, %s · %s", event->name,
                        event->unit == TALLY_UNIT_NS ? "time" : tally_unit_name(event->unit),
                        tally_plot_source(event->source));
    tally_plot_text_at(trend->plot, "panel_title", panel, title.data);
    tally_buffer_release(&title);
    write_axis(trend, "total", panel, total);
    write_axis(trend, "self", panel, self);
    for (size_t series = 0; series <= trend->chosen_count; series++)
        for (size_t r = 0; r < trend->count; r++)
            write_point(trend, panel, series, r);
}

static void write_names(const struct trend *trend)
{
    size_t widest = 0;
    tally_plot_array(trend->plot, "series_name", trend->chosen_count + 1);
    tally_plot_text_at(trend->plot, "series_name", 0, "total");
    for (size_t f = 0; f < trend->chosen_count; f++) {
        struct tally_buffer name = {0};
        tally_buffer_printf(&name, "%s%s%s", trend->chosen[f]->module,
                            *trend->chosen[f]->module ? "." : "", trend->chosen[f]->name);
        char *shortened = tally_plot_shortened(
            name.data, tally_plot_is_text(trend->plot) ? NAME_COLUMNS_TEXT : NAME_COLUMNS);
        tally_plot_text_at(trend->plot, "series_name", f + 1, shortened);
        free(shortened);
        tally_buffer_release(&name);
    }
    tally_plot_array(trend->plot, "position_name", trend->count);
    for (size_t r = 0; r < trend->count; r++) {
        char *shortened = tally_plot_shortened(trend->runs[r].name, POSITION_COLUMNS);
        size_t columns = tally_plot_columns(shortened);
        widest = columns > widest ? columns : widest;
        tally_plot_text_at(trend->plot, "position_name", r, shortened);
        free(shortened);
    }
    tally_plot_number(trend->plot, "position_width", (double)widest);
}

/* What is not the same in all recordings, apart from when they were made. */
struct differences {
    bool command, machine, python, model; /* model: of simulated machine */
};

static const struct tally_event *first_event(const struct tally_plot_run *run)
{
    return &run->recording->run.events[0].event;
}

static bool is_simulated(const struct tally_plot_run *run)
{
    return first_event(run)->source == TALLY_SOURCE_SIMULATED;
}

/* The encoding of a simulated event starts with "simulated:MODEL:". */
static bool has_model_of(const struct tally_plot_run *run, const struct tally_plot_run *other)
{
    const char *name = first_event(run)->terms[0].encoding;
    const char *end = strrchr(name, ':');
    return !end || !strncmp(name, first_event(other)->terms[0].encoding, (size_t)(end - name) + 1);
}

static struct differences differences_of(const struct trend *trend)
{
    struct differences differ = {0};
    const struct tally_plot_run *first = &trend->runs[0];
    for (size_t r = 1; r < trend->count; r++) {
        const struct tally_plot_run *run = &trend->runs[r];
        differ.command |= strcmp(run->recording->run.command, first->recording->run.command) != 0;
        differ.model |= is_simulated(run) && is_simulated(first) && !has_model_of(run, first);
        differ.machine |= strcmp(run->recording->run.machine, first->recording->run.machine) != 0;
        differ.python |= strcmp(run->profile->python, first->profile->python) != 0;
    }
    return differ;
}

static void write_words(const struct trend *trend)
{
    const struct tally_plot_run *last = &trend->runs[trend->count - 1];
    struct differences differ = differences_of(trend);
    struct tally_buffer text = {0};
    uint64_t samples = 0;
    for (size_t r = 0; r < trend->count; r++)
        samples += trend->runs[r].profile->samples;
    tally_buffer_printf(&text, "Totals and self of top functions in %zu recordings", trend->count);
    tally_plot_words(trend->plot, "heading", text.data, 18);
    tally_buffer_clear(&text);
    if (samples || !is_simulated(last))
        tally_buffer_printf(&text, "all %zu: %" PRIu64 " samples", trend->count, samples);
    else
        tally_buffer_printf(&text, "all %zu: exact counts%s", trend->count,
                            differ.model ? " on different models" : "");
    if (differ.machine || differ.python)
        tally_buffer_printf(
            &text, ", different %s%s%s, this is the last one's", differ.machine ? "machines" : "",
            differ.machine && differ.python ? " and " : "", differ.python ? "Pythons" : "");
    tally_plot_provenance(trend->plot, last->recording, last->profile,
                          differ.command ? "the last of different commands" : "", text.data);
    tally_buffer_release(&text);
}

static void write_all(struct trend *trend)
{
    size_t panels = trend->panel_count, key = trend->chosen_count;
    size_t lines = 8 + 16 * panels, pixels = 210 + 310 * panels;
    if (lines < 15 + key)
        lines = 15 + key;
    if (pixels < 360 + 17 * key)
        pixels = 360 + 17 * key;
    tally_plot_size(trend->plot, pixels, lines);
    tally_plot_number(trend->plot, "panels", (double)panels);
    tally_plot_number(trend->plot, "positions", (double)trend->count);
    tally_plot_number(trend->plot, "series", (double)trend->chosen_count);
    const char *arrays[] = {"panel_title", "total_scale", "total_unit",  "total_largest",
                            "self_scale",  "self_unit",   "self_largest"};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        tally_plot_array(trend->plot, arrays[i], panels);
    write_names(trend);
    fputs("panel,series,position,value,low,high,unit,source,event,recording,module,function\r\n",
          tally_plot_data(trend->plot));
    for (size_t panel = 0; panel < panels; panel++)
        write_panel(trend, panel);
    write_words(trend);
}

static void release(struct trend *trend)
{
    struct function *function = trend->functions;
    HASH_CLEAR(hh, trend->functions);
    while (function) {
        struct function *next = function->hh.next;
        free(function->key);
        free(function->points);
        free(function);
        function = next;
    }
    free(trend->totals);
    free(trend->chosen);
}

int tally_plot_trend(struct tally_plot *plot, const struct tally_plot_run *runs, size_t count,
                     size_t limit)
{
    struct trend trend = {.plot = plot, .runs = runs, .count = count};
    find_panels(&trend);
    if (trend.panel_count == 0)
        return tally_error("the recordings have no events; there is nothing to draw.");
    trend.totals = tally_alloc_zeroed(trend.panel_count * count, sizeof(*trend.totals));
    for (size_t r = 0; r < count; r++)
        add_run(&trend, r);
    choose_functions(&trend, limit);
    write_all(&trend);
    release(&trend);
    return 0;
}
