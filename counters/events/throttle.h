/*
 * How many samples of one counter the kernel lets through.
 *
 * A counter of the processor, or a clock, with more overflows than that in one tick of the kernel
 * is stopped until the next tick. What it, and since Linux 6.16 the rest of its group, would have
 * counted in between is in no count and no sample.
 */
#ifndef TALLY_EVENTS_THROTTLE_H
#define TALLY_EVENTS_THROTTLE_H

#include <stdint.h>

/* Samples per second: kernel.perf_event_max_sample_rate, which the kernel itself may lower. */
uint64_t tally_throttle_rate(void);

uint64_t tally_throttle_tick_ns(void);

/* Samples per tick, at least 1. */
uint64_t tally_throttle_tick_samples(void);

#endif
