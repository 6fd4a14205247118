#include "events/spread.h"

#include "base/error.h"
#include "events/aliases.h"
#include "events/cores.h"
#include "events/kernel_names.h"
#include "events/libpfm.h"
#include "events/papi.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>

static bool is_generic(const struct tally_term *term)
{
    return term->type == PERF_TYPE_HARDWARE || term->type == PERF_TYPE_HW_CACHE;
}

/*
 * The kernel's generic events are what the architectures define for all their cores, but for these
 * and for those of caches: there the core types count loads, operations or fills of lines.
 */
static bool means_the_same(const struct tally_term *term)
{
    return term->type == PERF_TYPE_HARDWARE && term->config != PERF_COUNT_HW_BUS_CYCLES &&
           term->config != PERF_COUNT_HW_STALLED_CYCLES_FRONTEND &&
           term->config != PERF_COUNT_HW_STALLED_CYCLES_BACKEND;
}

static bool same_term(const struct tally_term *a, const struct tally_term *b)
{
    return a->factor == b->factor && a->type == b->type && a->config == b->config &&
           a->config1 == b->config1 && a->config2 == b->config2 && a->precise == b->precise &&
           a->exclude_user == b->exclude_user && a->exclude_kernel == b->exclude_kernel;
}

static bool same_event(const struct tally_event *a, const struct tally_event *b)
{
    if (a->term_count != b->term_count || a->term_count == 0)
        return false;
    for (int i = 0; i < a->term_count; i++)
        if (!same_term(&a->terms[i], &b->terms[i]))
            return false;
    return true;
}

static int append(struct tally_event_list *list, const struct tally_event *event)
{
    for (int i = 0; i < list->count; i++) {
        const char *name = list->events[i].name;
        if (!strcmp(name, event->name))
            return tally_error("\"%s\" is asked for twice.", name);
        if (same_event(&list->events[i], event))
            return tally_error("\"%s\" and \"%s\" are the same event; ask for one of them.", name,
                               event->name);
    }
    if (list->count == TALLY_MAX_EVENTS)
        return tally_error("more than %d events are asked for at once.", TALLY_MAX_EVENTS);
    list->events[list->count++] = *event;
    return 0;
}

static void name_on(struct tally_event *event, const struct tally_core *core, const char *base,
                    const char *mode)
{
    snprintf(event->name, sizeof(event->name), "%.31s/%.48s/%.8s", core->name, base, mode);
}

/* The kernel's generic events have one term. */
static int spread_generic(const struct tally_event *event, const char *base, const char *mode,
                          struct tally_event_list *list)
{
    const struct tally_cores *all = tally_cores();
    struct tally_event whole = *event;
    int result = 0;
    for (int i = 0; i < all->count && result == 0; i++) {
        struct tally_event one = *event;
        tally_core_set(&one.terms[0], &all->cores[i]);
        whole.terms[i] = one.terms[0];
        name_on(&one, &all->cores[i], base, mode);
        if (!means_the_same(&event->terms[0]))
            result = append(list, &one);
    }
    if (!means_the_same(&event->terms[0]))
        return result;
    whole.term_count = all->count;
    return append(list, &whole);
}

/* As it is, under a name that says where it counts. */
static int append_on_core(const struct tally_event *event, const char *base, const char *mode,
                          struct tally_event_list *list)
{
    struct tally_event one = *event;
    const struct tally_core *core = tally_core_of_event(event);
    if (core)
        name_on(&one, core, base, mode);
    return append(list, &one);
}

/* A native's name may be one of several core types' events, and need not mean the same. */
static int spread_native(const struct tally_event *event, const char *base, const char *mode,
                         struct tally_event_list *list)
{
    char processors[TALLY_MAX_CORE_TYPES][32], name[sizeof(event->name)];
    int count = tally_pfm_cores(processors, TALLY_MAX_CORE_TYPES), result = 0, found = 0;
    const struct tally_term *first = &event->terms[0];
    for (int i = 0; i < count && result == 0; i++) {
        struct tally_event one = *event;
        snprintf(name, sizeof(name), "%.31s::%.56s", processors[i], base);
        if (tally_pfm_encode(name, !first->exclude_user, !first->exclude_kernel, &one.terms[0]) < 0)
            continue;
        one.terms[0].precise = first->precise;
        snprintf(one.name, sizeof(one.name), "%.86s%.8s", name, mode);
        result = append(list, &one);
        found++;
    }
    return found ? result : append_on_core(event, base, mode, list);
}

int tally_event_spread(const struct tally_event *event, const char *base, const char *mode,
                       struct tally_event_list *list)
{
    const struct tally_term *first = &event->terms[0];
    bool is_explicit = tally_is_kernel_name(base) || strstr(base, "::");
    if (!tally_is_hybrid() || event->source != TALLY_SOURCE_HARDWARE || !event->term_count ||
        (is_explicit && !is_generic(first)))
        return append(list, event);
    if (is_generic(first))
        return tally_core_of(first) ? append(list, event) : spread_generic(event, base, mode, list);
    if (strncmp(base, "PAPI_", 5) != 0)
        return spread_native(event, base, mode, list);
    return append_on_core(event, base, mode, list);
}

static const struct tally_core *core_named(const char *name, size_t size)
{
    const struct tally_cores *all = tally_cores();
    for (int i = 0; i < all->count; i++)
        if (strlen(all->cores[i].name) == size && !strncmp(all->cores[i].name, name, size))
            return &all->cores[i];
    return NULL;
}

int tally_core_event(const char *name, bool user, bool kernel, struct tally_event *event)
{
    char inner[sizeof(event->name)];
    size_t size = strcspn(name, "/");
    const struct tally_core *core = core_named(name, size);
    snprintf(inner, sizeof(inner), "%s", name + size + 1);
    inner[strcspn(inner, "/")] = '\0';
    const struct tally_alias *alias = tally_alias_find(inner);
    event->term_count = 1;
    int code = TALLY_NOT_FOUND;
    if (core && !strncmp(inner, "PAPI_", 5))
        code = tally_papi_preset(inner, user, kernel, event);
    else if (core && alias)
        code = tally_pfm_encode(alias->encoding, user, kernel, &event->terms[0]);
    if (code < 0 || !event->term_count)
        return TALLY_NOT_FOUND;
    if (is_generic(&event->terms[0]) && tally_is_hybrid())
        tally_core_set(&event->terms[0], core);
    bool is_there = !tally_is_hybrid() || tally_core_of_event(event) == core;
    bool is_cores = event->terms[0].type != PERF_TYPE_SOFTWARE;
    return is_there && is_cores ? 0 : TALLY_NOT_FOUND;
}
