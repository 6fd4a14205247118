/*
 * Wall-clock accounts: what each thread did with its time, and where in the program.
 *
 * Exact, per thread, from the kernel: its wall time, its time on a CPU (in user code and in the
 * kernel), and the time it was ready to run but had none. The rest of its wall time it waited. That
 * rest is divided by what the watcher saw: waits that a thread did not run in are known to the
 * look, and what is left is divided as the other looks are (a ratio estimate, with its interval).
 * What nobody looked at stays in a row of its own. So the accounts of a thread sum to its wall
 * time.
 *
 * Time on a CPU is divided by the samples of the recording's clock, or of its two, of user code and
 * of the kernel.
 */
#ifndef TALLY_PROFILE_ACCOUNTS_H
#define TALLY_PROFILE_ACCOUNTS_H

#include "profile/profile.h"

enum {
    TALLY_ACCOUNT_UNSEEN = TALLY_STATES, /* waiting that no look stands for */
    TALLY_ACCOUNTS,
};

/* "on-cpu", "ready", "sleep", ...; by enum tally_state, and TALLY_ACCOUNT_UNSEEN. */
extern const char *const tally_account_names[TALLY_ACCOUNTS];

struct tally_thread_account {
    double wall_ns;                 /* 0: the thread is not known of */
    double user_ns, system_ns;      /* on a CPU; in proportion to the kernel's ticks */
    bool has_split;                 /* whether those two are known */
    bool has_delay;                 /* whether the kernel tells how long the thread was ready */
    double states[TALLY_ACCOUNTS];  /* sums to wall_ns */
    double untimed_ns;              /* of the state POLL: no timer ends it */
    double whole_scale, part_scale; /* what a look of either kind stands for, per ns */
};

struct tally_span { /* of a thread's life, in CLOCK_MONOTONIC */
    uint32_t thread;
    uint64_t begin_ns, end_ns;
};

struct tally_blocked {       /* how long one function waited for the GIL while another held it */
    uint32_t waiter, holder; /* functions; holder UINT32_MAX: not known */
    double ns;
};

/* What a call path tells of a wait on it. */
enum {
    TALLY_PATH_CHILD = 1, /* the pipe, lock or sleep is for a child process */
    TALLY_PATH_JOIN = 2,  /* the lock is for threads: join, futures, queues, conditions */
    TALLY_PATH_TENDS = 4, /* of a pool's thread that replaces workers, whatever these do */
    TALLY_PATH_LOOP = 8,  /* asyncio's own event loop waits */
};

struct tally_accounts {
    const struct tally_profile *profile;  /* borrowed */
    struct tally_thread_account *threads; /* one for each thread of the profile */
    size_t span_count;
    struct tally_span *spans; /* which the wall times are the sums of */
    /*
     * The accounts as a profile of their own, whose events are the accounts that are not 0: for
     * the views. It shares everything but run, cells and values with `profile`.
     */
    struct tally_profile as_profile;
    struct tally_run run;
    int event_of[TALLY_ACCOUNTS]; /* in as_profile; -1: all 0 */
    uint8_t *path_flags;          /* one for each path of the profile */
    uint8_t *look_states;         /* enum tally_state of each look, with its path known */
    size_t blocked_count;
    struct tally_blocked *blocked; /* the longest first */
};

/*
 * The events whose samples together tell where time on a CPU went, a bit each: a clock, one of user
 * code with one of the kernel, or cycles; 0: none does.
 */
uint32_t tally_accounts_clocks(const struct tally_run *run);

/* `profile` must outlive the result. */
struct tally_accounts *tally_accounts_new(const struct tally_profile *profile);
void tally_accounts_free(struct tally_accounts *accounts);

/* What a look that is a wait stands for, in ns. */
double tally_accounts_weight(const struct tally_accounts *accounts, size_t look);

/* Whether a look is at an event loop that no timer wakes up. */
bool tally_accounts_is_untimed(const struct tally_accounts *accounts, size_t look);

/* Sets the sentence of why there are none, where all are 0; returns TALLY_ERROR. */
int tally_accounts_refuse(const struct tally_accounts *accounts);

/* Sum over the threads. */
double tally_accounts_total(const struct tally_accounts *accounts, int account);

#endif
