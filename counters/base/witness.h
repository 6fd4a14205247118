/*
 * Tells a signal that was sent to our whole process group, and so to the workload, from one that
 * was sent to us alone: neither its sender nor its code does. The witness is a process beside us in
 * the group that blocks all signals and, when asked, looks whether one is pending for it, too. The
 * kernel sends to a group's newest process first: it is, when we have ours.
 */
#ifndef TALLY_BASE_WITNESS_H
#define TALLY_BASE_WITNESS_H

#include <stdbool.h>
#include <sys/types.h>

struct tally_witness {
    pid_t pid; /* 0: there is none, and no signal is known to be the group's */
    int socket;
};

void tally_witness_start(struct tally_witness *witness);

/* Whether the group got `signal` since it was last asked for; for the signal's handler. */
bool tally_witness_saw(const struct tally_witness *witness, int signal);

void tally_witness_end(struct tally_witness *witness);

#endif
