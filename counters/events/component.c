#include "events/component.h"

#include "base/error.h"
#include "events/libpfm.h"
#include "events/papi.h"

#include <papi.h>
#include <stdio.h>
#include <string.h>

/* What does not count for the machine while a program runs, and why it is of no use. */
static const struct unsuitable {
    const char *component, *why;
} unsuitable[] = {
    {"io", "counts the input and output of tallystack itself, not of the program"},
    {"appio", "counts the input and output of tallystack itself, not of the program"},
    {"sde", "counts within the program that PAPI is linked into"},
    {"coretemp", "tells a state, which is no count"},
    {"lmsensors", "tells a state, which is no count"},
    {"perf_event", "is the processor's; ask for it by its own name"},
};

static const struct unit {
    const char *papi;
    enum tally_unit unit;
    double factor;
} units[] = {
    {"", TALLY_UNIT_COUNT, 1},     {"count", TALLY_UNIT_COUNT, 1}, {"#", TALLY_UNIT_COUNT, 1},
    {"nJ", TALLY_UNIT_NJ, 1},      {"uJ", TALLY_UNIT_NJ, 1e3},     {"mJ", TALLY_UNIT_NJ, 1e6},
    {"J", TALLY_UNIT_NJ, 1e9},     {"Joules", TALLY_UNIT_NJ, 1e9}, {"ns", TALLY_UNIT_NS, 1},
    {"us", TALLY_UNIT_NS, 1e3},    {"ms", TALLY_UNIT_NS, 1e6},     {"s", TALLY_UNIT_NS, 1e9},
    {"bytes", TALLY_UNIT_BYTE, 1},
};

/* The kernel counts RAPL's energy in units of 2^-32 J, whatever the processor's own unit is. */
static const double rapl_unit_nj = 1e9 / 4294967296.0;

static bool is_rapl(const char *name)
{
    return !strncmp(name, "rapl::", strlen("rapl::"));
}

bool tally_component_is_name(const char *name)
{
    return strstr(name, ":::") || tally_pfm_is_uncore(name);
}

static const struct unit *unit_of(const PAPI_event_info_t *info)
{
    size_t size = strlen(info->symbol);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(units[i].papi, info->units))
            return &units[i];
    return size ? NULL : &units[0];
}

void tally_component_wake(int index)
{
    const PAPI_component_info_t *info = PAPI_get_component_info(index);
    int code = PAPI_NATIVE_MASK;
    if (info && info->disabled == PAPI_EDELAY_INIT)
        (void)PAPI_enum_cmp_event(&code, PAPI_ENUM_FIRST, index);
}

/* The component's own prefix in a name such as "net:::lo:rx:bytes", or NULL. */
static const PAPI_component_info_t *component_of(const char *name)
{
    char prefix[64];
    const char *end = strstr(name, ":::");
    snprintf(prefix, sizeof(prefix), "%.*s", end ? (int)(end - name) : 0, name);
    int index = PAPI_get_component_index(end ? prefix : "perf_event_uncore");
    /* One that is off is known, too, but its index comes as an error. */
    for (int i = 0; index < 0 && i < PAPI_num_components(); i++) {
        const PAPI_component_info_t *info = PAPI_get_component_info(i);
        if (info && !strcmp(info->name, end ? prefix : "perf_event_uncore"))
            return info;
    }
    return index < 0 ? NULL : PAPI_get_component_info(index);
}

static int is_off(const char *name, const PAPI_component_info_t *component)
{
    const char *reason = component->disabled_reason;
    int size = (int)strlen(reason);
    while (size > 0 && strchr(". \n", reason[size - 1]))
        size--;
    return tally_error_code(
        TALLY_NOT_FOUND, "\"%s\" cannot be counted: PAPI's component %s is off here: %.*s.", name,
        component->name, size ? size : 15, size ? reason : "it tells no why");
}

static int check_component(const char *name)
{
    for (int i = 0; i < PAPI_num_components(); i++)
        tally_component_wake(i);
    const PAPI_component_info_t *component = component_of(name);
    if (!component)
        return tally_error_code(TALLY_NOT_FOUND,
                                "unknown event \"%s\": this PAPI (%s) was built without such a "
                                "component; \"papi_component_avail\" shows which it has.",
                                name, tally_papi_version());
    if (component->disabled)
        return is_off(name, component);
    for (size_t i = 0; i < sizeof(unsuitable) / sizeof(unsuitable[0]); i++)
        if (!strcmp(unsuitable[i].component, component->name))
            return tally_error_code(TALLY_NOT_FOUND,
                                    "\"%s\" is not counted: PAPI's component %s %s.", name,
                                    component->name, unsuitable[i].why);
    return 0;
}

static int find(const char *name, PAPI_event_info_t *info)
{
    int code = 0;
    memset(info, 0, sizeof(*info));
    if (tally_papi_start() < 0)
        return TALLY_ERROR;
    int result = check_component(name);
    if (result < 0)
        return result;
    if (PAPI_event_name_to_code(name, &code) != PAPI_OK ||
        PAPI_get_event_info(code, info) != PAPI_OK)
        return tally_error_code(TALLY_NOT_FOUND,
                                "unknown event \"%s\"; \"tallystack list %.*s\" shows what PAPI's "
                                "component has.",
                                name, (int)strcspn(name, ":"), name);
    return 0;
}

int tally_component_event(const char *name, struct tally_event *event)
{
    PAPI_event_info_t info;
    int result = find(name, &info);
    if (result < 0)
        return result;
    const struct unit *unit = unit_of(&info);
    if (!unit)
        return tally_error("\"%s\" is in a unit that tallystack does not know (%s).", name,
                           info.units);
    event->unit = is_rapl(name) ? TALLY_UNIT_NJ : unit->unit;
    event->source = TALLY_SOURCE_HARDWARE;
    event->is_machine_wide = true;
    event->term_count = 0;
    return 0;
}

double tally_component_factor(const struct tally_event *event)
{
    PAPI_event_info_t info;
    if (is_rapl(event->name))
        return rapl_unit_nj;
    const struct unit *unit = find(event->name, &info) < 0 ? NULL : unit_of(&info);
    return unit ? unit->factor : 1;
}

double tally_component_refresh_ns(const struct tally_event *event)
{
    static const double second_and_some_ns = 1.01e9;
    return strncmp(event->name, "net:::", strlen("net:::")) ? 0 : second_and_some_ns;
}

static int component_index(const struct tally_event *event)
{
    int code = 0;
    return PAPI_event_name_to_code(event->name, &code) == PAPI_OK ? PAPI_get_event_component(code)
                                                                  : PAPI_ENOCMP;
}

static int fail(int set, const struct tally_event *event, int error)
{
    if (set != PAPI_NULL) {
        PAPI_cleanup_eventset(set);
        PAPI_destroy_eventset(&set);
    }
    tally_error("PAPI cannot count \"%s\": %s.", event->name, PAPI_strerror(error));
    return PAPI_NULL;
}

int tally_component_start(const struct tally_event *events, int count, bool *taken, int *place)
{
    int set = PAPI_NULL, first = 0, used = 0, error = PAPI_OK;
    while (first < count && taken[first])
        first++;
    int component = component_index(&events[first]);
    error = PAPI_create_eventset(&set);
    for (int i = first; i < count && error == PAPI_OK; i++) {
        if (taken[i] || component_index(&events[i]) != component)
            continue;
        error = PAPI_add_named_event(set, events[i].name);
        if (error != PAPI_OK)
            return fail(set, &events[i], error);
        taken[i] = true;
        place[i] = used++;
    }
    if (error == PAPI_OK)
        error = PAPI_start(set);
    return error == PAPI_OK ? set : fail(set, &events[first], error);
}

int tally_component_try(const struct tally_event *event, void (*exercise)(void), double *value)
{
    bool taken = false;
    int place = 0;
    long long counted = 0;
    int set = tally_component_start(event, 1, &taken, &place);
    if (set == PAPI_NULL)
        return TALLY_ERROR;
    exercise();
    int error = PAPI_stop(set, &counted);
    PAPI_cleanup_eventset(set);
    PAPI_destroy_eventset(&set);
    *value = (double)counted;
    return error == PAPI_OK
               ? 0
               : tally_error("PAPI cannot read \"%s\": %s.", event->name, PAPI_strerror(error));
}

static int each_of(int component, int (*each)(const char *, const char *, void *), void *data)
{
    PAPI_event_info_t info;
    char description[sizeof(info.long_descr) + 32];
    int code = PAPI_NATIVE_MASK, result = 0;
    if (PAPI_enum_cmp_event(&code, PAPI_ENUM_FIRST, component) != PAPI_OK)
        return 0;
    do {
        memset(&info, 0, sizeof(info));
        if (PAPI_get_event_info(code, &info) != PAPI_OK)
            continue;
        snprintf(description, sizeof(description), "%s (machine-wide)", info.long_descr);
        result = each(info.symbol, description, data);
    } while (!result && PAPI_enum_cmp_event(&code, PAPI_ENUM_EVENTS, component) == PAPI_OK);
    return result;
}

int tally_component_each(int (*each)(const char *name, const char *description, void *data),
                         void *data)
{
    int result = 0;
    if (tally_papi_start() < 0)
        return TALLY_ERROR;
    for (int i = 0; i < PAPI_num_components() && !result; i++) {
        tally_component_wake(i);
        const PAPI_component_info_t *info = PAPI_get_component_info(i);
        /* Those of the processor's PMUs are listed by libpfm4. */
        if (info && !info->disabled && strncmp(info->name, "perf_event", 10) != 0)
            result = each_of(i, each, data);
    }
    return result;
}
