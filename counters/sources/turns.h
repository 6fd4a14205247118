/*
 * How far off a count may be that was scaled up because its event took turns with others.
 *
 * The kernel lets the events run in turn, which samples the program's time systematically. Read at
 * steps, the counts tell how much the rate changes from one step to the next, and from that follows
 * the deviation of the ratio estimator (count / time running) x time enabled, by the method of
 * successive differences: K. Wolter, Introduction to Variance Estimation (2007), 8.2, with the
 * finite population correction, since what was counted is known. One turn's count is added to it:
 * the first turn, a program's start, is unlike all others, and an event has it whole or not at all.
 */
#ifndef TALLY_SOURCES_TURNS_H
#define TALLY_SOURCES_TURNS_H

#include "sources/source.h"

struct tally_turns {
    double counted, running_ns; /* up to the last step, not scaled */
    double step_counted, step_running_ns;
    int steps;
    double count_square, time_square, product; /* sums over the differences of successive steps */
};

/* Takes in the count as it is at the end of a step; zero-initialise `turns` before the first. */
void tally_turns_step(struct tally_turns *turns, const struct tally_count *count);

/*
 * The standard deviation of `total`, 0 when it ran all the time; negative when it had too few steps
 * for one.
 */
double tally_turns_deviation(const struct tally_turns *turns, const struct tally_count *total);

#endif
