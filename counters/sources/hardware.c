/*
 * The processor's PMU: through PAPI, attached to the workload, where PAPI can count; else through
 * the kernel.
 *
 * PAPI cannot wait for the exec: its counts have the last steps of the held process before it as
 * well, in which some 25 page faults were seen.
 *
 * PAPI pins what it counts without multiplexing, so it counts all the time or not at all. What does
 * not fit beside it goes to the kernel, which takes turns and says for how long.
 */
#include "base/buffer.h"
#include "base/error.h"
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
    struct {
        int place; /* in the set; -1: the kernel counts it */
        struct tally_kernel_counter counter;
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
    for (int i = 0; i < context->count; i++)
        context->events[i].place = -1;
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
    return event->term_count > 0 && !event->terms[0].precise && tally_perf_check(event) == 0 &&
           domain_of(event) == context->domain;
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
        if (!papi_can_take(context, &events[i]))
            continue;
        papi_name(&events[i], name, sizeof(name));
        if (PAPI_add_named_event(context->set, name) == PAPI_OK)
            context->events[i].place = context->set_count++;
    }
    if (context->set_count == 0 || PAPI_start(context->set) != PAPI_OK)
        drop_set(context);
}

static void hardware_close(struct tally_source_context *context)
{
    if (context->set != PAPI_NULL)
        PAPI_stop(context->set, NULL);
    drop_set(context);
    for (int i = 0; i < context->count; i++)
        tally_kernel_counter_close(&context->events[i].counter);
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
    count_by_papi(context, events, pid);
    for (int i = 0; i < count; i++) {
        struct tally_kernel_counter *counter = &context->events[i].counter;
        if (context->events[i].place < 0 &&
            tally_kernel_counter_open(counter, &events[i], pid) < 0) {
            hardware_close(context);
            return TALLY_ERROR;
        }
    }
    *out = context;
    return 0;
}

static int hardware_read(struct tally_source_context *context, struct tally_count *counts)
{
    long long values[TALLY_MAX_EVENTS] = {0};
    bool have = context->set == PAPI_NULL || PAPI_read(context->set, values) == PAPI_OK;
    for (int i = 0; i < context->count; i++) {
        int place = context->events[i].place;
        if (place < 0) {
            tally_kernel_counter_read(&context->events[i].counter, &counts[i]);
            continue;
        }
        counts[i] = (struct tally_count){.missing = !have || values[place] < 0, .running = 1};
        if (counts[i].missing)
            counts[i].why = "PAPI cannot read it";
        else
            counts[i].value = (uint64_t)values[place];
    }
    return 0;
}

const struct tally_source tally_hardware_source = {
    .name = "hardware",
    .open = hardware_open,
    .read = hardware_read,
    .close = hardware_close,
};
