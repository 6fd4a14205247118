#include "sources/simulated_events.h"

#include "base/error.h"
#include "simulator/raw.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BIT(name)   TALLY_RAW_BIT(TALLY_RAW_##name)
#define DATA(level) (BIT(level##_LOAD) | BIT(level##_STORE))
#define ALL(level)  (DATA(level) | BIT(level##_FETCH))

static const struct simulated_event {
    const char *name, *alias;
    uint64_t mask;
} simulated_events[] = {
    {"PAPI_TOT_INS", "instructions", BIT(INSTRUCTIONS)},
    {"PAPI_LD_INS", "L1-dcache-loads", BIT(LOADS)},
    {"PAPI_SR_INS", "L1-dcache-stores", BIT(STORES)},
    {"PAPI_L1_ICM", "L1-icache-load-misses", BIT(L1_FETCH)},
    {"PAPI_L1_DCM", NULL, DATA(L1)},
    {"PAPI_L2_TCM", NULL, ALL(L2)},
    {"PAPI_L3_TCM", "cache-misses", ALL(L3)},
    {"PAPI_BR_INS", "branches", BIT(BRANCHES)},
    {"PAPI_BR_MSP", "branch-misses", BIT(CONDITIONAL_MISS) | BIT(INDIRECT_MISS)},
    /* The default set ends here. */
    {"PAPI_LST_INS", NULL, BIT(LOADS) | BIT(STORES)},
    {"PAPI_L1_TCM", NULL, ALL(L1)},
    {"PAPI_L1_LDM", "L1-dcache-load-misses", BIT(L1_LOAD)},
    {"PAPI_L1_STM", "L1-dcache-store-misses", BIT(L1_STORE)},
    {"PAPI_L2_ICM", NULL, BIT(L2_FETCH)},
    {"PAPI_L2_DCM", NULL, DATA(L2)},
    {"PAPI_L2_LDM", NULL, BIT(L2_LOAD)},
    {"PAPI_L2_STM", NULL, BIT(L2_STORE)},
    {"PAPI_L3_ICM", NULL, BIT(L3_FETCH)},
    {"PAPI_L3_DCM", NULL, DATA(L3)},
    {"PAPI_L3_LDM", "LLC-load-misses", BIT(L3_LOAD)},
    {"PAPI_L3_STM", "LLC-store-misses", BIT(L3_STORE)},
    {"PAPI_TLB_DM", NULL, DATA(TLB)},
    {"dTLB-load-misses", NULL, BIT(TLB_LOAD)},
    {"dTLB-store-misses", NULL, BIT(TLB_STORE)},
    {"PAPI_BR_CN", NULL, BIT(CONDITIONAL)},
    {"PAPI_BR_IND", NULL, BIT(INDIRECT)},
    {"conditional-branch-misses", NULL, BIT(CONDITIONAL_MISS)},
    {"indirect-branch-misses", NULL, BIT(INDIRECT_MISS)},
    {"calls", NULL, BIT(CALLS)},
};

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

/* Which cache the model lacks for the event; NULL if it has all. */
static const char *lacks(const struct tally_model *model, uint64_t mask)
{
    if (mask & ALL(L2) && !model->l2.size)
        return "second-level cache";
    if (mask & ALL(L3) && !model->l3.size)
        return "third-level cache";
    return mask & DATA(TLB) && !model->tlb.size ? "data TLB" : NULL;
}

static void add_event(struct tally_event_list *list, const char *name, size_t size,
                      const struct simulated_event *from, const struct tally_model *model)
{
    struct tally_event *event = &list->events[list->count++];
    *event = (struct tally_event){
        .source = TALLY_SOURCE_SIMULATED, .unit = TALLY_UNIT_COUNT, .period = 1, .term_count = 1};
    snprintf(event->name, sizeof(event->name), "%.*s", (int)size, name);
    snprintf(event->terms[0].encoding, sizeof(event->terms[0].encoding), "simulated:%s:%s",
             model->name, from->name);
    event->terms[0].factor = 1;
    event->terms[0].config = from->mask;
}

static int add_named(struct tally_event_list *list, const char *name, size_t size,
                     const struct tally_model *model)
{
    const struct simulated_event *event = find_event(name, size);
    if (!event)
        return tally_error_code(TALLY_NOT_FOUND, "\"%.*s\" is not simulated.", (int)size, name);
    if (list->count == TALLY_MAX_EVENTS)
        return tally_error("at most %d events can be simulated in one run.", TALLY_MAX_EVENTS);
    if (lacks(model, event->mask))
        return tally_error("%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event->mask));
    add_event(list, name, size, event, model);
    return 0;
}

int tally_simulated_events(const char *list, const struct tally_model *model, struct tally_run *run,
                           struct tally_event_list *out)
{
    *out = (struct tally_event_list){0};
    for (int i = 0; i < DEFAULT_EVENTS && !list; i++) {
        const struct simulated_event *event = &simulated_events[i];
        if (lacks(model, event->mask))
            tally_run_note(run, "%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event->mask));
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
