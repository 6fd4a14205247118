/*
 * What a recording says, as numbers: who (process and thread), where (call path, native address)
 * and how much of each event.
 *
 * A profile is made once from a recording and then only read. Its paths form one tree over all
 * processes; a path is a function, the line in it that was executing, and the caller's path. Its
 * cells are the distinct (thread, path, address) that were sampled, each with one value per event.
 * The cells of an event, summed, are its total in the recording: what was not sampled is in cells
 * of bracketed functions ([start-up and exit], [no agent], [lost], ...).
 */
#ifndef TALLY_PROFILE_PROFILE_H
#define TALLY_PROFILE_PROFILE_H

#include "recording/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_function {
    const char *module; /* dotted, "__main__" for the program; "" for bracketed rows */
    const char *name;   /* co_qualname, or a bracketed row */
    const char *file;   /* absolute, or <frozen ...>; "" for bracketed rows */
    uint32_t first_line;
};

enum { TALLY_NO_PATH = 0 }; /* parent of the outermost frames; path 0 itself is never sampled */

struct tally_path {
    uint32_t parent;
    uint32_t function;
    uint32_t line;
};

struct tally_value {
    double sampled;   /* sum of the weights of samples */
    double squares;   /* sum of their squares */
    double exact;     /* not from samples but from counts: known to the count */
    uint64_t samples; /* how many */
};

struct tally_cell {
    uint32_t thread;
    uint32_t path;
    uint32_t image; /* number of the process image, for its objects */
    uint64_t pc;    /* 0 unless the profile was made with addresses */
};

/* A program or library in a process image. */
struct tally_loaded {
    uint32_t image;
    uint64_t start, end, bias;
    const char *path;
};

struct tally_process {
    uint32_t pid, parent; /* PID 0: what is known of no process */
    char *name;           /* "PID NAME" */
    uint32_t python;      /* PY_VERSION_HEX of its last image, 0 if none */
    bool is_clock;        /* sampled by CPU timers */
};

struct tally_profile_thread {
    uint32_t process;
    uint32_t tid;
    char *name; /* "TID NAME" */
};

/* A thread's accounts from its begin to its end, by the kernel; see tally_life in format.h. */
struct tally_lifetime {
    uint32_t thread;
    bool is_watched;                      /* told by the watcher, not by the agent */
    uint32_t image, slot, life;           /* which one */
    const struct tally_life *begin, *end; /* in the recording; either may be NULL */
};

/* The process's first thread while it was this image. */
struct tally_image_span {
    uint32_t thread;
    uint64_t ns; /* 0: its end is not known */
};

/* What the watcher saw of a thread; see tally_wait in format.h. */
struct tally_look {
    uint32_t thread, path;
    uint32_t holder; /* path of the function that held the GIL; TALLY_NO_PATH: not known */
    enum tally_state state;
    enum tally_waker waker;
    bool is_whole;
    uint64_t begin_ns, duration_ns;
    /* In an event loop, a part of a look; see tally_await. */
    uint32_t tasks, taken; /* 0: it is no part */
    bool is_estimated, goes_on;
};

struct tally_profile {
    const struct tally_run *run; /* borrowed from the recording */
    size_t event_count;
    size_t function_count, path_count, process_count, thread_count, cell_count;
    struct tally_function *functions;
    struct tally_path *paths;
    struct tally_process *processes;
    struct tally_profile_thread *threads;
    struct tally_cell *cells;
    size_t loaded_count;
    struct tally_loaded *loaded;
    struct tally_value *values; /* cell_count x event_count */
    struct tally_value *totals; /* event_count: sums over the cells */
    struct tally_value *pools;  /* event_count: what the samples were drawn from; NULL: totals */
    uint64_t samples, handler_calls;
    double handler_ns;        /* time in the agent's handler, over all threads */
    uint64_t untimed_samples; /* of processes that were killed: their handler's time is not known */
    double lost[TALLY_MAX_EVENTS];       /* in the row [lost] */
    double unsampled[TALLY_MAX_EVENTS];  /* of that, for the sake of `gaps` */
    double unfinished[TALLY_MAX_EVENTS]; /* after the last samples of threads: it is in the row
                                            [start-up and exit], and may be any function's */
    unsigned gaps;                       /* of enum tally_gap, in any process */
    double excess[TALLY_MAX_EVENTS]; /* what samples sum to beyond the run's total: of clocks whose
                                        total is the kernel's accounts, which are rounded */
    char *python;                    /* versions seen, as in "3.11.2, 3.13.5"; "" if none */
    size_t image_count, lifetime_count, look_count;
    struct tally_image_span *images;
    struct tally_lifetime *lifetimes;
    struct tally_look *looks;                         /* of each thread in the order of time */
    uint32_t unseen_path, ready_path, unsampled_path; /* bracketed rows of the accounts */
    struct tally_interned *strings;
};

/* Why a thread counted less than it did, of which no sample can tell. */
enum tally_gap {
    TALLY_GAP_THROTTLED = 1, /* overflows came as fast as the kernel throttles them, or faster */
    TALLY_GAP_WAITED = 2,    /* the processor had too few counters free */
    TALLY_GAP_THREADS = 4,   /* a thread could not be given counters */
};

/* Called now and then with how much is done, 0 to 1; may be NULL. */
typedef void tally_progress(double done, void *context);

/*
 * Makes the profile; `recording` must outlive it, and may get notes about damage. With `addresses`
 * cells tell program counters apart, which only native views need. Never fails: what cannot be read
 * is in the recording's notes.
 */
struct tally_profile *tally_profile_new(struct tally_recording *recording, bool addresses,
                                        tally_progress *progress, void *context);
void tally_profile_free(struct tally_profile *profile);

/* Whether the function is a bracketed row. */
bool tally_function_is_special(const struct tally_function *function);

#endif
