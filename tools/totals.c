#include "totals.h"

/* The kernel counts all of a clock's time, whatever of it is to be left out; only samples know. */
static bool is_partial_clock(const struct tally_event *event)
{
    const struct tally_term *term = &event->terms[0];
    return event->is_clock && (term->exclude_user || term->exclude_kernel);
}

int totals_open(struct totals *totals, const struct tally_run *run, pid_t pid)
{
    int result = 0;
    *totals = (struct totals){.run = run};
    for (int i = 0; i < run->event_count; i++)
        totals->events[i] = run->events[i].event;
    if (run->is_clock)
        result = tally_source_of(TALLY_SOURCE_CLOCK)
                     ->open(&totals->accounts, totals->events, run->event_count, pid);
    while (result == 0 && !run->is_clock && totals->open_count < run->event_count) {
        int i = totals->open_count;
        result = tally_kernel_counter_open(&totals->counters[i], &totals->events[i], pid);
        totals->open_count += result == 0;
    }
    if (result < 0)
        totals_close(totals);
    return result;
}

int totals_read(struct totals *totals, struct tally_count *counts)
{
    if (totals->accounts)
        return tally_source_of(TALLY_SOURCE_CLOCK)->read(totals->accounts, counts);
    for (int i = 0; i < totals->open_count; i++) {
        tally_kernel_counter_read(&totals->counters[i], &counts[i]);
        if (is_partial_clock(&totals->events[i]))
            counts[i] = (struct tally_count){
                .missing = true,
                .why = "the kernel counts user and system time together, only samples tell them "
                       "apart."};
    }
    return 0;
}

void totals_close(struct totals *totals)
{
    while (totals->open_count > 0)
        tally_kernel_counter_close(&totals->counters[--totals->open_count]);
    if (totals->accounts)
        tally_source_of(TALLY_SOURCE_CLOCK)->close(totals->accounts);
    totals->accounts = NULL;
}
