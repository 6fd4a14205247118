#include "recording/control.h"

#include "base/error.h"
#include "events/cores.h"

#include <linux/perf_event.h>

static enum tally_clock_kind clock_kind_of(const struct tally_term *term)
{
    if (term->type != PERF_TYPE_SOFTWARE || term->exclude_user || term->exclude_kernel)
        return TALLY_CLOCK_NONE;
    switch (term->config) {
    case PERF_COUNT_SW_CPU_CLOCK:
    case PERF_COUNT_SW_TASK_CLOCK:
        return TALLY_CLOCK_CPU;
    case PERF_COUNT_SW_PAGE_FAULTS:
        return TALLY_CLOCK_FAULTS;
    case PERF_COUNT_SW_PAGE_FAULTS_MIN:
        return TALLY_CLOCK_MINOR_FAULTS;
    case PERF_COUNT_SW_PAGE_FAULTS_MAJ:
        return TALLY_CLOCK_MAJOR_FAULTS;
    case PERF_COUNT_SW_CONTEXT_SWITCHES:
        return TALLY_CLOCK_SWITCHES;
    default:
        return TALLY_CLOCK_NONE;
    }
}

static void set_counter(struct tally_counter *counter, const struct tally_event *event,
                        const struct tally_term *term)
{
    *counter = (struct tally_counter){
        .type = term->type,
        .config = term->config,
        .config1 = term->config1,
        .config2 = term->config2,
        .exclude_user = term->exclude_user,
        .exclude_kernel = term->exclude_kernel,
        .exclude_hv = term->exclude_hv,
        .precise = term->precise,
        .clock_kind = clock_kind_of(term),
        .weight = TALLY_WEIGHT_DELTA,
        .period = event->period,
    };
    if (event->read_only) {
        counter->weight = TALLY_WEIGHT_NONE;
        counter->period = 0;
    } else if (event->is_clock) {
        /* The kernel counts all of a clock's time; only its samples know user from kernel. */
        bool is_whole = !term->exclude_user && !term->exclude_kernel;
        if (!is_whole)
            counter->weight = TALLY_WEIGHT_PERIOD;
        if (!counter->period)
            counter->period = UINT64_C(1000000000) / event->frequency;
    } else if (!event->period) {
        counter->frequency = event->frequency;
    }
}

/*
 * Two clocks of one period would fire together for ever, and the second would find the thread where
 * the first one's signal put it, in the kernel. With periods that differ they drift past each
 * other.
 */
static void set_drifting(struct tally_counter *counter, uint32_t index)
{
    if (counter->weight != TALLY_WEIGHT_NONE)
        counter->period += counter->period / 61 * index;
}

/* Groups are of one core type each; what no core type counts goes with the first of its kind. */
static uint32_t leader_of(const struct tally_control *control, const uint32_t *core_types)
{
    uint32_t last = control->counter_count - 1;
    for (uint32_t i = 0; i < last; i++)
        if (core_types[i] == core_types[last])
            return i;
    return last;
}

int tally_control_set_counters(struct tally_control *control, const struct tally_event_list *events,
                               bool is_clock)
{
    uint32_t core_types[TALLY_MAX_COUNTERS];
    for (int i = 0; i < events->count; i++)
        for (int k = 0; k < events->events[i].term_count; k++) {
            if (control->counter_count == TALLY_MAX_COUNTERS)
                return tally_error("these events need more than %d counters; ask for fewer.",
                                   TALLY_MAX_COUNTERS);
            struct tally_counter *counter = &control->counters[control->counter_count++];
            set_counter(counter, &events->events[i], &events->events[i].terms[k]);
            const struct tally_core *core = tally_core_of(&events->events[i].terms[k]);
            core_types[control->counter_count - 1] = core ? core->type : 0;
            counter->leader = leader_of(control, core_types);
            if (events->events[i].is_clock)
                set_drifting(counter, control->counter_count - 1);
            if (is_clock && control->counter_count > 1)
                counter->weight = TALLY_WEIGHT_NONE;
        }
    if (control->counters[0].weight == TALLY_WEIGHT_NONE)
        return tally_error("the first event is what samples are taken by; give it a period.");
    return 0;
}
