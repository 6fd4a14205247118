/* From the text of `-e` to events. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/parse.h"
#include "events/aliases.h"
#include "events/catalog.h"
#include "events/component.h"
#include "events/cores.h"
#include "events/event.h"
#include "events/kernel_names.h"
#include "events/libpfm.h"
#include "events/papi.h"
#include "events/spread.h"

#include <ctype.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tally_source_name(enum tally_source_kind source)
{
    static const char *const names[] = {"software", "hardware", "clock", "simulated"};
    return names[source];
}

const char *tally_unit_name(enum tally_unit unit)
{
    static const char *const names[] = {"count", "ns", "J", "nJ", "bytes"};
    return names[unit];
}

struct modifiers {
    bool user, kernel;
    uint8_t precise;
};

/* Takes a last ":NUMBER" off `name`. */
static int take_period(char *name, struct tally_event *event)
{
    char *colon = strrchr(name, ':');
    char what[160];
    uint64_t period;
    if (!colon || !isdigit((unsigned char)colon[1]))
        return 0;
    *colon = '\0';
    snprintf(what, sizeof(what), "the period of \"%s\"", name);
    if (tally_parse_count(colon + 1, what, &period) < 0) {
        /* Some masks of processors start with a digit. */
        if (tally_alias_find(name) || strchr(name, ':') == NULL)
            return TALLY_ERROR;
        *colon = ':';
        return 0;
    }
    event->period_given = true;
    event->read_only = period == 0;
    event->period = period;
    return 0;
}

/* Takes last parts like ":u", ":pp" or ":ukp" off `name`. */
static int take_modifiers(char *name, struct modifiers *modifiers)
{
    unsigned int precise = 0;
    for (char *colon = strrchr(name, ':'); colon; colon = strrchr(name, ':')) {
        if (!colon[1] || strspn(colon + 1, "ukp") != strlen(colon + 1))
            break;
        for (const char *letter = colon + 1; *letter; letter++) {
            modifiers->user |= *letter == 'u';
            modifiers->kernel |= *letter == 'k';
            precise += *letter == 'p';
        }
        *colon = '\0';
    }
    if (precise > 3)
        return tally_error("\"%s\" asks for more than the three levels of precision.", name);
    modifiers->precise = (uint8_t)precise;
    if (!modifiers->user && !modifiers->kernel)
        modifiers->user = modifiers->kernel = true;
    return 0;
}

static int unknown(const char *name)
{
    struct tally_buffer nearest = {0};
    int found = tally_catalog_nearest(name, &nearest);
    int code =
        found
            ? tally_error_code(TALLY_NOT_FOUND, "unknown event \"%s\"; nearest %s %s.", name,
                               found == 1 ? "is" : "are", nearest.data)
            : tally_error_code(TALLY_NOT_FOUND,
                               "unknown event \"%s\"; \"tallystack list\" shows the names.", name);
    tally_buffer_release(&nearest);
    return code;
}

static int find(const char *name, const struct modifiers *modifiers, struct tally_event *event)
{
    const struct tally_alias *alias = tally_alias_find(name);
    if (!strncmp(name, "PAPI_", 5))
        return tally_papi_preset(name, modifiers->user, modifiers->kernel, event);
    if (tally_is_kernel_name(name) && !tally_kernel_name_exists(name) &&
        tally_core_event(name, modifiers->user, modifiers->kernel, event) == 0)
        return 0;
    event->term_count = 1;
    if (tally_is_kernel_name(name))
        return tally_kernel_name_encode(name, modifiers->user, modifiers->kernel, &event->terms[0]);
    int code = tally_pfm_encode(alias ? alias->encoding : name, modifiers->user, modifiers->kernel,
                                &event->terms[0]);
    if (code == TALLY_NOT_FOUND && !strstr(name, "::"))
        code =
            tally_pfm_encode_elsewhere(name, modifiers->user, modifiers->kernel, &event->terms[0]);
    return code;
}

static bool is_kernel_type(uint32_t type)
{
    return type == PERF_TYPE_SOFTWARE || type == PERF_TYPE_TRACEPOINT ||
           type == PERF_TYPE_BREAKPOINT;
}

static void classify(struct tally_event *event, uint64_t frequency)
{
    const struct tally_term *term = &event->terms[0];
    bool software = event->term_count > 0 && is_kernel_type(term->type);
    event->source = software ? TALLY_SOURCE_SOFTWARE : TALLY_SOURCE_HARDWARE;
    event->is_clock =
        software && term->type == PERF_TYPE_SOFTWARE &&
        (term->config == PERF_COUNT_SW_TASK_CLOCK || term->config == PERF_COUNT_SW_CPU_CLOCK);
    event->unit = event->is_clock ? TALLY_UNIT_NS : TALLY_UNIT_COUNT;
    if (event->period_given)
        return;
    if (software && !event->is_clock)
        event->period = 1;
    else
        event->frequency = frequency;
}

/* Appends what `text`, which is written to, asks for. */
static int resolve_one(char *text, uint64_t frequency, struct tally_event_list *list)
{
    struct modifiers modifiers = {0};
    struct tally_event found = {0}, *event = &found;
    if (!*text)
        return tally_error("the list of events has an empty name in it.");
    if (strlen(text) >= sizeof(event->name))
        return tally_error("the event name \"%.60s...\" is too long.", text);
    if (tally_component_is_name(text)) {
        snprintf(event->name, sizeof(event->name), "%s", text);
        int result = tally_component_event(text, event);
        return result < 0 ? result : tally_event_spread(event, text, "", list);
    }
    if (take_period(text, event) < 0)
        return TALLY_ERROR;
    snprintf(event->name, sizeof(event->name), "%s", text);
    if (take_modifiers(text, &modifiers) < 0)
        return TALLY_ERROR;
    int code = find(text, &modifiers, event);
    if (code == TALLY_NOT_FOUND)
        return tally_is_kernel_name(text) ? code : unknown(text);
    if (code < 0)
        return code;
    for (int i = 0; i < event->term_count; i++)
        if (modifiers.precise)
            event->terms[i].precise = modifiers.precise;
    classify(event, frequency);
    return tally_event_spread(event, text, event->name + strlen(text), list);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    return text;
}

int tally_events_resolve(const char *list, uint64_t frequency, struct tally_event_list *out)
{
    struct tally_event_list *found = tally_alloc_zeroed(1, sizeof(*found));
    char *copy = tally_strdup(list), *rest = copy;
    int result = 0;
    for (char *item = strsep(&rest, ","); item && result == 0; item = strsep(&rest, ","))
        result = resolve_one(trim(item), frequency, found);
    if (result == 0)
        *out = *found;
    free(copy);
    free(found);
    return result;
}

int tally_event_resolve_whole(const char *name, uint64_t frequency, struct tally_event *out)
{
    struct tally_event_list list = {0};
    int result = tally_events_resolve(name, frequency, &list);
    if (result < 0)
        return result;
    if (tally_is_hybrid() && (list.count != 1 || strcmp(list.events[0].name, name) != 0)) {
        struct tally_buffer names = {0};
        for (int i = 0; i < list.count; i++)
            tally_buffer_printf(&names, "%s%s", i ? " and " : "", list.events[i].name);
        result = tally_error_code(TALLY_NOT_FOUND,
                                  "\"%s\" does not mean the same on all core types of this "
                                  "processor, which has %s.",
                                  name, names.data ? names.data : "none of it");
        tally_buffer_release(&names);
        return result;
    }
    *out = list.events[0];
    return 0;
}
