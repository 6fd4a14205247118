/* Data of plots/functions.gp: the largest rows of a view. */
#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "output/csv.h"
#include "output/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 48, LABEL_COLUMNS_TEXT = 44 };

struct bars {
    struct tally_plot *plot;
    const struct tally_view *view;
    int event;
    size_t count;
    char **labels;
    double total, shown, largest;
    size_t rows;        /* that have anything */
    bool has_intervals; /* at least one that is not exact */
};

static const struct tally_row_value *value_of(const struct bars *bars, size_t i)
{
    return &bars->view->rows[i].values[bars->event];
}

static bool is_special(const struct tally_row *row)
{
    return (!row->file || !*row->file) && row->function && *row->function == '[';
}

/* As short as tells rows apart; `is_long` where it does not. */
static char *label_of(const struct bars *bars, const struct tally_row *row, bool is_long)
{
    struct tally_buffer label = {0};
    if (is_special(row))
        tally_buffer_printf(&label, "%s", row->function);
    else if (bars->view->kind == TALLY_VIEW_LINE)
        tally_buffer_printf(&label, "%s  %s:%" PRIu32, row->function,
                            tally_text_short_path(row->file), row->line);
    else
        tally_buffer_printf(&label, "%s%s%s", row->module, *row->module ? "." : "", row->function);
    if (is_long)
        tally_buffer_printf(&label, ":%" PRIu32, row->line);
    char *shortened = tally_plot_shortened(
        label.data, tally_plot_is_text(bars->plot) ? LABEL_COLUMNS_TEXT : LABEL_COLUMNS);
    tally_buffer_release(&label);
    return shortened;
}

static void make_labels(struct bars *bars)
{
    bool *is_double = tally_alloc_zeroed(bars->count, sizeof(*is_double));
    bars->labels = tally_alloc_zeroed(bars->count, sizeof(*bars->labels));
    for (size_t i = 0; i < bars->count; i++)
        bars->labels[i] = label_of(bars, &bars->view->rows[i], false);
    for (size_t i = 0; i < bars->count; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(bars->labels[i], bars->labels[k]))
                is_double[i] = is_double[k] = true;
    for (size_t i = 0; i < bars->count; i++)
        if (is_double[i] && !is_special(&bars->view->rows[i])) {
            free(bars->labels[i]);
            bars->labels[i] = label_of(bars, &bars->view->rows[i], true);
        }
    free(is_double);
}

/* Rows come sorted: the first without anything ends them. */
static void measure(struct bars *bars, size_t limit)
{
    const struct tally_view *view = bars->view;
    bars->total = tally_profile_total(view->profile, bars->event);
    for (; bars->rows < view->row_count && value_of(bars, bars->rows)->self > 0; bars->rows++) {
        const struct tally_row_value *value = value_of(bars, bars->rows);
        if (limit && bars->rows >= limit)
            continue;
        bars->count++;
        bars->shown += value->self;
        bars->largest = fmax(bars->largest, fmax(value->self, value->inclusive));
        if (value->has_interval && !value->is_exact) {
            bars->largest = fmax(bars->largest, value->high);
            bars->has_intervals = true;
        }
    }
}

static void write_row(const struct bars *bars, size_t i)
{
    const struct tally_row *row = &bars->view->rows[i];
    const struct tally_row_value *value = value_of(bars, i);
    const struct tally_event *event = &bars->view->profile->run->events[bars->event].event;
    FILE *out = tally_plot_data(bars->plot);
    char shown[32];
    double numbers[] = {value->self, value->inclusive, value->low, value->high};
    for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
        fputs(n ? "," : "", out);
        if (n < 2 || value->has_interval)
            tally_csv_number(out, numbers[n]);
    }
    fprintf(out, ",%" PRIu64 ",%d,%s,%.4f,%s,%s,", value->samples, is_special(row),
            tally_format_value(shown, sizeof(shown), value->self, event->unit),
            100 * value->self / bars->total, tally_unit_name(event->unit),
            tally_source_name(event->source));
    const char *texts[] = {event->name, row->module, row->function, row->file};
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        tally_csv_field(out, texts[t] ? texts[t] : "");
        fputc(',', out);
    }
    if (row->line)
        fprintf(out, "%" PRIu32, row->line);
    fputs("\r\n", out);
}

static void write_rows(const struct bars *bars)
{
    size_t widest = 0;
    fputs("self,inclusive,self_low,self_high,samples,is_special,shown,share,unit,source,"
          "event,module,function,file,line\r\n",
          tally_plot_data(bars->plot));
    tally_plot_array(bars->plot, "label", bars->count);
    for (size_t i = 0; i < bars->count; i++) {
        size_t columns = tally_plot_columns(bars->labels[i]);
        widest = columns > widest ? columns : widest;
        tally_plot_text_at(bars->plot, "label", i, bars->labels[i]);
        write_row(bars, i);
    }
    tally_plot_number(bars->plot, "label_width", (double)widest);
}

static void write_samples(struct tally_buffer *text, const struct tally_profile *profile, int index)
{
    const struct tally_event *event = &profile->run->events[index].event;
    if (event->source == TALLY_SOURCE_SIMULATED) {
        tally_buffer_printf(text, "exact counts");
        return;
    }
    tally_buffer_printf(text, "%" PRIu64 " samples", profile->totals[index].samples);
    if (event->read_only)
        tally_buffer_printf(text, ", read along with %s", profile->run->events[0].event.name);
    else if (event->period == 1)
        tally_buffer_printf(text, ", one for each");
    else if (event->period)
        tally_buffer_printf(text, ", one every %" PRIu64, event->period);
    else if (event->frequency)
        tally_buffer_printf(text, ", %" PRIu64 " a second", event->frequency);
}

static void write_words(const struct bars *bars, const struct tally_recording *recording,
                        const char *unit)
{
    const struct tally_profile *profile = bars->view->profile;
    const struct tally_event *event = &profile->run->events[bars->event].event;
    const char *what = tally_view_names[bars->view->kind];
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "%s by %s, %s", event->name, what,
                        event->unit == TALLY_UNIT_COUNT ? "count" : unit);
    tally_plot_words(bars->plot, "heading", text.data, 18);
    tally_buffer_clear(&text);
    tally_buffer_printf(
        &text, "%s: self%s; %s: with all it called.", tally_plot_is_text(bars->plot) ? "█" : "Dark",
        bars->has_intervals && !tally_plot_is_text(bars->plot) ? " and its 95 % interval" : "",
        tally_plot_is_text(bars->plot) ? "░" : "light");
    if (bars->count < bars->rows)
        tally_buffer_printf(&text, " The %zu largest of %zu %ss, %.1f %% of all.", bars->count,
                            bars->rows, what, 100 * bars->shown / bars->total);
    tally_plot_words(bars->plot, "legend", text.data, 11);
    tally_buffer_clear(&text);
    write_samples(&text, profile, bars->event);
    tally_plot_provenance(bars->plot, recording, profile, tally_plot_source(event->source),
                          text.data);
    tally_buffer_release(&text);
}

int tally_plot_functions(struct tally_plot *plot, const struct tally_recording *recording,
                         const struct tally_view *view, int event, size_t limit)
{
    struct bars bars = {.plot = plot, .view = view, .event = event};
    const struct tally_event *drawn = &view->profile->run->events[event].event;
    measure(&bars, limit);
    if (bars.count == 0)
        return tally_error("nothing of %s was seen in the recording; there is nothing to draw.",
                           drawn->name);
    bars.largest *= 1.02;
    struct tally_plot_scale scale = tally_plot_scale_of(bars.largest, drawn->unit);
    make_labels(&bars);
    tally_plot_size(plot, 210 + 26 * bars.count, 8 + bars.count);
    tally_plot_number(plot, "rows", (double)bars.count);
    tally_plot_number(plot, "largest", bars.largest);
    tally_plot_number(plot, "scale", scale.factor);
    tally_plot_text(plot, "unit", scale.unit);
    write_rows(&bars);
    write_words(&bars, recording, scale.unit);
    for (size_t i = 0; i < bars.count; i++)
        free(bars.labels[i]);
    free(bars.labels);
    return 0;
}
