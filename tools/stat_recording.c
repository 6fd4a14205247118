#include "stat_recording.h"

#include "command.h"
#include "stat_table.h"

#include "base/error.h"
#include "base/launch.h"
#include "recording/reader.h"

#include <errno.h>
#include <math.h>
#include <string.h>

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
        .why = event->has_total ? NULL : "the recording has no total of it",
    };
}

static int print_totals(const struct tally_recording *recording, FILE *out, bool csv)
{
    const struct tally_run *run = &recording->run;
    struct stat_row rows[TALLY_MAX_EVENTS];
    struct stat_table table = {.out = out, .csv = csv};
    for (int i = 0; i < run->event_count; i++)
        rows[i] = row_of(&run->events[i]);
    stat_table_metrics(rows, run->event_count, (double)run->wall_ns);
    if (!csv)
        fprintf(out, "Totals of %s\n\n", run->command);
    stat_table_header(&table);
    stat_table_rows(&table, rows, run->event_count);
    return ferror(out) ? -1 : 0;
}

int stat_recording(const char *path, const char *output, bool csv)
{
    struct tally_recording *recording;
    if (tally_recording_open(&recording, path) < 0)
        return command_failed("stat");
    for (size_t i = 0; i < recording->note_count; i++)
        fprintf(stderr, "tallystack stat: %s\n", recording->notes[i]);
    int status = recording->is_damaged ? TALLY_EXIT_FAILED : 0;
    FILE *out = output ? fopen(output, "we") : stdout;
    int failed = !out || print_totals(recording, out, csv) < 0;
    if (output && out)
        failed |= fclose(out) != 0;
    if (failed && output) {
        tally_error("cannot write \"%s\": %s.", output, strerror(errno));
        status = command_failed("stat");
    }
    tally_recording_close(recording);
    return output ? status : command_finish("stat", status);
}
