#include "sources/simulated_events.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/nearest.h"
#include "simulator/raw.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BIT(name)   TALLY_RAW_BIT(TALLY_RAW_##name)
#define DATA(level) (BIT(level##_LOAD) | BIT(level##_STORE))
#define ALL(level)  (DATA(level) | BIT(level##_FETCH))

/* Beside a mask: what reaches a level. It is what misses the one before, which a model may lack. */
#define SECOND_LEVEL (UINT64_C(1) << 62)
#define THIRD_LEVEL  (UINT64_C(1) << 63)

static const struct simulated_event {
    const char *name, *alias;
    uint64_t mask; /* 0: it is estimated from others */
    const char *description;
} simulated_events[] = {
    {"PAPI_TOT_INS", "instructions", BIT(INSTRUCTIONS), "instructions"},
    {"PAPI_LD_INS", "L1-dcache-loads", BIT(LOADS), "loads"},
    {"PAPI_SR_INS", "L1-dcache-stores", BIT(STORES), "stores"},
    {"PAPI_L1_ICM", "L1-icache-load-misses", BIT(L1_FETCH), "fetches that miss the first level"},
    {"PAPI_L1_DCM", NULL, DATA(L1), "loads and stores that miss the first level"},
    {"PAPI_L2_TCM", NULL, ALL(L2), "fetches, loads and stores that miss the second level"},
    {"PAPI_L3_TCM", "cache-misses", ALL(L3), "fetches, loads and stores that miss the last level"},
    {"PAPI_BR_INS", "branches", BIT(BRANCHES), "branches, calls and returns"},
    {"PAPI_BR_MSP", "branch-misses", BIT(CONDITIONAL_MISS) | BIT(INDIRECT_MISS),
     "branches predicted wrongly"},
    /* The default set ends here. */
    {"PAPI_LST_INS", NULL, BIT(LOADS) | BIT(STORES), "loads and stores"},
    {"PAPI_L1_TCM", NULL, ALL(L1), "fetches, loads and stores that miss the first level"},
    {"PAPI_L1_LDM", "L1-dcache-load-misses", BIT(L1_LOAD), "loads that miss the first level"},
    {"PAPI_L1_STM", "L1-dcache-store-misses", BIT(L1_STORE), "stores that miss the first level"},
    {"PAPI_L2_ICM", NULL, BIT(L2_FETCH), "fetches that miss the second level"},
    {"PAPI_L2_DCM", NULL, DATA(L2), "loads and stores that miss the second level"},
    {"PAPI_L2_LDM", NULL, BIT(L2_LOAD), "loads that miss the second level"},
    {"PAPI_L2_STM", NULL, BIT(L2_STORE), "stores that miss the second level"},
    {"PAPI_L3_ICM", NULL, BIT(L3_FETCH), "fetches that miss the last level"},
    {"PAPI_L3_DCM", NULL, DATA(L3), "loads and stores that miss the last level"},
    {"PAPI_L3_LDM", "LLC-load-misses", BIT(L3_LOAD), "loads that miss the last level"},
    {"PAPI_L3_STM", "LLC-store-misses", BIT(L3_STORE), "stores that miss the last level"},
    {"PAPI_L2_DCA", NULL, DATA(L1) | SECOND_LEVEL, "loads and stores that reach the second level"},
    {"PAPI_L2_DCR", NULL, BIT(L1_LOAD) | SECOND_LEVEL, "loads that reach the second level"},
    {"PAPI_L2_DCW", NULL, BIT(L1_STORE) | SECOND_LEVEL, "stores that reach the second level"},
    {"PAPI_L2_ICA", NULL, BIT(L1_FETCH) | SECOND_LEVEL, "fetches that reach the second level"},
    {"PAPI_L2_TCA", NULL, ALL(L1) | SECOND_LEVEL,
     "fetches, loads and stores that reach the second level"},
    {"PAPI_L3_DCA", NULL, DATA(L2) | THIRD_LEVEL, "loads and stores that reach the last level"},
    {"PAPI_L3_DCR", "LLC-loads", BIT(L2_LOAD) | THIRD_LEVEL, "loads that reach the last level"},
    {"PAPI_L3_DCW", "LLC-stores", BIT(L2_STORE) | THIRD_LEVEL, "stores that reach the last level"},
    {"PAPI_L3_ICA", NULL, BIT(L2_FETCH) | THIRD_LEVEL, "fetches that reach the last level"},
    {"PAPI_L3_TCA", "cache-references", ALL(L2) | THIRD_LEVEL,
     "fetches, loads and stores that reach the last level"},
    {"PAPI_TLB_DM", NULL, DATA(TLB), "loads and stores that miss the data TLB"},
    {"PAPI_TLB_IM", "iTLB-load-misses", BIT(TLB_FETCH), "fetches that miss the instruction TLB"},
    {"PAPI_TLB_TL", NULL, ALL(TLB), "fetches, loads and stores that miss their TLB"},
    {"dTLB-load-misses", NULL, BIT(TLB_LOAD), "loads that miss the data TLB"},
    {"dTLB-store-misses", NULL, BIT(TLB_STORE), "stores that miss the data TLB"},
    {"branch-instructions", NULL, BIT(BRANCHES), "branches, calls and returns (as branches)"},
    {"PAPI_BR_CN", "conditional-branches", BIT(CONDITIONAL), "conditional branches"},
    {"indirect-branches", NULL, BIT(INDIRECT),
     "jumps and calls to computed addresses, without returns"},
    {"conditional-branch-misses", NULL, BIT(CONDITIONAL_MISS),
     "conditional branches predicted wrongly"},
    {"indirect-branch-misses", NULL, BIT(INDIRECT_MISS), "indirect branches predicted wrongly"},
    {"calls", NULL, BIT(CALLS), "calls of Python functions, resumed generators included"},
    {"estimated-cycles", NULL, 0,
     "a rough sum: instructions + 10, 30 and 150 for a miss of each level + 15 for a branch miss"},
};

/*
 * Cycles that a miss adds, of the order that recent server processors take to the next level, to
 * the third, to memory, and to start anew after a wrong prediction. A level that the model lacks is
 * passed through: its weight goes to misses of the level before.
 */
enum { L1_MISS_CYCLES = 10, L2_MISS_CYCLES = 30, L3_MISS_CYCLES = 150, BRANCH_MISS_CYCLES = 15 };

enum { DEFAULT_EVENTS = 9, EVENTS = sizeof(simulated_events) / sizeof(simulated_events[0]) };

static const struct simulated_event *find_event(const char *name, size_t size)
{
    for (size_t i = 0; i < EVENTS; i++) {
        const char *names[] = {simulated_events[i].name, simulated_events[i].alias};
        for (int k = 0; k < 2; k++)
            if (names[k] && strlen(names[k]) == size && !strncasecmp(names[k], name, size))
                return &simulated_events[i];
    }
    return NULL;
}

/* What is counted for the event on this model. */
static uint64_t mask_of(const struct simulated_event *event, const struct tally_model *model)
{
    uint64_t mask = event->mask & ~(SECOND_LEVEL | THIRD_LEVEL);
    bool is_passed = event->mask & THIRD_LEVEL && !model->l2.size;
    return is_passed ? mask >> (TALLY_RAW_L2_FETCH - TALLY_RAW_L1_FETCH) : mask;
}

/* Which cache the model lacks for the event; NULL if it has all. */
static const char *lacks(const struct tally_model *model, const struct simulated_event *event)
{
    uint64_t mask = mask_of(event, model);
    if ((mask & ALL(L2) || event->mask & SECOND_LEVEL) && !model->l2.size)
        return "second-level cache";
    if ((mask & ALL(L3) || event->mask & THIRD_LEVEL) && !model->l3.size)
        return "third-level cache";
    if (mask & DATA(TLB) && !model->tlb.size)
        return "data TLB";
    return mask & BIT(TLB_FETCH) && !model->itlb.size ? "instruction TLB" : NULL;
}

static void add_term(struct tally_event *event, const struct tally_model *model, double factor,
                     uint64_t mask, const char *name)
{
    struct tally_term *term = &event->terms[event->term_count++];
    *term = (struct tally_term){.factor = factor, .config = mask};
    snprintf(term->encoding, sizeof(term->encoding), "simulated:%s:%s", model->name, name);
}

static void add_estimate(struct tally_event *event, const struct tally_model *model)
{
    double beyond_l3 = model->l3.size ? 0 : L3_MISS_CYCLES;
    double beyond_l2 = model->l2.size ? 0 : L2_MISS_CYCLES + beyond_l3;
    add_term(event, model, 1, BIT(INSTRUCTIONS), "PAPI_TOT_INS");
    add_term(event, model, L1_MISS_CYCLES + beyond_l2, ALL(L1), "PAPI_L1_TCM");
    if (model->l2.size)
        add_term(event, model, L2_MISS_CYCLES + beyond_l3, ALL(L2), "PAPI_L2_TCM");
    if (model->l3.size)
        add_term(event, model, L3_MISS_CYCLES, ALL(L3), "PAPI_L3_TCM");
    add_term(event, model, BRANCH_MISS_CYCLES, BIT(CONDITIONAL_MISS) | BIT(INDIRECT_MISS),
             "PAPI_BR_MSP");
}

static void add_event(struct tally_event_list *list, const char *name, size_t size,
                      const struct simulated_event *from, const struct tally_model *model)
{
    struct tally_event *event = &list->events[list->count++];
    *event = (struct tally_event){
        .source = TALLY_SOURCE_SIMULATED, .unit = TALLY_UNIT_COUNT, .period = 1};
    snprintf(event->name, sizeof(event->name), "%.*s", (int)size, name);
    if (from->mask)
        add_term(event, model, 1, mask_of(from, model), from->name);
    else
        add_estimate(event, model);
}

static int consider(const char *name, const char *description, void *search)
{
    (void)description;
    tally_nearest_consider(search, name);
    return 0;
}

static int not_simulated(const char *name, size_t size)
{
    struct tally_buffer nearest = {0};
    char *wanted = strndup(name, size);
    size_t bare = strcspn(wanted, ":");
    const struct simulated_event *known = find_event(wanted, bare);
    struct tally_nearest search = {.wanted = wanted};
    tally_simulated_each(consider, &search);
    if (known && wanted[bare])
        tally_error("simulated counts are exact and of user code, with neither period nor "
                    "modifier: write %.*s for \"%s\".",
                    (int)bare, wanted, wanted);
    else if (strcasestr(wanted, "cyc"))
        tally_error("\"%s\" is not simulated, since the model has no time; estimated-cycles is a "
                    "weighted sum of misses.",
                    wanted);
    else if (tally_nearest_print(&search, &nearest))
        tally_error("\"%s\" is not simulated; near to it: %s.", wanted, nearest.data);
    else
        tally_error("\"%s\" is not simulated; \"tallystack list --simulate\" shows what is.",
                    wanted);
    tally_buffer_release(&nearest);
    free(wanted);
    return TALLY_NOT_FOUND;
}

static int add_named(struct tally_event_list *list, const char *name, size_t size,
                     const struct tally_model *model)
{
    const struct simulated_event *event = find_event(name, size);
    if (!event)
        return not_simulated(name, size);
    for (int i = 0; i < list->count; i++)
        if (find_event(list->events[i].name, strlen(list->events[i].name)) == event)
            return tally_error("\"%s\" is asked for twice.", event->name);
    if (list->count == TALLY_MAX_EVENTS)
        return tally_error("at most %d events can be simulated in one run.", TALLY_MAX_EVENTS);
    if (lacks(model, event))
        return tally_error("%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event));
    add_event(list, name, size, event, model);
    int counters = 0;
    for (int i = 0; i < list->count; i++)
        counters += list->events[i].term_count;
    if (counters > TALLY_MAX_COUNTERS)
        return tally_error("these events need more than %d sums; ask for fewer in one run.",
                           TALLY_MAX_COUNTERS);
    return 0;
}

int tally_simulated_events(const char *list, const struct tally_model *model, struct tally_run *run,
                           struct tally_event_list *out)
{
    *out = (struct tally_event_list){0};
    for (int i = 0; i < DEFAULT_EVENTS && !list; i++) {
        const struct simulated_event *event = &simulated_events[i];
        if (lacks(model, event))
            tally_run_note(run, "%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event));
        else
            add_event(out, event->name, strlen(event->name), event, model);
    }
    while (list && *list) {
        size_t size = strcspn(list, ",");
        if (add_named(out, list, size, model) < 0)
            return TALLY_ERROR;
        list += size + (list[size] == ',');
    }
    return out->count ? 0 : tally_error("name the events to simulate after -e.");
}

int tally_simulated_each(int (*each)(const char *name, const char *description, void *data),
                         void *data)
{
    int result = 0;
    for (int i = 0; i < EVENTS && result == 0; i++)
        result = each(simulated_events[i].name, simulated_events[i].description, data);
    for (int i = 0; i < EVENTS && result == 0; i++)
        if (simulated_events[i].alias)
            result = each(simulated_events[i].alias, simulated_events[i].description, data);
    return result;
}
