/*
 * Verdicts: what bounds a program, a process, a thread or a function, judged from numbers alone.
 *
 * Nothing is guessed: what is not known is negative in the evidence, and the verdicts that need it
 * are not given. The thresholds:
 *
 *   A thing is bound by what most of its wall time is: at least half of it, and a quarter more than
 *   the second largest; nearer together they are "balanced". The waits for a thing that others hold
 *   (a CPU, the GIL, a lock) take time from what a thread would do otherwise, so a third of the
 *   wall time is enough there, if it is at least 0.6 of the largest. (Our choices: shares that two
 *   runs of one program do not swap.)
 *
 *   Of time on a CPU: programs that compute spend little in the kernel, so a quarter of it there
 *   is system-call-bound, or page-fault-bound if page faults, at what one was measured to cost
 *   from mapping to unmapping, stand for two fifths of that (at the least: one is measured at its
 *   best). Where the kernel's part is not known, as of functions unless clocks of both were
 *   recorded, two fifths of all time on a CPU.
 *
 *   Memory-, branch- and front-end-bound: a fifth of the cycles (front end and branches) or two
 *   fifths (memory) by KCachegrind's estimate, 1 an instruction, 10 a first-level miss or a
 *   mispredicted branch and 100 a last-level miss. (Its "Cycle Estimation" formula.) That none of
 *   them is the cause takes all of these counts.
 *
 *   Compute or interpreter: whether more than half of the CPU's samples that lie in one of the two
 *   are in native code beside the interpreter's. Without such samples it is the CPU alone.
 */
#ifndef TALLY_PROFILE_VERDICT_H
#define TALLY_PROFILE_VERDICT_H

#include "profile/accounts.h"

enum tally_verdict {
    TALLY_VERDICT_COMPUTE,
    TALLY_VERDICT_INTERPRETER,
    TALLY_VERDICT_CPU, /* in which code is not known: no verdict in CSV */
    TALLY_VERDICT_MEMORY,
    TALLY_VERDICT_BRANCH,
    TALLY_VERDICT_FRONT_END,
    TALLY_VERDICT_SYSTEM_CALL,
    TALLY_VERDICT_PAGE_FAULT,
    TALLY_VERDICT_DISK,
    TALLY_VERDICT_NETWORK,
    TALLY_VERDICT_PIPE,
    TALLY_VERDICT_SLEEPING,
    TALLY_VERDICT_LOCK,
    TALLY_VERDICT_GIL,
    TALLY_VERDICT_CHILD,
    TALLY_VERDICT_STARVED,
    TALLY_VERDICT_BALANCED,
    TALLY_VERDICT_UNKNOWN, /* nothing was recorded that tells: no verdict in CSV */
    TALLY_VERDICTS,
};

/* The words, and one sentence each on what to try next. */
extern const char *const tally_verdict_names[TALLY_VERDICTS];
extern const char *const tally_verdict_advice[TALLY_VERDICTS];

/* Times in ns; negative where nothing is known, but for untimed_ns. */
struct tally_evidence {
    double accounts[TALLY_ACCOUNTS]; /* never negative; what they sum to is the wall time */
    double untimed_ns;               /* of the account POLL: no timer ends it */
    double user_ns, system_ns;       /* how the time on a CPU divides */
    double native_share;             /* 0..1, of its samples outside the interpreter */
    double faults, fault_ns;         /* page faults, and what one costs */
    double sampled_fault_ns;         /* what sampling one costs the kernel besides */
    double instructions, level1_misses, last_level_misses, fetch_misses, mispredictions;
    double cycles; /* measured; negative: estimated from the others */
};

/* All of it unknown, accounts of 0. */
void tally_evidence_init(struct tally_evidence *evidence);

struct tally_finding {
    enum tally_verdict verdict;
    const char *evidence; /* what the number is */
    double value, threshold;
    const char *unit;
    uint32_t accounts; /* bits of the accounts that the verdict is about */
};

void tally_judge(const struct tally_evidence *evidence, struct tally_finding *out);

#endif
