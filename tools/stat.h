/*
 * What the files of stat share: its options, and the events of a run with what was counted.
 *
 * stat.c parses the options and goes through the steps; stat_events.c finds where each event is
 * counted; stat_run.c runs the program and counts; stat_threads.c does so for each thread;
 * stat_verdict.c draws one line from the result;
 * stat_simulated.c does both on a model machine; stat_group.c takes the events from a group of
 * metrics, which stat_metrics.c makes of the counts; stat_table.c prints; stat_recording.c does all
 * of it for a recording.
 */
#ifndef TALLY_TOOLS_STAT_H
#define TALLY_TOOLS_STAT_H

#include "base/launch.h"
#include "events/event.h"
#include "events/group.h"
#include "sources/simulated_model.h"
#include "sources/turns.h"
#include "stat_metrics.h"
#include "stat_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct stat_options {
    const char *events; /* NULL: what this machine can count */
    const char *group;  /* of metrics, with its events */
    uint64_t repeats;
    uint64_t interval_ms; /* 0: no series */
    const char *output;   /* NULL: stderr */
    const char *input;    /* a recording, instead of a program to run */
    const char *simulate; /* a model machine to count on, instead of this one */
    bool by_thread;
    bool multiplex; /* more events than counters take turns */
    bool csv;
};

/* One event of the run and its values so far; event.source is the one that really counts it. */
struct stat_event {
    struct tally_event event;
    bool unproven;
    bool is_missing;             /* it is not even opened; `why` says it */
    struct tally_turns turns;    /* with takes_turns, of the last run */
    double turn_deviation;       /* negative: it ran too little for one */
    struct tally_count previous; /* at the last interval */
    int runs;
    double core_share;             /* as in tally_count, of the last run */
    double mean, squares, running; /* squares: the sum of the squared distances from the mean */
    char why[1024];                /* it is missing */
};

enum { STAT_TIMES = 3 };

struct stat {
    struct stat_options options;
    struct stat_event events[TALLY_MAX_EVENTS];
    int count;
    bool takes_turns;                    /* there are more events than counters */
    struct stat_event times[STAT_TIMES]; /* elapsed, user, system; not of a simulated run */
    struct stat_event ready; /* without a CPU, of runs whose main thread did nearly all there was */
    struct tally_model model; /* with simulate */
    struct stat_table table;
    struct tally_group *group; /* with options.group */
    const struct tally_variant *variant;
    char *names;                        /* its events that are known here */
    char *unresolved[TALLY_MAX_EVENTS]; /* why an event of the variant is not known here */
};

/*
 * Finds out which events are counted, and where: those that were asked for, of which none is
 * replaced in silence, or what every machine can tell and what the processor adds where it can be
 * counted.
 */
int stat_choose_events(struct stat *stat);

/*
 * Runs the program once and adds what was counted to the events, or prints it interval by interval.
 * `*exit_status` is the program's, or 125 to 127.
 */
int stat_run(struct stat *stat, char **command, int *exit_status);

/*
 * As stat_run(), and prints the counts of each thread when the program has ended. What was counted
 * is not added to the events, only to the times.
 */
int stat_run_by_thread(struct stat *stat, char **command, int *exit_status);

/* As stat_choose_events() and stat_run(), on the model machine, which is loaded first. */
int stat_choose_simulated(struct stat *stat);
int stat_run_simulated(struct stat *stat, char **command, int *exit_status);

/* Loads the group and sets options.events to those of its events that are known here. */
int stat_choose_group(struct stat *stat);
void stat_release_group(struct stat *stat);

/* Once the others are chosen: those events of the group that are not known here, as missing. */
void stat_add_unresolved(struct stat *stat);

/* Adds one run's value, counted in `running` of the time. */
void stat_add_value(struct stat_event *event, double value, double running);

/* Adds one run's times to stat.times and stat.ready. */
void stat_add_times(struct stat *stat, double elapsed_ns, const struct rusage *usage,
                    const struct tally_launch *launch);

/* The header of the table, on a screen with a line above that says what it is of. */
void stat_print_heading(const struct stat *stat, char **command, const char *how);

/* One line: what bounds the program, as far as times and counts tell. */
void stat_print_verdict(const struct stat *stat);

struct stat_row stat_row_of(const struct stat_event *event);

#endif
