/*
 * Making a recording: the recorder's side of a run.
 *
 * prepare -> (start the workload held, attach totals) -> commit or release
 *         -> serve until the workload ends -> end -> describe -> seal -> release
 *
 * Everything is written to a folder beside the wanted one, which takes its place only when the
 * program has really started: a start that fails leaves nothing and touches nothing.
 */
#ifndef TALLY_RECORDING_SESSION_H
#define TALLY_RECORDING_SESSION_H

#include "agent/protocol.h"
#include "events/event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tally_session_options {
    const char *path;   /* of the recording; an older one there is kept as PATH.old */
    uint64_t max_size;  /* bytes; 0: no bound */
    bool is_native;     /* do not look for interpreters */
    bool is_clock;      /* no perf events in the workload */
    double watch_share; /* of one CPU, for watching what threads wait for; 0: not watched */
    bool is_simulated;  /* no agents: the simulator writes the images; there is no environment */
};

struct tally_session;

/*
 * Makes the folder, the control page and the socket. `events` is only read during the call. On
 * success *out is the caller's, to be ended with tally_session_release().
 */
int tally_session_prepare(struct tally_session **out, const struct tally_session_options *options,
                          const struct tally_event_list *events);

/* The environment for the workload, ours plus what the agent needs; borrowed. */
char *const *tally_session_environment(struct tally_session *session);

/* What the recorder itself has counted up to now, one number per event at its first counter. */
typedef void tally_count_now(void *counting, uint64_t *counts);

/*
 * Tells which process will be the program, before it is let go. `count_now`, which may be NULL, is
 * asked when the program's agent reports: what was counted by then is its start.
 */
void tally_session_hold(struct tally_session *session, pid_t root, tally_count_now *count_now,
                        void *counting);

/* Moves the recording to its place; a simulated one before the program starts. */
int tally_session_commit(struct tally_session *session);

/* Takes the recording away again and gives an older one its name back: the program was refused. */
void tally_session_discard(struct tally_session *session);

/* Of a simulated recording: what hands out the image files. Borrowed. */
const struct tally_handout *tally_session_handout(const struct tally_session *session);

/* A descriptor that polls readable when a process wants something; then call serve. */
int tally_session_descriptor(const struct tally_session *session);
void tally_session_serve(struct tally_session *session);

/* One row of the interval series: event `index` had `value` at `time_s` seconds. */
int tally_session_series(struct tally_session *session, double time_s, const char *event,
                         const char *unit, const char *source, const uint64_t *value);

/* The sentence why the program that was asked for cannot be sampled; NULL if it can. Borrowed. */
const char *tally_session_refusal(const struct tally_session *session);

/* How the run went, as the agents told. */
struct tally_session_news {
    bool has_foreign; /* programs without the agent ran */
    uint32_t stopped; /* 0, 1: --max-size was reached, else the errno that ended writing */
    uint32_t images;
    uint32_t outliving;    /* processes that go on after the program's end */
    uint64_t watch_ns;     /* CPU time that watching has cost */
    const char *watch_gap; /* the sentence what the watcher could not see; NULL: nothing */
    const char *tasks_gap; /* likewise, of what event loops wait for */
};
/* When the run is over: processes that outlive it write no more. */
struct tally_session_news tally_session_news(struct tally_session *session);

/* Writes session.json; once before the program starts, in case the recorder is killed. */
int tally_session_describe(struct tally_session *session, const json_t *description);

/* Ends what is written about the run's processes. */
int tally_session_end(struct tally_session *session);

/* The recording's folder, for files that are made from it before it is sealed. */
int tally_session_directory(const struct tally_session *session);

/* Checksums all files. Nothing is written to the recording after this. */
int tally_session_seal(struct tally_session *session);

/* Frees; a session that was not committed leaves nothing on disk. */
void tally_session_release(struct tally_session *session);

#endif
