/* stat -i: the totals of a recording, and the metrics that they are enough for. */
#include "stat_recording.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "command.h"
#include "recording/reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* On which core type an event counted is in its name; this machine may be another one. */
static struct stat_row row_of(const struct tally_run_event *event)
{
    return (struct stat_row){
        .event = event->event.name,
        .unit = tally_unit_name(event->event.unit),
        .source = tally_source_name(event->event.source),
        .runs = event->has_total,
        .value = (double)event->total,
        .running = event->running,
        .deviation = NAN,
        .is_machine_wide = event->event.is_machine_wide,
        .unproven = event->event.is_unproven,
        .why = event->has_total ? NULL : "the recording has no total of it",
        .sum = &event->event,
    };
}

static struct stat_row missing_row_of(const struct tally_run_missing *missing)
{
    return (struct stat_row){.event = missing->name,
                             .unit = missing->unit,
                             .source = missing->source,
                             .running = 1,
                             .deviation = NAN,
                             .why = missing->why};
}

static char *why_not(const char *name)
{
    struct tally_buffer why = {0};
    tally_buffer_printf(&why,
                        "\"%s\" is not in the recording; \"tallystack record -g\" records all "
                        "that a group needs.",
                        name);
    return why.data;
}

struct totals_table {
    struct stat_row rows[4 * TALLY_MAX_EVENTS]; /* recorded, wide, missing, of the group alone */
    char *why[TALLY_MAX_EVENTS];                /* of rows that the group adds */
    int count, lacking;
};

static void add_lacking(struct totals_table *totals, const struct tally_variant *variant)
{
    int recorded = totals->count;
    for (int i = 0; i < variant->event_count; i++) {
        const char *name = variant->events[i].name;
        bool is_there = false;
        for (int k = 0; k < recorded; k++)
            is_there |= !strcmp(totals->rows[k].event, name);
        if (is_there)
            continue;
        char *why = why_not(name);
        totals->why[totals->lacking++] = why;
        totals->rows[totals->count++] = stat_missing_row(variant, i, why);
    }
}

static const struct tally_variant *variant_of(const struct tally_group *group,
                                              const struct stat_row *rows, int count)
{
    const char *names[3 * TALLY_MAX_EVENTS];
    for (int i = 0; i < count; i++)
        names[i] = rows[i].event;
    return tally_group_variant_with(group, names, count);
}

static int print_totals(const struct tally_recording *recording, FILE *out, bool csv,
                        const struct tally_group *group)
{
    const struct tally_run *run = &recording->run;
    const struct tally_variant *variant = NULL;
    struct totals_table totals = {.count = run->event_count};
    struct stat_table table = {.out = out, .csv = csv};
    bool simulated = run->events[0].event.source == TALLY_SOURCE_SIMULATED;
    for (int i = 0; i < run->event_count; i++)
        totals.rows[i] = row_of(&run->events[i]);
    for (int i = 0; i < run->wide_count; i++)
        totals.rows[totals.count++] = row_of(&run->wide[i]);
    for (int i = 0; i < run->missing_count; i++)
        totals.rows[totals.count++] = missing_row_of(&run->missing[i]);
    if (group) {
        variant = variant_of(group, totals.rows, totals.count);
        add_lacking(&totals, variant);
    }
    stat_table_metrics(totals.rows, totals.count, (double)run->wall_ns);
    if (!csv)
        fprintf(out, "Totals of %s\n\n", run->command);
    stat_table_header(&table);
    stat_table_rows(&table, totals.rows, totals.count);
    if (group && !csv)
        fprintf(out, "\n%s:\n", group->summary);
    if (group)
        stat_metrics_print(&table, variant, totals.rows, totals.count,
                           simulated ? -1 : (double)run->wall_ns);
    while (totals.lacking > 0)
        free(totals.why[--totals.lacking]);
    return ferror(out) ? -1 : 0;
}

static int print_recording(const struct tally_recording *recording,
                           const struct stat_options *options, const struct tally_group *group)
{
    FILE *out = options->output ? fopen(options->output, "we") : stdout;
    int failed = !out || print_totals(recording, out, options->csv, group) < 0;
    if (options->output && out)
        failed |= fclose(out) != 0;
    if (!failed || !options->output)
        return 0; /* command_finish() looks after the standard output */
    return tally_error("cannot write \"%s\": %s.", options->output, strerror(errno));
}

int stat_recording(const struct stat_options *options)
{
    struct tally_recording *recording = NULL;
    struct tally_group *group = NULL;
    if (options->group && tally_group_load(&group, options->group) < 0)
        return command_failed("stat");
    if (tally_recording_open(&recording, options->input) < 0) {
        tally_group_free(group);
        return command_failed("stat");
    }
    for (size_t i = 0; i < recording->note_count; i++)
        fprintf(stderr, "tallystack stat: %s\n", recording->notes[i]);
    int status = recording->is_damaged ? TALLY_EXIT_FAILED : 0;
    if (print_recording(recording, options, group) < 0)
        status = command_failed("stat");
    tally_recording_close(recording);
    tally_group_free(group);
    return options->output ? status : command_finish("stat", status);
}
