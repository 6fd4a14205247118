#include "events/cores.h"

#include "events/kernel_names.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_SHIFT = 32 }; /* PERF_PMU_TYPE_SHIFT: where generic events name their PMU */

bool tally_is_hybrid(void)
{
    return tally_cores()->count > 1;
}

static bool is_generic(const struct tally_term *term)
{
    return term->type == PERF_TYPE_HARDWARE || term->type == PERF_TYPE_HW_CACHE;
}

const struct tally_core *tally_core_of(const struct tally_term *term)
{
    const struct tally_cores *all = tally_cores();
    uint32_t type = is_generic(term) ? (uint32_t)(term->config >> TYPE_SHIFT) : term->type;
    for (int i = 0; i < all->count && all->count > 1; i++)
        if (all->cores[i].type == type)
            return &all->cores[i];
    return NULL;
}

const struct tally_core *tally_core_of_event(const struct tally_event *event)
{
    const struct tally_core *core = event->term_count ? tally_core_of(&event->terms[0]) : NULL;
    for (int i = 1; i < event->term_count; i++)
        if (tally_core_of(&event->terms[i]) != core)
            return NULL;
    return core;
}

void tally_core_set(struct tally_term *term, const struct tally_core *core)
{
    size_t used = strlen(term->encoding);
    snprintf(term->encoding + used, sizeof(term->encoding) - used, " on %s", core->name);
    term->config = (uint32_t)term->config | (uint64_t)core->type << TYPE_SHIFT;
}

bool tally_core_processors(const struct tally_core *core, char *out, size_t room)
{
    return tally_kernel_pmu_file(core->name, "cpus", out, room);
}

/* "0-3,8" */
static bool parse_processors(const char *text, cpu_set_t *out)
{
    CPU_ZERO(out);
    for (const char *at = text; *at;) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (end == at)
            return false;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long i = first; i <= last && i < CPU_SETSIZE; i++)
            CPU_SET(i, out);
        at = end + (*end == ',');
        if (*end && *end != ',')
            return false;
    }
    return true;
}

bool tally_core_enter(const struct tally_core *core, cpu_set_t *before)
{
    char text[512];
    cpu_set_t own;
    if (!tally_core_processors(core, text, sizeof(text)) || !parse_processors(text, &own) ||
        sched_getaffinity(0, sizeof(*before), before) < 0)
        return false;
    CPU_AND(&own, &own, before);
    return CPU_COUNT(&own) > 0 && sched_setaffinity(0, sizeof(own), &own) == 0;
}

void tally_core_leave(const cpu_set_t *before)
{
    sched_setaffinity(0, sizeof(*before), before);
}
