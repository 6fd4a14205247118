/*
 * The processor's PMU: through PAPI, attached to the workload, where PAPI can count; else through
 * the kernel.
 *
 * PAPI cannot wait for the exec: its counts have the last steps of the held process as well, more
 * than a million cycles. The same events are therefore opened a second time, for the kernel to drop
 * at the exec, and what those counted is taken off. They need counters of the processor, too: an
 * event that does not fit twice beside the others is left to the kernel, which can wait.
 *
 * Events that do not all fit are left to the kernel altogether: it lets them take turns and says
 * for how long each ran, which PAPI, when it multiplexes, does not tell.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "events/cores.h"
#include "events/papi.h"
#include "events/perf.h"
#include "sources/kernel_counter.h"
#include "sources/sources.h"

#include <papi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally_source_context {
    int set; /* PAPI's event set; PAPI_NULL when it counts nothing */
    int set_count;
    int domain; /* what all events of the set count: a PAPI_DOM_ value */
    int count;
    struct tally_slots slots;
    struct {
        int place;                           /* in the set; -1: the kernel counts it */
        struct tally_kernel_counter counter; /* up to the exec where PAPI counts, else from it on */
    } events[];
};

static int domain_of(const struct tally_event *event)
{
    int domain = 0;
    if (!event->terms[0].exclude_user)
        domain |= PAPI_DOM_USER;
    if (!event->terms[0].exclude_kernel)
        domain |= PAPI_DOM_KERNEL;
    return domain;
}

static void drop_set(struct tally_source_context *context)
{
    if (context->set != PAPI_NULL) {
        PAPI_cleanup_eventset(context->set);
        PAPI_destroy_eventset(&context->set);
    }
    context->set = PAPI_NULL;
    context->set_count = 0;
    for (int i = 0; i < context->count; i++) {
        tally_kernel_counter_close(&context->events[i].counter);
        context->events[i].place = -1;
    }
}

/* An empty set, attached to the workload and following its children. */
static int make_set(struct tally_source_context *context, pid_t pid)
{
    PAPI_option_t option;
    int component = tally_papi_component();
    if (component < 0 || PAPI_create_eventset(&context->set) != PAPI_OK)
        return TALLY_ERROR;
    memset(&option, 0, sizeof(option));
    option.domain.domain = context->domain;
    bool fine = PAPI_assign_eventset_component(context->set, component) == PAPI_OK;
    option.domain.eventset = context->set;
    fine = fine && PAPI_set_opt(PAPI_DOMAIN, &option) == PAPI_OK;
    memset(&option, 0, sizeof(option));
    option.inherit.eventset = context->set;
    option.inherit.inherit = PAPI_INHERIT_ALL;
    fine = fine && PAPI_set_opt(PAPI_INHERIT, &option) == PAPI_OK &&
           PAPI_attach(context->set, (unsigned long)pid) == PAPI_OK;
    if (!fine)
        drop_set(context);
    return fine ? 0 : TALLY_ERROR;
}

/* The name as PAPI takes it: the domain belongs to the set, not to the event. */
static void papi_name(const struct tally_event *event, char *out, size_t room)
{
    const char *full = strncmp(event->name, "PAPI_", 5) ? event->terms[0].encoding : event->name;
    snprintf(out, room, "%s", full);
    if (full == event->name) {
        out[strcspn(out, ":")] = '\0';
        return;
    }
    for (const char *const *mode = (const char *const[]){":u=1", ":k=1", NULL}; *mode; mode++) {
        char *found = strstr(out, *mode);
        if (found)
            memmove(found, found + 4, strlen(found + 4) + 1);
    }
}

static bool papi_can_take(const struct tally_source_context *context,
                          const struct tally_event *event)
{
    for (int i = 0; i < event->term_count; i++)
        if (tally_slots_role(&event->terms[i]) != TALLY_SLOTS_NONE || /* it groups as it likes, */
            tally_core_of(&event->terms[i]))                          /* and adds no core types */
            return false;
    return event->term_count > 0 && !event->terms[0].precise && tally_perf_check(event) == 0 &&
           domain_of(event) == context->domain;
}

/* Whether one more event can be counted beside those in the set, each of them twice. */
static bool fits_twice(const struct tally_source_context *context, const struct tally_event *events,
                       int more)
{
    const struct tally_term *terms[2 * TALLY_MAX_EVENTS * TALLY_MAX_TERMS];
    int count = 0;
    for (int i = 0; i <= more; i++)
        for (int j = 0; (i == more || context->events[i].place >= 0) && j < events[i].term_count;
             j++) {
            terms[count++] = &events[i].terms[j];
            terms[count++] = &events[i].terms[j];
        }
    return tally_perf_fit(terms, count);
}

/* Counters up to the exec; false when the kernel is too old to have them. */
static bool count_launch(struct tally_source_context *context, const struct tally_event *events,
                         pid_t pid)
{
    for (int i = 0; i < context->count; i++) {
        struct tally_kernel_counter *counter = &context->events[i].counter;
        if (context->events[i].place >= 0 &&
            (tally_kernel_counter_open_launch(counter, &events[i], &context->slots, pid) < 0 ||
             counter->why))
            return false;
    }
    return true;
}

static void count_by_papi(struct tally_source_context *context, const struct tally_event *events,
                          pid_t pid)
{
    char name[sizeof(events->terms[0].encoding)];
    for (int i = 0; i < context->count; i++)
        if (events[i].term_count > 0 && !context->domain)
            context->domain = domain_of(&events[i]);
    if (!context->domain || make_set(context, pid) < 0)
        return;
    for (int i = 0; i < context->count; i++) {
        if (!papi_can_take(context, &events[i]) || !fits_twice(context, events, i))
            continue;
        papi_name(&events[i], name, sizeof(name));
        if (PAPI_add_named_event(context->set, name) == PAPI_OK)
            context->events[i].place = context->set_count++;
    }
    if (context->set_count == 0 || !count_launch(context, events, pid) ||
        PAPI_start(context->set) != PAPI_OK)
        drop_set(context);
    for (int i = 0; i < context->count; i++)
        tally_kernel_counter_enable(&context->events[i].counter);
}

static void hardware_close(struct tally_source_context *context)
{
    if (context->set != PAPI_NULL)
        PAPI_stop(context->set, NULL);
    drop_set(context);
    tally_slots_close(&context->slots);
    free(context);
}

static int hardware_open(struct tally_source_context **out, const struct tally_event *events,
                         int count, pid_t pid)
{
    struct tally_source_context *context =
        tally_alloc_zeroed(1, sizeof(*context) + (size_t)count * sizeof(context->events[0]));
    context->set = PAPI_NULL;
    context->count = count;
    for (int i = 0; i < count; i++)
        context->events[i].place = -1;
    if (tally_events_fit(events, count) == count)
        count_by_papi(context, events, pid);
    for (int i = 0; i < count; i++) {
        struct tally_kernel_counter *counter = &context->events[i].counter;
        if (context->events[i].place < 0 &&
            tally_kernel_counter_open(counter, &events[i], &context->slots, pid) < 0) {
            hardware_close(context);
            return TALLY_ERROR;
        }
    }
    *out = context;
    return 0;
}

/* What PAPI counted, less what came before the exec. */
static void read_place(struct tally_source_context *context, int i, const long long *values,
                       struct tally_count *count)
{
    long long value = values[context->events[i].place];
    struct tally_count before;
    tally_kernel_counter_read(&context->events[i].counter, &before);
    *count = (struct tally_count){.running = 1};
    if (value < 0)
        count->why = "PAPI cannot read it";
    else if (before.missing)
        count->why = "what came before the program's start could not be told";
    count->missing = count->why != NULL;
    if (!count->missing)
        count->value = (uint64_t)value > before.value ? (uint64_t)value - before.value : 0;
}

static int hardware_read(struct tally_source_context *context, struct tally_count *counts)
{
    long long values[TALLY_MAX_EVENTS] = {0};
    if (context->set != PAPI_NULL && PAPI_read(context->set, values) != PAPI_OK)
        for (int i = 0; i < TALLY_MAX_EVENTS; i++)
            values[i] = -1;
    for (int i = 0; i < context->count; i++) {
        if (context->events[i].place < 0)
            tally_kernel_counter_read(&context->events[i].counter, &counts[i]);
        else
            read_place(context, i, values, &counts[i]);
    }
    return 0;
}

const struct tally_source tally_hardware_source = {
    .name = "hardware",
    .open = hardware_open,
    .read = hardware_read,
    .close = hardware_close,
};
