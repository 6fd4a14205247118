/* What a recording says of its run: command, machine, costs, events. */
#include "record.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "events/throttle.h"
#include "sources/delivery.h"
#include "sources/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static char *machine_name(void)
{
    struct utsname kernel = {0};
    struct tally_buffer text = {0};
    char line[256], processor[128] = "";
    FILE *info = fopen("/proc/cpuinfo", "re");
    uname(&kernel);
    while (info && fgets(line, sizeof(line), info))
        if (sscanf(line, "model name : %127[^\n]", processor) == 1)
            break;
    if (info)
        fclose(info);
    tally_buffer_printf(&text, "%s, %s, %ld x %s, Linux %s", kernel.nodename, kernel.machine,
                        sysconf(_SC_NPROCESSORS_ONLN), *processor ? processor : "processor",
                        kernel.release);
    return text.data;
}

static void measure_delivery(struct record *record)
{
    struct tally_run *run = &record->run;
    run->fault_ns = tally_fault_cost();
    if (run->is_clock) {
        run->clock_delivery_ns = run->delivery_ns = tally_delivery_cost(TALLY_DELIVERY_TIMER);
        return;
    }
    run->delivery_ns = tally_delivery_cost(TALLY_DELIVERY_FAULT);
    for (int i = 0; i < record->list.count && !run->clock_delivery_ns; i++)
        if (record->list.events[i].is_clock && !record->list.events[i].read_only)
            run->clock_delivery_ns = tally_delivery_cost(TALLY_DELIVERY_CLOCK);
}

void record_describe(struct record *record)
{
    struct tally_run *run = &record->run;
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    char *directory = getcwd(NULL, 0);
    run->command = tally_text_command(record->argv);
    run->directory =
        tally_text_clean(directory ? directory : "", strlen(directory ? directory : ""));
    free(directory);
    run->machine = machine_name();
    run->started = tally_strdup(date);
    run->version = tally_strdup(TALLYSTACK_VERSION);
    run->exit_status = -1;
    run->interval_ms = record->interval_ms;
    if (!record->simulate) {
        measure_delivery(record);
        run->tick_samples = tally_throttle_tick_samples();
    }
    run->event_count = record->list.count;
    for (int i = 0; i < run->event_count; i++) {
        run->events[i].event = record->list.events[i];
        run->events[i].first_counter = run->counter_count;
        run->events[i].running = 1;
        run->counter_count += record->list.events[i].term_count;
    }
    run->wide_count = record->machine.count;
    for (int i = 0; i < run->wide_count; i++)
        run->wide[i] = (struct tally_run_event){.event = record->machine.events[i], .running = 1};
}

int record_write_description(struct record *record, struct tally_session *session)
{
    json_t *description = tally_run_to_json(&record->run);
    if (!description)
        return tally_error("cannot describe the run.");
    int result = tally_session_describe(session, description);
    json_decref(description);
    return result;
}

void record_say_notes(struct record *record)
{
    for (; record->said_missing < record->run.missing_count; record->said_missing++)
        if (!record->is_quiet)
            fprintf(stderr, "tallystack record: %s is not counted: %s\n",
                    record->run.missing[record->said_missing].name,
                    record->run.missing[record->said_missing].why);
    for (; record->said < record->run.note_count; record->said++)
        if (!record->is_quiet)
            fprintf(stderr, "tallystack record: %s\n", record->run.notes[record->said]);
}
