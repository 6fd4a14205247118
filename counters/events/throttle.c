#include "events/throttle.h"

#include <stdio.h>
#include <time.h>

enum { KERNELS_DEFAULT = 100000 };

uint64_t tally_throttle_rate(void)
{
    unsigned long long rate = 0;
    FILE *file = fopen("/proc/sys/kernel/perf_event_max_sample_rate", "re");
    if (!file)
        return KERNELS_DEFAULT;
    int found = fscanf(file, "%llu", &rate);
    fclose(file);
    return found == 1 && rate ? rate : KERNELS_DEFAULT;
}

/* The coarse clocks advance with it. */
uint64_t tally_throttle_tick_ns(void)
{
    struct timespec tick = {.tv_nsec = 10000000};
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return (uint64_t)tick.tv_sec * 1000000000u + (uint64_t)tick.tv_nsec;
}

uint64_t tally_throttle_tick_samples(void)
{
    const uint64_t second = 1000000000;
    return (tally_throttle_rate() * tally_throttle_tick_ns() + second - 1) / second;
}
