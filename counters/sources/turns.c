#include "sources/turns.h"

#include <math.h>

enum { FEWEST_STEPS = 10 };

static const double turn_ns = 4e6; /* perf_event_mux_interval_ms, as kernels come */

void tally_turns_step(struct tally_turns *turns, const struct tally_count *count)
{
    if (count->missing)
        return;
    double counted = (double)count->value * count->running - turns->counted;
    double running_ns = count->enabled_ns * count->running - turns->running_ns;
    if (turns->steps > 0) {
        double more = counted - turns->step_counted, longer = running_ns - turns->step_running_ns;
        turns->count_square += more * more;
        turns->time_square += longer * longer;
        turns->product += more * longer;
    }
    turns->step_counted = counted;
    turns->step_running_ns = running_ns;
    turns->counted += counted;
    turns->running_ns += running_ns;
    turns->steps++;
}

double tally_turns_deviation(const struct tally_turns *turns, const struct tally_count *total)
{
    double share = total->running;
    if (share >= 1)
        return 0;
    if (turns->steps < FEWEST_STEPS || turns->running_ns <= 0)
        return -1;
    double rate = turns->counted / turns->running_ns;
    double squares =
        turns->count_square - 2 * rate * turns->product + rate * rate * turns->time_square;
    double variance = squares / (2.0 * (turns->steps - 1));
    variance = variance > 0 ? turns->steps * variance * (1 - share) / (share * share) : 0;
    return sqrt(variance + rate * turn_ns * rate * turn_ns);
}
