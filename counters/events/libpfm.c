#include "events/libpfm.h"

#include "base/error.h"

#include <dlfcn.h>
#include <perfmon/pfmlib_perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_started;

/* libpfm4 reads its environment once, here; the workload must not inherit our wish. */
static int start(void)
{
    static const char inactive[] = "LIBPFM_ENCODE_INACTIVE";
    if (is_started)
        return 0;
    bool mine = !getenv(inactive);
    if (mine)
        setenv(inactive, "1", 1);
    int result = pfm_initialize();
    is_started = result == PFM_SUCCESS;
    if (mine)
        unsetenv(inactive);
    if (result != PFM_SUCCESS)
        return tally_error("libpfm4 cannot start: %s.", pfm_strerror(result));
    return 0;
}

void tally_pfm_start_again(void)
{
    is_started = false;
}

/* Leaves out the attributes that are at rest; what remains encodes to the same. */
static void shorten(char *out, size_t room, char *full)
{
    size_t used = 0;
    char *rest = strstr(full, "::");
    rest = rest ? rest + 2 : full;
    used = (size_t)snprintf(out, room, "%.*s", (int)(rest - full), full);
    const char *separator = "";
    for (char *part = strsep(&rest, ":"); part && used < room; part = strsep(&rest, ":")) {
        const char *value = strchr(part, '=');
        if ((value && !strcmp(value, "=0")) || !strcmp(part, "mh=1"))
            continue;
        used += (size_t)snprintf(out + used, room - used, "%s%s", separator, part);
        separator = ":";
    }
}

int tally_pfm_encode(const char *name, bool user, bool kernel, struct tally_term *term)
{
    if (start() < 0)
        return TALLY_ERROR;
    struct perf_event_attr attr = {0};
    char *full = NULL;
    pfm_perf_encode_arg_t arg = {.attr = &attr, .fstr = &full, .size = sizeof(arg)};
    int levels = (user ? PFM_PLM3 : 0) | (kernel ? PFM_PLM0 : 0);
    int result = pfm_get_os_event_encoding(name, levels, PFM_OS_PERF_EVENT_EXT, &arg);
    if (result == PFM_ERR_NOTFOUND || result == PFM_ERR_ATTR || result == PFM_ERR_UMASK)
        return tally_error_code(TALLY_NOT_FOUND, "unknown event \"%s\": %s.", name,
                                pfm_strerror(result));
    if (result != PFM_SUCCESS)
        return tally_error("libpfm4 cannot encode \"%s\": %s%s.", name, pfm_strerror(result),
                           access("/proc/sys", F_OK) == 0 ? "" : "; /proc must be mounted");
    *term = (struct tally_term){
        .factor = 1,
        .type = attr.type,
        .config = attr.config,
        .config1 = attr.config1,
        .config2 = attr.config2,
        .exclude_user = attr.exclude_user,
        .exclude_kernel = attr.exclude_kernel,
        .exclude_hv = attr.exclude_hv,
        .precise = (uint8_t)attr.precise_ip,
    };
    if (strstr(full, ":::")) /* raw events have no name there */
        snprintf(term->encoding, sizeof(term->encoding), "%s", name);
    else
        shorten(term->encoding, sizeof(term->encoding), full);
    free(full);
    return 0;
}

static bool pmu_info(int pmu, pfm_pmu_info_t *info)
{
    memset(info, 0, sizeof(*info));
    info->size = sizeof(*info);
    return pfm_get_pmu_info((pfm_pmu_t)pmu, info) == PFM_SUCCESS;
}

int tally_pfm_encode_elsewhere(const char *name, bool user, bool kernel, struct tally_term *term)
{
    pfm_pmu_info_t info;
    char qualified[160];
    if (start() < 0)
        return TALLY_ERROR;
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++) {
        if (!pmu_info(pmu, &info) || info.is_present || info.type != PFM_PMU_TYPE_CORE)
            continue;
        snprintf(qualified, sizeof(qualified), "%s::%s", info.name, name);
        if (tally_pfm_encode(qualified, user, kernel, term) == 0)
            return 0;
    }
    return tally_error_code(TALLY_NOT_FOUND, "unknown event \"%s\".", name);
}

bool tally_pfm_is_foreign(const char *encoding, const char **description)
{
    pfm_pmu_info_t info;
    const char *end = strstr(encoding, "::");
    if (!end || start() < 0)
        return false;
    size_t size = (size_t)(end - encoding);
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++) {
        if (!pmu_info(pmu, &info) || strncmp(info.name, encoding, size) != 0 || info.name[size])
            continue;
        *description = info.desc;
        return !info.is_present;
    }
    return false;
}

bool tally_pfm_is_uncore(const char *name)
{
    pfm_pmu_info_t info;
    const char *end = strstr(name, "::");
    if (!end || start() < 0)
        return false;
    size_t size = (size_t)(end - name);
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++)
        if (pmu_info(pmu, &info) && !strncmp(info.name, name, size) && !info.name[size])
            return info.type == PFM_PMU_TYPE_UNCORE && info.is_present;
    return false;
}

static bool find_core(const char *processor, pfm_pmu_info_t *info)
{
    if (start() < 0)
        return false;
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++)
        if (pmu_info(pmu, info) && info->type == PFM_PMU_TYPE_CORE &&
            !strcmp(info->name, processor))
            return true;
    return false;
}

bool tally_pfm_knows(const char *processor)
{
    pfm_pmu_info_t info;
    return find_core(processor, &info);
}

bool tally_pfm_is_present(const char *processor)
{
    pfm_pmu_info_t info;
    return find_core(processor, &info) && info.is_present;
}

const char *tally_pfm_processor(void)
{
    pfm_pmu_info_t info;
    if (start() < 0)
        return NULL;
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++)
        if (pmu_info(pmu, &info) && info.is_present && info.type == PFM_PMU_TYPE_CORE &&
            strncmp(info.name, "ix86arch", 8) != 0)
            return info.desc;
    return NULL;
}

int tally_pfm_cores(char names[][32], int room)
{
    pfm_pmu_info_t info;
    int found = 0;
    if (start() < 0)
        return 0;
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX && found < room; pmu++)
        if (pmu_info(pmu, &info) && info.is_present && info.type == PFM_PMU_TYPE_CORE &&
            strncmp(info.name, "ix86arch", 8) != 0)
            snprintf(names[found++], 32, "%.31s", info.name);
    return found;
}

/* libpfm4 tells only the version of its interface; its file's name has its own. */
const char *tally_pfm_version(void)
{
    static char text[32];
    Dl_info library;
    void *symbol = dlsym(RTLD_DEFAULT, "pfm_initialize");
    char *file = symbol && dladdr(symbol, &library) ? realpath(library.dli_fname, NULL) : NULL;
    const char *version = file ? strstr(file, ".so.") : NULL;
    if (version)
        snprintf(text, sizeof(text), "%s", version + strlen(".so."));
    else
        snprintf(text, sizeof(text), "%d", pfm_get_version() >> 16);
    free(file);
    return text;
}

static int each_mask(const pfm_pmu_info_t *pmu, int index, const pfm_event_info_t *event,
                     int (*each)(const char *, const char *, void *), void *data)
{
    char name[160];
    for (int mask = 0; mask < event->nattrs; mask++) {
        pfm_event_attr_info_t attr = {.size = sizeof(attr)};
        if (pfm_get_event_attr_info(index, mask, PFM_OS_PERF_EVENT_EXT, &attr) != PFM_SUCCESS ||
            attr.type != PFM_ATTR_UMASK)
            continue;
        snprintf(name, sizeof(name), "%s::%s:%s", pmu->name, event->name, attr.name);
        int result = each(name, attr.desc ? attr.desc : "", data);
        if (result)
            return result;
    }
    return 0;
}

int tally_pfm_each(int (*each)(const char *name, const char *description, void *data), void *data)
{
    pfm_pmu_info_t info;
    char name[160];
    if (start() < 0)
        return TALLY_ERROR;
    for (int pmu = PFM_PMU_NONE; pmu < PFM_PMU_MAX; pmu++) {
        if (!pmu_info(pmu, &info) || !info.is_present)
            continue;
        for (int i = info.first_event; i != -1; i = pfm_get_event_next(i)) {
            pfm_event_info_t event = {.size = sizeof(event)};
            if (pfm_get_event_info(i, PFM_OS_PERF_EVENT_EXT, &event) != PFM_SUCCESS)
                continue;
            snprintf(name, sizeof(name), "%s::%s", info.name, event.name);
            int result = each(name, event.desc ? event.desc : "", data);
            if (!result)
                result = each_mask(&info, i, &event, each, data);
            if (result)
                return result;
        }
    }
    return 0;
}
