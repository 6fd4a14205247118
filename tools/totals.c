#include "totals.h"

#include <string.h>

/* The kernel counts all of a clock's time, whatever of it is to be left out; only samples know. */
static bool is_partial_clock(const struct tally_event *event)
{
    const struct tally_term *term = &event->terms[0];
    return event->is_clock && (term->exclude_user || term->exclude_kernel);
}

/*
 * PAPI pins what it counts. Where the program's threads, which count the same for their samples, do
 * not find counters beside it, they would never have a turn.
 */
static bool fits_beside_samples(const struct tally_event *events, int count)
{
    struct tally_event twice[2 * TALLY_MAX_EVENTS];
    memcpy(twice, events, (size_t)count * sizeof(*twice));
    memcpy(twice + count, events, (size_t)count * sizeof(*twice));
    return tally_events_fit(twice, 2 * count) == 2 * count;
}

static int open_machine(struct totals *totals, pid_t pid)
{
    struct tally_event events[TALLY_MAX_EVENTS];
    const struct tally_run *run = totals->run;
    for (int i = 0; i < run->wide_count; i++)
        events[i] = run->wide[i].event;
    return run->wide_count ? tally_counting_open(&totals->machine, events, run->wide_count, pid)
                           : 0;
}

static int open_events(struct totals *totals, pid_t pid)
{
    const struct tally_run *run = totals->run;
    int result = 0;
    if (run->is_clock || fits_beside_samples(totals->events, run->event_count))
        return tally_counting_open(&totals->counting, totals->events, run->event_count, pid);
    while (result == 0 && totals->open_count < run->event_count) {
        int i = totals->open_count;
        result = tally_kernel_counter_open(&totals->counters[i], &totals->events[i], &totals->slots,
                                           pid);
        totals->open_count += result == 0;
    }
    return result;
}

int totals_open(struct totals *totals, const struct tally_run *run, pid_t pid)
{
    *totals = (struct totals){.run = run};
    for (int i = 0; i < run->event_count; i++)
        totals->events[i] = run->events[i].event;
    int result = open_events(totals, pid);
    if (result == 0)
        result = open_machine(totals, pid);
    if (result < 0)
        totals_close(totals);
    return result;
}

int totals_read_machine(struct totals *totals, struct tally_count *counts)
{
    return totals->machine ? tally_counting_read(totals->machine, counts) : 0;
}

int totals_read(struct totals *totals, struct tally_count *counts)
{
    if (totals->counting && tally_counting_read(totals->counting, counts) < 0)
        return -1;
    for (int i = 0; i < totals->open_count; i++)
        tally_kernel_counter_read(&totals->counters[i], &counts[i]);
    for (int i = 0; i < totals->run->event_count && !totals->run->is_clock; i++)
        if (is_partial_clock(&totals->events[i]))
            counts[i] = (struct tally_count){
                .missing = true,
                .why = "the kernel counts user and system time together, only samples tell them "
                       "apart."};
    return 0;
}

void totals_close(struct totals *totals)
{
    while (totals->open_count > 0)
        tally_kernel_counter_close(&totals->counters[--totals->open_count]);
    tally_slots_close(&totals->slots);
    tally_counting_close(totals->counting);
    tally_counting_close(totals->machine);
    totals->counting = totals->machine = NULL;
}
