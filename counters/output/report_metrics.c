#include "output/report_metrics.h"

#include "output/csv.h"
#include "profile/metric.h"

#include <inttypes.h>
#include <string.h>

static int event_called(const struct tally_profile *profile, const char *name)
{
    for (size_t e = 0; e < profile->event_count; e++)
        if (!strcmp(profile->run->events[e].event.name, name))
            return (int)e;
    return -1;
}

/* The row's counts by the variant's symbols. */
static void measure_row(const struct tally_view *view, const struct tally_row *row,
                        const struct tally_variant *variant, struct tally_measured *measured)
{
    for (int i = 0; i < variant->event_count; i++) {
        int event = event_called(view->profile, variant->events[i].name);
        if (event < 0) {
            const struct tally_run_missing *missing =
                tally_run_missing_of(view->profile->run, variant->events[i].name);
            measured[i] = (struct tally_measured){
                .missing = missing ? missing->why
                                   : "the recording lacks an event of it; record -g records all."};
            continue;
        }
        const struct tally_row_value *value = &row->values[event];
        measured[i] = (struct tally_measured){.value = value->self,
                                              .low = value->low,
                                              .high = value->high,
                                              .has_interval = value->has_interval,
                                              .samples = value->samples,
                                              .is_exact = value->is_exact};
    }
    measured[variant->event_count] =
        (struct tally_measured){.missing = "elapsed time belongs to the run as a whole."};
}

/* The sources of a metric's counts, as "hardware+software". */
static void print_sources(FILE *out, const struct tally_view *view,
                          const struct tally_variant *variant, const struct tally_metric *metric)
{
    unsigned said = 0;
    for (int i = 0; i < variant->event_count; i++) {
        int event = event_called(view->profile, variant->events[i].name);
        if (event < 0 || !tally_formula_uses(&metric->formula, i))
            continue;
        enum tally_source_kind source = view->profile->run->events[event].event.source;
        if (!(said & 1u << source))
            fprintf(out, "%s%s", said ? "+" : "", tally_source_name(source));
        said |= 1u << source;
    }
}

/* Whether the metric uses a 0 of the whole run that may mean that nothing was counted. */
static bool is_unproven(const struct tally_view *view, const struct tally_variant *variant,
                        const struct tally_metric *metric)
{
    for (int i = 0; i < variant->event_count; i++) {
        int event = event_called(view->profile, variant->events[i].name);
        if (event >= 0 && tally_formula_uses(&metric->formula, i) &&
            view->profile->run->events[event].event.is_unproven &&
            tally_profile_total(view->profile, event) <= 0)
            return true;
    }
    return false;
}

static void print_number(FILE *out, bool is_there, double number)
{
    fputc(',', out);
    if (is_there)
        fprintf(out, "%.6g", number);
}

static void csv_fields(FILE *out, const struct tally_row *row, enum tally_view_kind kind)
{
    const char *fields[7] = {0};
    size_t count = 0;
    bool is_code = kind == TALLY_VIEW_FUNCTION || kind == TALLY_VIEW_LINE;
    bool has_process = kind == TALLY_VIEW_PROCESS || kind == TALLY_VIEW_THREAD;
    if (has_process)
        fields[count++] = row->process;
    if (kind == TALLY_VIEW_THREAD)
        fields[count++] = row->thread;
    if (is_code || kind == TALLY_VIEW_MODULE)
        fields[count++] = row->module;
    if (is_code) {
        fields[count++] = row->function;
        fields[count++] = row->file;
    }
    for (size_t i = 0; i < count; i++) {
        tally_csv_field(out, fields[i] ? fields[i] : "");
        fputc(',', out);
    }
    if (is_code && row->line)
        fprintf(out, "%" PRIu32, row->line);
    if (is_code)
        fputc(',', out);
}

static void csv_row(FILE *out, const struct tally_view *view, const struct tally_variant *variant,
                    const struct tally_row *row)
{
    struct tally_measured measured[TALLY_MAX_EVENTS + 1];
    struct tally_metric_value value;
    measure_row(view, row, variant, measured);
    for (int m = 0; m < variant->metric_count; m++) {
        const struct tally_metric *metric = &variant->metrics[m];
        tally_metric_measure(variant, metric, measured, &value);
        csv_fields(out, row, view->kind);
        tally_csv_field(out, metric->name);
        fprintf(out, ",%s,", metric->unit.text);
        print_sources(out, view, variant, metric);
        print_number(out, value.has_value, value.value);
        print_number(out, value.has_low && value.has_value, value.low);
        print_number(out, value.has_high && value.has_value, value.high);
        fprintf(out, ",%" PRIu64 ",", value.samples);
        bool is_doubtful = value.has_value && is_unproven(view, variant, metric);
        tally_csv_field(out, is_doubtful ? "a count of 0 in it is unproven" : value.why);
        fputc('\n', out);
    }
}

void tally_report_metrics_csv(FILE *out, const struct tally_view *view,
                              const struct tally_variant *variant, size_t limit)
{
    static const char *const columns[TALLY_VIEW_KINDS] = {
        [TALLY_VIEW_FUNCTION] = "module,function,file,line,",
        [TALLY_VIEW_LINE] = "module,function,file,line,",
        [TALLY_VIEW_MODULE] = "module,",
        [TALLY_VIEW_THREAD] = "process,thread,",
        [TALLY_VIEW_PROCESS] = "process,",
    };
    fprintf(out, "%smetric,unit,source,self,self_low,self_high,samples,reason\n",
            columns[view->kind] ? columns[view->kind] : "");
    for (size_t i = 0; i < view->row_count && (!limit || i < limit); i++)
        csv_row(out, view, variant, &view->rows[i]);
}

static void text_name(FILE *out, const struct tally_row *row, enum tally_view_kind kind)
{
    if (kind == TALLY_VIEW_THREAD)
        fprintf(out, "%s  thread %s\n", row->process, row->thread);
    else if (kind == TALLY_VIEW_PROCESS)
        fprintf(out, "%s\n", row->process);
    else if (kind == TALLY_VIEW_MODULE)
        fprintf(out, "%s\n", *row->module ? row->module : "(no module)");
    else if (row->file && *row->file)
        fprintf(out, "%s  %s:%" PRIu32 "\n", row->function, row->file, row->line);
    else
        fprintf(out, "%s\n", row->function);
}

static void text_metric(FILE *out, const struct tally_metric *metric,
                        const struct tally_metric_value *value, bool is_unproven)
{
    char range[64] = "-", end[24];
    const char *unit = strcmp(metric->unit.text, "1") != 0 ? metric->unit.text : "";
    if (!value->has_value) {
        fprintf(out, "  %12s %-10s %-22s %s: %s\n", "-", "", "", metric->name, value->why);
        return;
    }
    snprintf(end, sizeof(end), "%.4g", value->high);
    if (value->is_exact)
        snprintf(range, sizeof(range), "exact");
    else if (value->has_low)
        snprintf(range, sizeof(range), "%.4g to %s", value->low, value->has_high ? end : "any");
    else if (value->has_high)
        snprintf(range, sizeof(range), "any to %s", end);
    fprintf(out, "  %12.4g %-10s %-22s %s%s\n", value->value, unit, range, metric->name,
            is_unproven ? " unproven" : "");
}

void tally_report_metrics_text(FILE *out, const struct tally_view *view,
                               const struct tally_variant *variant, size_t limit)
{
    struct tally_measured measured[TALLY_MAX_EVENTS + 1];
    struct tally_metric_value value;
    size_t shown = 0;
    fprintf(out, "  %12s %-10s %-22s metric\n", "value", "unit", "95 % of it");
    for (; shown < view->row_count && (!limit || shown < limit); shown++) {
        text_name(out, &view->rows[shown], view->kind);
        measure_row(view, &view->rows[shown], variant, measured);
        for (int m = 0; m < variant->metric_count; m++) {
            tally_metric_measure(variant, &variant->metrics[m], measured, &value);
            text_metric(out, &variant->metrics[m], &value,
                        is_unproven(view, variant, &variant->metrics[m]));
        }
    }
    if (shown < view->row_count)
        fprintf(out, "(%zu more rows; --limit 0 shows all)\n", view->row_count - shown);
}
