/* Whether the processor has counters for several events at once. */
#include "events/cores.h"
#include "events/event.h"
#include "events/perf.h"
#include "events/slots.h"

#include <linux/perf_event.h>

enum { CORE = PERF_TYPE_RAW }; /* what all encodings of the core's own PMU are called here */

static uint32_t pmu_of(const struct tally_term *term)
{
    const struct tally_core *core = tally_core_of(term);
    if (core)
        return core->type;
    return term->type == PERF_TYPE_HARDWARE || term->type == PERF_TYPE_HW_CACHE ? CORE : term->type;
}

/*
 * A group with parts of the slots has to be led by the slots. `first` has room for them where
 * nobody asked for them; `terms` for one more.
 */
static int put_slots_first(const struct tally_term **terms, int count, struct tally_term *first)
{
    int leader = -1, part = -1;
    for (int i = 0; i < count; i++) {
        enum tally_slots_role role = tally_slots_role(terms[i]);
        if (role == TALLY_SLOTS_LEADER && leader < 0)
            leader = i;
        else if (role == TALLY_SLOTS_PART)
            part = i;
    }
    if (part < 0)
        return count;
    if (leader < 0) {
        if (tally_slots_leader_of(terms[part], first) < 0)
            return count;
        leader = count++;
        terms[leader] = first;
    }
    const struct tally_term *moved = terms[leader];
    terms[leader] = terms[0];
    terms[0] = moved;
    return count;
}

/* On a core of their type; where we may run on none of them, neither may the program. */
static bool fit_there(const struct tally_term *const *terms, int count)
{
    const struct tally_core *core = tally_core_of(terms[0]);
    cpu_set_t before;
    if (!core)
        return tally_perf_fit(terms, count);
    if (!tally_core_enter(core, &before))
        return true;
    bool fit = tally_perf_fit(terms, count);
    tally_core_leave(&before);
    return fit;
}

/* Of the first `count` events, those that this PMU counts. */
static bool fit_on(uint32_t pmu, const struct tally_event *events, int count)
{
    const struct tally_term *terms[2 * TALLY_MAX_EVENTS * TALLY_MAX_TERMS + 1];
    struct tally_term slots;
    int used = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < events[i].term_count; k++)
            if (events[i].source == TALLY_SOURCE_HARDWARE && pmu_of(&events[i].terms[k]) == pmu)
                terms[used++] = &events[i].terms[k];
    used = put_slots_first(terms, used, &slots);
    return used <= 1 || fit_there(terms, used);
}

int tally_events_fit(const struct tally_event *events, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < events[i].term_count; k++)
            if (events[i].source == TALLY_SOURCE_HARDWARE &&
                !fit_on(pmu_of(&events[i].terms[k]), events, i + 1))
                return i;
    return count;
}
