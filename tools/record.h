/*
 * The parts of `record`, a file each:
 *
 *   record.c            options, and the way through the rest
 *   record_events.c     which events, and what stands in where they cannot be had
 *   record_group.c      which events a group of metrics has
 *   record_pace.c       samples that come too fast for the kernel
 *   record_describe.c   what the recording says of its run
 *   record_totals.c     totals and their series over time
 *   record_run.c        waiting for the program's end, closing the recording
 *   record_measured.c   a run on this machine, with the agent preloaded
 *   record_simulated.c  a run on a model machine, under the simulator
 *   record_progress.c   how far such a run is, on a terminal
 *
 * What can fail returns a negative number and leaves a sentence (base/error.h).
 */
#ifndef TALLY_TOOLS_RECORD_H
#define TALLY_TOOLS_RECORD_H

#include "base/launch.h"
#include "profile/profile.h"
#include "recording/run.h"
#include "recording/session.h"
#include "sources/simulated.h"
#include "sources/simulated_outcome.h"
#include "totals.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* A clock that overflows faster than a sample takes would leave the program no time. */
enum { HIGHEST_FREQUENCY = 50000 }; /* samples per second */

struct record {
    const char *events, *group, *source, *output, *simulate, *within;
    uint64_t frequency, interval_ms, max_size;
    uint64_t watch_percent; /* of one CPU, for seeing what threads wait for */
    bool is_native, is_quiet;
    const char *sampling; /* an option that was given and means nothing in a simulation, or NULL */
    char **argv;

    char *names; /* of the events of `group` that can be had */
    struct tally_event_list list;
    struct tally_event_list machine; /* those that count for the whole machine */
    struct tally_model model;        /* with --simulate */
    struct tally_run run;
    struct totals totals;
    uint64_t start_ns;
    struct record_progress {
        uint64_t shown_ns, count; /* last; 0: not yet */
    } progress;
    int said, said_missing; /* notes and missing events that were printed */
};

/* With -g: sets `events` to what can be had of the group's. */
int record_choose_group(struct record *record);
/* Fills `list`: makes sure by doing that each event can be had, or falls back with a note. */
int record_choose_events(struct record *record);
/* As record_choose_events(), with --simulate: fills `model` too. */
int record_choose_simulated(struct record *record);

/*
 * Notes that the event's samples will come faster than the kernel lets through; fails where it
 * would refuse them.
 */
int record_check_pace(struct record *record, const struct tally_event *event,
                      const struct tally_probe *probe);
/* Notes what is in the row [lost] since no sample could be taken of it, and why. */
void record_note_gaps(struct record *record, const struct tally_profile *profile);

/* Fills `run` with all that is known before the program starts. */
void record_describe(struct record *record);
int record_write_description(struct record *record, struct tally_session *session);
/* Prints the run's missing events and notes that were not printed yet, unless --quiet. */
void record_say_notes(struct record *record);

/* One line on standard error, if that is a terminal, written anew each second. */
void record_show_progress(struct record *record, const struct tally_session *session);
void record_end_progress(const struct record *record);

/* CLOCK_MONOTONIC */
uint64_t record_now_ns(void);
/* Appends the totals as of now to the series. */
void record_keep_interval(struct record *record, struct tally_session *session);
/* Wall, user and system time of the run that has just ended. */
void record_take_times(struct record *record, const struct rusage *usage);
int record_take_totals(struct record *record);
/* A tally_session_hold() callback; `counting` is the record. */
void record_count_now(void *counting, uint64_t *counted);

/* Serves the session until the program has ended. */
int record_wait(struct record *record, struct tally_launch *launch, struct tally_session *session,
                int *status, struct rusage *usage);
/* Seals the recording; reads it back for what the sources were, and prints the summary. */
int record_finish(struct record *record, struct tally_session *session);

/* Run the program; print what failed; return the exit status. */
int record_measured(struct record *record);
int record_simulated(struct record *record);

#endif
