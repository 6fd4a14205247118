/*
 * Counts of a workload for each of its threads, those of its children included.
 *
 * Nothing is loaded into the workload and no thread is too short: the kernel's inherited counters
 * are opened on the calling thread, asleep, before it forks the workload, and the kernel reports
 * what each descendant counted when that thread ends (perf_event_attr.inherit_stat and
 * PERF_RECORD_READ). Names of threads come with the records of task and comm events.
 *
 * A counter that follows from processor to processor cannot be given a buffer itself, and one per
 * processor would be inherited that many times: each writes into the buffer of a counter beside it
 * that counts nothing. Records of one counter are written one after the other, since the kernel
 * takes its descendants off under one lock. Not all kernels report: it is tried.
 */
#ifndef TALLY_SOURCES_THREADS_H
#define TALLY_SOURCES_THREADS_H

#include "sources/source.h"

/* A thread that has ended, or (tid 0) all that had not when the workload did. */
struct tally_thread_count {
    uint32_t pid, tid; /* as this process sees them */
    char process[16];  /* the kernel's names, as they were last; "" where not known */
    char name[16];
    struct tally_count counts[TALLY_MAX_EVENTS];
};

struct tally_threads;

/*
 * Opens the events, before tally_launch_prepare() and on the same thread; counting starts at the
 * exec. `events` must outlive the context. On failure nothing is left open.
 */
int tally_threads_open(struct tally_threads **out, const struct tally_event *events, int count);

/* Waits up to 20 ms, less when `process` (a pidfd, or -1) ends, and takes in what was reported. */
void tally_threads_follow(struct tally_threads *threads, int process);

/*
 * After the workload's end: all threads in order of PID and TID, `*out` borrowed until close. When
 * the kernel had to drop reports `*lost` is set, and what they said is in the row of tid 0.
 */
int tally_threads_finish(struct tally_threads *threads, const struct tally_thread_count **out,
                         bool *lost);

void tally_threads_close(struct tally_threads *threads);

#endif
