#include "stat_metrics.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const struct stat_row *row_of(const struct stat_row *rows, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(rows[i].event, name))
            return &rows[i];
    return NULL;
}

/* What a symbol stands for, in its unit; reasons stay with the rows. */
static struct tally_operand operand_of(const struct tally_variant *variant, int symbol,
                                       const struct stat_row *rows, int count, double elapsed_ns)
{
    if (symbol == tally_variant_elapsed(variant))
        return elapsed_ns < 0
                   ? (struct tally_operand){.missing = "a simulated run has no time of its own."}
                   : (struct tally_operand){.value = elapsed_ns};
    const struct stat_row *row = row_of(rows, count, variant->events[symbol].name);
    if (!row || !row->runs)
        return (struct tally_operand){
            .missing = row && row->why ? row->why : "an event of it was not counted."};
    return (struct tally_operand){.value = row->value};
}

/* The sources of the counts, the least of the shares in which they were counted. */
static void add_provenance(const struct tally_variant *variant, const struct tally_metric *metric,
                           const struct stat_row *rows, int count, struct stat_metric *out)
{
    out->row.running = 1;
    for (int i = 0; i < variant->event_count; i++) {
        const struct stat_row *row = row_of(rows, count, variant->events[i].name);
        if (!row || !tally_formula_uses(&metric->formula, i))
            continue;
        size_t used = strlen(out->source);
        if (!strstr(out->source, row->source))
            snprintf(out->source + used, sizeof(out->source) - used, "%s%s", used ? "+" : "",
                     row->source);
        if (row->runs)
            out->row.running = fmin(out->row.running, row->running);
        out->row.is_machine_wide |= row->is_machine_wide;
        out->row.unproven |= row->unproven && row->runs && row->value == 0;
    }
}

static int runs_of(const struct tally_variant *variant, const struct tally_metric *metric,
                   const struct stat_row *rows, int count)
{
    int runs = 0;
    for (int i = 0; i < variant->event_count; i++) {
        const struct stat_row *row = row_of(rows, count, variant->events[i].name);
        if (row && row->runs && tally_formula_uses(&metric->formula, i) &&
            (!runs || row->runs < runs))
            runs = row->runs;
    }
    return runs ? runs : 1;
}

static void evaluate(const struct tally_variant *variant, const struct tally_metric *metric,
                     const struct tally_operand *operands, struct stat_metric *out)
{
    struct tally_buffer formula = {0};
    if (tally_metric_evaluate(variant, metric, operands, &out->row.value) < 0) {
        out->row.runs = 0;
        snprintf(out->why, sizeof(out->why), "%s", tally_error_text());
        out->row.why = out->why;
    }
    tally_metric_formula(variant, metric, &formula);
    snprintf(out->row.metric, sizeof(out->row.metric), "%s%s", formula.data,
             out->row.unproven ? "; a count of 0 in it is unproven" : "");
    tally_buffer_release(&formula);
}

int stat_metrics(const struct tally_variant *variant, const struct stat_row *rows, int count,
                 double elapsed_ns, struct stat_metric *metrics)
{
    struct tally_operand operands[TALLY_MAX_EVENTS + 1];
    for (int i = 0; i <= variant->event_count; i++)
        operands[i] = operand_of(variant, i, rows, count, elapsed_ns);
    for (int i = 0; i < variant->metric_count; i++) {
        const struct tally_metric *metric = &variant->metrics[i];
        metrics[i] = (struct stat_metric){.row = {.event = metric->name,
                                                  .unit = metric->unit.text,
                                                  .source = metrics[i].source,
                                                  .is_metric = true,
                                                  .deviation = -1,
                                                  .runs = runs_of(variant, metric, rows, count)}};
        add_provenance(variant, metric, rows, count, &metrics[i]);
        evaluate(variant, metric, operands, &metrics[i]);
    }
    return variant->metric_count;
}

void stat_metrics_print(const struct stat_table *table, const struct tally_variant *variant,
                        const struct stat_row *rows, int count, double elapsed_ns)
{
    struct stat_metric metrics[TALLY_MAX_METRICS];
    int found = stat_metrics(variant, rows, count, elapsed_ns, metrics);
    for (int i = 0; i < found; i++) {
        metrics[i].row.process = count ? rows[0].process : NULL;
        metrics[i].row.thread = count ? rows[0].thread : NULL;
        stat_table_rows(table, &metrics[i].row, 1);
    }
}

struct stat_row stat_missing_row(const struct tally_variant *variant, int event, const char *why)
{
    const char *unit = variant->symbols[event].unit.text;
    return (struct stat_row){
        .event = variant->events[event].name,
        .unit = strcmp(unit, "B") != 0 ? unit : "bytes",
        .source = "",
        .running = 1,
        .deviation = NAN,
        .why = why,
    };
}
