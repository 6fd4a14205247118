/*
 * The diagnosis of a recording: a verdict for the program, each process, each thread and the
 * functions with most of the time, with the evidence for each.
 *
 * The program's verdict follows the main thread of the program that was asked for. The time that it
 * waits for the program's own threads (join, futures, queues, conditions, an event loop that has
 * nothing else to wait for) is replaced by what those did meanwhile, but for such waits of their
 * own and for a pool's thread that replaces workers.
 */
#ifndef TALLY_PROFILE_DIAGNOSIS_H
#define TALLY_PROFILE_DIAGNOSIS_H

#include "profile/verdict.h"

enum tally_scope {
    TALLY_SCOPE_PROGRAM,
    TALLY_SCOPE_PROCESS,
    TALLY_SCOPE_THREAD,
    TALLY_SCOPE_FUNCTION
};

extern const char *const tally_scope_names[];

struct tally_subject {
    enum tally_scope scope;
    uint32_t index; /* of the process, thread or function */
    const char *name;
    const char *thread; /* of threads: "TID NAME" */
    struct tally_evidence evidence;
    struct tally_finding finding;
};

struct tally_place { /* where in the program's own code the verdict's time is */
    uint32_t function, line;
    double share;   /* of the program's wall time; 0: no place is known */
    uint32_t tasks; /* of an event loop, that waited there at once, at most; 0: none */
    bool is_about;  /* some looks knew of their tasks by a sample */
};

struct tally_diagnosis {
    const struct tally_accounts *accounts; /* borrowed */
    size_t count;
    struct tally_subject *subjects; /* the program first; functions by wall time */
    struct tally_place place;
    double replaced_share; /* of the main thread's wall time, spent waiting for own threads */
    bool has_counters;     /* all that tell what holds the processor up are there */
    bool has_waits;
    double untold_share; /* of the wall time: in event loops, for which tasks is not known */
};

/*
 * `accounts` must outlive the result, and its profile should have addresses. `functions` is how
 * many of these are wanted.
 */
struct tally_diagnosis *tally_diagnosis_new(const struct tally_accounts *accounts,
                                            size_t functions);
void tally_diagnosis_free(struct tally_diagnosis *diagnosis);

#endif
