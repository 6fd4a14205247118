/* The totals of a run and their series, beside the samples. */
#include "record.h"

#include "base/error.h"

#include <time.h>

uint64_t record_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void keep(struct tally_session *session, double time_s, const struct tally_run_event *events,
                 int count, const struct tally_count *counts)
{
    for (int i = 0; i < count; i++) {
        const struct tally_event *event = &events[i].event;
        tally_session_series(session, time_s, event->name, tally_unit_name(event->unit),
                             tally_source_name(event->source),
                             counts[i].missing ? NULL : &counts[i].value);
    }
}

void record_keep_interval(struct record *record, struct tally_session *session)
{
    const struct tally_run *run = &record->run;
    double time_s = (double)(record_now_ns() - record->start_ns) / 1e9;
    struct tally_count counts[TALLY_MAX_EVENTS], machine[TALLY_MAX_EVENTS];
    if (totals_read(&record->totals, counts) < 0)
        return;
    keep(session, time_s, run->events, run->event_count, counts);
    /* These may have to be waited for, and are as of then. */
    if (totals_read_machine(&record->totals, machine) < 0)
        return;
    time_s = (double)(record_now_ns() - record->start_ns) / 1e9;
    keep(session, time_s, run->wide, run->wide_count, machine);
}

static uint64_t usage_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

void record_take_times(struct record *record, const struct rusage *usage)
{
    record->run.start_ns = record->start_ns;
    record->run.wall_ns = record_now_ns() - record->start_ns;
    record->run.user_ns = usage_ns(&usage->ru_utime);
    record->run.system_ns = usage_ns(&usage->ru_stime);
}

static void take(struct tally_run *run, struct tally_run_event *event,
                 const struct tally_count *count)
{
    event->has_total = !count->missing;
    event->total = count->value;
    event->running = count->missing ? 0 : count->running;
    if (count->missing)
        tally_run_note(run, "%s has no total: %s", event->event.name, count->why);
}

int record_take_totals(struct record *record)
{
    struct tally_run *run = &record->run;
    struct tally_count counts[TALLY_MAX_EVENTS], machine[TALLY_MAX_EVENTS];
    if (totals_read(&record->totals, counts) < 0 ||
        totals_read_machine(&record->totals, machine) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < run->event_count; i++)
        take(run, &run->events[i], &counts[i]);
    for (int i = 0; i < run->wide_count; i++)
        take(run, &run->wide[i], &machine[i]);
    return 0;
}

void record_count_now(void *counting, uint64_t *counted)
{
    struct record *record = counting;
    struct tally_count counts[TALLY_MAX_EVENTS];
    if (totals_read(&record->totals, counts) < 0)
        return;
    for (int i = 0; i < record->run.event_count; i++)
        if (!counts[i].missing)
            counted[record->run.events[i].first_counter] = counts[i].value;
}
