/*
 * Opening and reading one kernel counter.
 */
#ifndef TALLY_EVENTS_PERF_H
#define TALLY_EVENTS_PERF_H

#include "events/event.h"

#include <sys/types.h>

enum tally_perf_mode {
    TALLY_PERF_SELF,     /* the calling thread, from tally_perf_enable() on */
    TALLY_PERF_WORKLOAD, /* process `pid` and all its descendants, from its exec on */
    TALLY_PERF_THREADS, /* what the calling thread forks, from its exec on; see sources/threads.h */
    TALLY_PERF_LAUNCH,  /* process `pid` alone, up to its exec; needs Linux 5.13 */
};

/* Returns a descriptor, closed on exec and owned by the caller, or -errno. */
int tally_perf_open(const struct tally_term *term, enum tally_perf_mode mode, pid_t pid);

/* The same in the group that the descriptor `leader` leads: both count, or neither. */
int tally_perf_open_in(const struct tally_term *term, enum tally_perf_mode mode, pid_t pid,
                       int leader);

void tally_perf_enable(int fd);

/*
 * Whether the processor can count all of these at once, found by doing: it cannot where it has too
 * few counters, or other programs (the NMI watchdog) hold them. The first one leads the group.
 */
bool tally_perf_fit(const struct tally_term *const *terms, int count);

struct tally_perf_value {
    uint64_t value;   /* as counted */
    uint64_t enabled; /* ns */
    uint64_t running; /* ns */
};

/* 0, or -errno; -EIO when the kernel gave the counter up. */
int tally_perf_read(int fd, struct tally_perf_value *out);

/*
 * Sets the sentence for a perf_event_open of this event that failed with `error` and returns
 * TALLY_NOT_FOUND, TALLY_NOT_ALLOWED or TALLY_ERROR.
 */
int tally_perf_refused(const struct tally_event *event, int error);

/*
 * 0 when opening the event could count what its name says; otherwise negative with the sentence:
 * an event of another processor, a preset that this one lacks, or one that could only stay 0.
 */
int tally_perf_check(const struct tally_event *event);

/* Whether time is asked for by mode (task-clock:u): the kernel filters samples, not the count. */
bool tally_event_is_filtered_clock(const struct tally_event *event);

#endif
