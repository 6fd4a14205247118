/*
 * One event of a workload counted by the kernel: the descriptors of its terms. `slots` is common to
 * all that are opened for a run, and outlives them.
 *
 * An event that cannot be opened stays a counter that reads as missing, with the reason.
 */
#ifndef TALLY_SOURCES_KERNEL_COUNTER_H
#define TALLY_SOURCES_KERNEL_COUNTER_H

#include "events/perf.h"
#include "events/slots.h"
#include "sources/source.h"

struct tally_kernel_counter {
    const struct tally_event *event; /* borrowed */
    int fds[TALLY_MAX_TERMS];
    int open_count; /* 0 when missing */
    char *why;      /* when missing: owned */
};

/* Fails only when there is no process `pid`; a refused event is missing. */
int tally_kernel_counter_open(struct tally_kernel_counter *counter, const struct tally_event *event,
                              struct tally_slots *slots, pid_t pid);
/* Counts up to the exec instead, once tally_kernel_counter_enable() is called. */
int tally_kernel_counter_open_launch(struct tally_kernel_counter *counter,
                                     const struct tally_event *event, struct tally_slots *slots,
                                     pid_t pid);
void tally_kernel_counter_enable(const struct tally_kernel_counter *counter);
void tally_kernel_counter_read(struct tally_kernel_counter *counter, struct tally_count *count);
void tally_kernel_counter_close(struct tally_kernel_counter *counter);

#endif
