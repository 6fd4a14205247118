/*
 * Preloaded, it gives PAPI three more components: `meter`, whose event meter:::package counts the
 * energy of something that takes exactly one watt, `io`, which looks at the process that asks, and
 * `broken`, which is off. Real PAPI gets all calls that are about none of them.
 */
#include <dlfcn.h>
#include <papi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FIRST = 40, METER = FIRST, IO, BROKEN, END };

static PAPI_component_info_t components[] = {
    {.name = "meter"},
    {.name = "io"},
    {.name = "broken", .disabled = PAPI_ECMP, .disabled_reason = "no meter is plugged in"},
};
static const char *const events[] = {"meter:::package", "io:::rchar", "broken:::package"};
static double started_us;
static int set_size;

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static bool is_ours(int code)
{
    return code >= (int)PAPI_NATIVE_MASK + FIRST && code < (int)PAPI_NATIVE_MASK + END;
}

static int code_of(const char *name)
{
    for (int i = FIRST; i < END; i++)
        if (!strcmp(events[i - FIRST], name))
            return (int)PAPI_NATIVE_MASK + i;
    return 0;
}

int PAPI_num_components(void)
{
    return END;
}

const PAPI_component_info_t *PAPI_get_component_info(int index)
{
    if (index >= FIRST && index < END)
        return &components[index - FIRST];
    return index < REAL(PAPI_num_components)() ? REAL(PAPI_get_component_info)(index) : NULL;
}

int PAPI_get_component_index(const char *name)
{
    for (int i = FIRST; i < END; i++)
        if (!strcmp(components[i - FIRST].name, name))
            return components[i - FIRST].disabled ? PAPI_ECMP_DISABLED : i;
    return REAL(PAPI_get_component_index)(name);
}

int PAPI_event_name_to_code(const char *name, int *code)
{
    *code = code_of(name);
    return *code ? PAPI_OK : REAL(PAPI_event_name_to_code)(name, code);
}

int PAPI_get_event_info(int code, PAPI_event_info_t *info)
{
    if (!is_ours(code))
        return REAL(PAPI_get_event_info)(code, info);
    memset(info, 0, sizeof(*info));
    snprintf(info->symbol, sizeof(info->symbol), "%s",
             events[code - (int)PAPI_NATIVE_MASK - FIRST]);
    snprintf(info->long_descr, sizeof(info->long_descr), "energy of the package");
    snprintf(info->units, sizeof(info->units), "uJ");
    return PAPI_OK;
}

int PAPI_get_event_component(int code)
{
    return is_ours(code) ? code - (int)PAPI_NATIVE_MASK : REAL(PAPI_get_event_component)(code);
}

int PAPI_enum_cmp_event(int *code, int modifier, int component)
{
    if (component < FIRST)
        return REAL(PAPI_enum_cmp_event)(code, modifier, component);
    *code = (int)PAPI_NATIVE_MASK + component;
    return modifier == PAPI_ENUM_FIRST ? PAPI_OK : PAPI_ENOEVNT;
}

/* A set is ours from the moment that one of our events is added. */
int PAPI_add_named_event(int set, const char *name)
{
    if (!code_of(name))
        return REAL(PAPI_add_named_event)(set, name);
    set_size++;
    return PAPI_OK;
}

int PAPI_start(int set)
{
    if (!set_size)
        return REAL(PAPI_start)(set);
    started_us = now_us();
    return PAPI_OK;
}

int PAPI_read(int set, long long *values)
{
    if (!set_size)
        return REAL(PAPI_read)(set, values);
    values[0] = (long long)(now_us() - started_us);
    return PAPI_OK;
}

int PAPI_stop(int set, long long *values)
{
    if (!set_size)
        return REAL(PAPI_stop)(set, values);
    if (values)
        values[0] = (long long)(now_us() - started_us);
    set_size = 0;
    return PAPI_OK;
}
