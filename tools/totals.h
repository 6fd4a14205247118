/* What a recorded program counts in all, process by process and agent or not: the run's totals. */
#ifndef TALLY_TOOLS_TOTALS_H
#define TALLY_TOOLS_TOTALS_H

#include "recording/run.h"
#include "sources/counting.h"
#include "sources/kernel_counter.h"

struct totals {
    const struct tally_run *run; /* borrowed */
    struct tally_event events[TALLY_MAX_EVENTS];
    struct tally_counting *counting;                        /* by the sources; NULL: */
    struct tally_kernel_counter counters[TALLY_MAX_EVENTS]; /* by turns */
    int open_count;                                         /* of `counters` */
    struct tally_slots slots;                               /* of `counters` */
    struct tally_counting *machine;                         /* of run->wide; NULL: none */
};

/* Attaches to the held workload. On failure nothing is left open. */
int totals_open(struct totals *totals, const struct tally_run *run, pid_t pid);

/* As of now; `counts` has room for one per event of the run. */
int totals_read(struct totals *totals, struct tally_count *counts);

/* The same for run->wide. */
int totals_read_machine(struct totals *totals, struct tally_count *counts);

void totals_close(struct totals *totals);

#endif
