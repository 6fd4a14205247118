/*
 * What the kernel reports of threads: their counts when they end (PERF_RECORD_READ), and their
 * names (PERF_RECORD_FORK and _COMM). For threads.c, which opens the events and their buffers.
 */
#ifndef TALLY_SOURCES_THREAD_REPORTS_H
#define TALLY_SOURCES_THREAD_REPORTS_H

#include "events/perf.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum { THREAD_REPORTS_BUFFER = 32 << 10 }; /* bytes behind the first page */

/* A thread of which records came in. */
struct reported_thread {
    uint64_t key; /* pid and tid */
    char name[16];
    bool has_counts;
    UT_hash_handle hh;
    struct tally_perf_value sums[]; /* one per term */
};

/* A thread began or was named; the buffers of several processors are put in order by time. */
struct thread_naming {
    uint64_t time;
    uint32_t pid, tid, parent_pid, parent_tid;
    char name[16]; /* "" for a fork: as its parent */
};

/* Zero-initialise it and set term_count. */
struct thread_reports {
    int term_count;
    struct reported_thread *threads; /* a hash; after thread_reports_finish() in order */
    struct thread_naming *namings;
    size_t naming_count, naming_room;
    bool lost; /* the kernel had to drop counts */
};

/* Takes in what a buffer holds: of the counter of this term, or names where it is -1. */
void thread_reports_take(struct thread_reports *reports, struct perf_event_mmap_page *page,
                         int term);

/* Gives the threads their names, and orders them by PID and TID. */
void thread_reports_finish(struct thread_reports *reports);

/* Forgets all that was reported. */
void thread_reports_release(struct thread_reports *reports);

#endif
