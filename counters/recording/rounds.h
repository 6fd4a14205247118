/*
 * When the watcher looks around: at moments that follow no rhythm of the program, as often as its
 * budget of CPU time allows.
 */
#ifndef TALLY_RECORDING_ROUNDS_H
#define TALLY_RECORDING_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TALLY_SHORTEST_ROUND_NS = 5000000,
    TALLY_LONGEST_ROUND_NS = 500000000, /* and up to half as much more */
};

struct tally_rounds {
    double share;          /* of a CPU, that may be used */
    double debt_ns;        /* what has been spent above it */
    double mean_ns;        /* cost of a round, over the last */
    uint32_t count;        /* that it is the mean of */
    uint32_t calm;         /* rounds since a thread waited */
    uint64_t allowance_ns; /* what may still be spent on finding threads, beside the budget */
    uint64_t random;
};

struct tally_round {
    uint64_t cost_ns;    /* CPU time, waking up included */
    uint64_t elapsed_ns; /* since the round before began */
    bool has_waits;      /* a thread waited for much of that time */
    bool has_new;        /* threads were found */
};

/* `seed` decides the moments; any will do. */
void tally_rounds_init(struct tally_rounds *rounds, double share, uint64_t seed);

/* How long after a round began the next is due, in ns. To be asked once for each. */
uint64_t tally_rounds_next(struct tally_rounds *rounds, const struct tally_round *round);

/* There is something new to look at. True if the next round should not wait for its moment. */
bool tally_rounds_hurry(struct tally_rounds *rounds);

#endif
