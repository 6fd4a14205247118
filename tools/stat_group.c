/* stat -g: the events of a group of metrics, and a row for each of its metrics. */
#include "stat.h"

#include "base/buffer.h"
#include "base/error.h"
#include "sources/simulated_events.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the name means anything here; the sentence says why not. */
static bool resolves(const struct stat *stat, const char *name)
{
    struct tally_event_list list = {0};
    struct tally_run notes = {0};
    int result = stat->options.simulate ? tally_simulated_events(name, &stat->model, &notes, &list)
                                        : tally_events_resolve(name, 1000, &list);
    tally_run_release(&notes);
    return result == 0;
}

int stat_choose_group(struct stat *stat)
{
    struct tally_buffer names = {0};
    bool simulated = stat->options.simulate != NULL;
    if (tally_group_load(&stat->group, stat->options.group) < 0)
        return TALLY_ERROR;
    stat->variant = tally_group_variant(stat->group, simulated);
    if (!stat->variant || (simulated && tally_model_load(&stat->model, stat->options.simulate) < 0))
        return TALLY_ERROR;
    for (int i = 0; i < stat->variant->event_count; i++) {
        const char *name = stat->variant->events[i].name;
        if (resolves(stat, name))
            tally_buffer_printf(&names, "%s%s", names.size ? "," : "", name);
        else
            stat->unresolved[i] = tally_strdup(tally_error_text());
    }
    if (simulated)
        tally_model_release(&stat->model);
    stat->names = names.data;
    stat->options.events = names.data;
    return names.data ? 0 : tally_error("%s", stat->unresolved[0]);
}

void stat_release_group(struct stat *stat)
{
    for (int i = 0; i < TALLY_MAX_EVENTS; i++)
        free(stat->unresolved[i]);
    free(stat->names);
    tally_group_free(stat->group);
}

static const struct stat_event *event_of(const struct stat *stat, const char *name)
{
    for (int i = 0; i < stat->count; i++)
        if (!strcmp(stat->events[i].event.name, name))
            return &stat->events[i];
    return NULL;
}

/* What a symbol stands for, in its unit; reasons stay with `stat`. */
static struct tally_operand operand_of(const struct stat *stat, int symbol)
{
    if (symbol == tally_variant_elapsed(stat->variant))
        return stat->options.simulate
                   ? (struct tally_operand){.missing = "a simulated run has no time of its own."}
                   : (struct tally_operand){.value = stat->times[0].mean};
    const struct stat_event *event = event_of(stat, stat->variant->events[symbol].name);
    if (!event)
        return (struct tally_operand){.missing = stat->unresolved[symbol]
                                                     ? stat->unresolved[symbol]
                                                     : "an event of it was not counted."};
    if (!event->runs)
        return (struct tally_operand){.missing = event->why};
    return (struct tally_operand){.value = event->mean};
}

/* The sources of the counts, the least of the shares in which they were counted. */
static void add_provenance(const struct stat *stat, const struct tally_metric *metric,
                           struct stat_metric *out)
{
    out->row.running = 1;
    for (int i = 0; i < stat->variant->event_count; i++) {
        const struct stat_event *event = event_of(stat, stat->variant->events[i].name);
        if (!event || !tally_formula_uses(&metric->formula, i))
            continue;
        const char *source = tally_source_name(event->event.source);
        size_t used = strlen(out->source);
        if (!strstr(out->source, source))
            snprintf(out->source + used, sizeof(out->source) - used, "%s%s", used ? "+" : "",
                     source);
        out->row.running = fmin(out->row.running, event->running);
        out->row.is_machine_wide |= event->event.is_machine_wide;
        out->row.unproven |= event->unproven && event->runs && event->mean == 0;
    }
}

static void evaluate(const struct stat *stat, const struct tally_metric *metric,
                     const struct tally_operand *operands, struct stat_metric *out)
{
    struct tally_buffer formula = {0};
    *out = (struct stat_metric){
        .row = {
            .event = metric->name, .unit = metric->unit.text, .is_metric = true, .deviation = -1}};
    add_provenance(stat, metric, out);
    out->row.source = out->source;
    if (tally_metric_evaluate(stat->variant, metric, operands, &out->row.value) == 0) {
        out->row.runs = stat->times[0].runs;
    } else {
        snprintf(out->why, sizeof(out->why), "%s", tally_error_text());
        out->row.why = out->why;
    }
    tally_metric_formula(stat->variant, metric, &formula);
    snprintf(out->row.metric, sizeof(out->row.metric), "%s%s", formula.data,
             out->row.unproven ? "; a count of 0 in it is unproven" : "");
    tally_buffer_release(&formula);
}

int stat_group_metrics(const struct stat *stat, struct stat_metric *metrics)
{
    struct tally_operand operands[TALLY_MAX_EVENTS + 1];
    if (!stat->variant)
        return 0;
    for (int i = 0; i <= stat->variant->event_count; i++)
        operands[i] = operand_of(stat, i);
    for (int i = 0; i < stat->variant->metric_count; i++)
        evaluate(stat, &stat->variant->metrics[i], operands, &metrics[i]);
    return stat->variant->metric_count;
}
