/*
 * All events of a run, each counted by its own source: tally_event.source says which.
 */
#ifndef TALLY_SOURCES_COUNTING_H
#define TALLY_SOURCES_COUNTING_H

#include "sources/source.h"

struct tally_counting;

/*
 * Attaches to the held process `pid` as tally_source.open() does. `events` is copied. On failure
 * nothing is left open; else *out is the caller's, to be ended with tally_counting_close().
 */
int tally_counting_open(struct tally_counting **out, const struct tally_event *events, int count,
                        pid_t pid);

/* As of now; `counts` has room for one per event, in the order of the events. */
int tally_counting_read(struct tally_counting *counting, struct tally_count *counts);

/* NULL is allowed. */
void tally_counting_close(struct tally_counting *counting);

#endif
