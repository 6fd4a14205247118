/*
 * What session.json says of a run: the one structure that the recorder writes and readers get.
 *
 * To add a field: here, in the writer and in the reader of run.c, both in the same order.
 */
#ifndef TALLY_RECORDING_RUN_H
#define TALLY_RECORDING_RUN_H

#include "events/event.h"
#include "recording/format.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TALLY_RUN_FORMAT = 3, TALLY_MAX_NOTES = 40 };

struct tally_run_event {
    struct tally_event event;
    int first_counter; /* of the event's terms; see tally_sample.counter */
    bool has_total;    /* false: missing */
    uint64_t total;    /* over all processes, from the exec to the end of the program */
    double running;    /* share of the time it was counting, 0..1 */
};

/* An event that was asked for and could not be counted. */
struct tally_run_missing {
    char *name, *why;
    const char *unit, *source; /* "count", "software", ...; "" where not known */
};

struct tally_run {
    char *command;   /* as it could be typed */
    char *directory; /* it was started in */
    char *machine;   /* host, kernel, processor */
    char *started;   /* ISO 8601, UTC */
    char *version;   /* of tallystack */
    uint64_t wall_ns, user_ns, system_ns;
    uint64_t start_ns;        /* CLOCK_MONOTONIC, where series.csv begins; 0: not known */
    int exit_status;          /* as a shell reports it; -1 while it runs */
    bool is_clock;            /* CPU timers instead of perf events */
    bool has_foreign;         /* programs without the agent ran */
    uint32_t stopped;         /* see tally_session_news */
    uint64_t tick_samples;    /* of one counter that the kernel lets through in one of its ticks,
                                 before it throttles; 0: not known */
    uint64_t interval_ms;     /* of series.csv; 0: none */
    double delivery_ns;       /* measured cost of delivering one overflow to an empty handler */
    double clock_delivery_ns; /* the same for clocks */
    uint64_t watch_ns;        /* CPU time of the recorder for watching what threads wait for */
    double fault_ns;          /* measured cost of a page fault; 0: not measured */
    int event_count, counter_count;
    struct tally_run_event events[TALLY_MAX_EVENTS];
    int wide_count; /* counted for the whole machine: totals and series, no samples, no terms */
    struct tally_run_event wide[TALLY_MAX_EVENTS];
    int missing_count;
    struct tally_run_missing missing[TALLY_MAX_EVENTS];
    int note_count;
    char *notes[TALLY_MAX_NOTES]; /* what is missing or was degraded, one sentence each */
};

/* A new reference. */
json_t *tally_run_to_json(const struct tally_run *run);

/* Fills `run`, which the caller ends with tally_run_release() in either case. */
int tally_run_from_json(struct tally_run *run, const json_t *json);

/* Unit and source are one of those names, or empty. */
void tally_run_miss(struct tally_run *run, const char *name, const char *unit, const char *source,
                    const char *why);
/* NULL if nothing of that name is missing. */
const struct tally_run_missing *tally_run_missing_of(const struct tally_run *run, const char *name);

void tally_run_note(struct tally_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void tally_run_release(struct tally_run *run);

/* The event that counter number `counter` belongs to, and its term; -1 if there is none. */
int tally_run_event_of(const struct tally_run *run, unsigned counter, int *term);

/* Whether samples of the event stand for exactly what they say, each for one count. */
bool tally_run_is_exact(const struct tally_run_event *event);

#endif
