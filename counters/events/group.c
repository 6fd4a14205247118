/* Using a group: which variant fits, what its metrics are worth. */
#include "events/group.h"

#include "base/error.h"
#include "events/kernel_names.h"
#include "events/libpfm.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *tally_group_folder(void)
{
    static const char *const places[] = {"../share/tallystack/groups", TALLYSTACK_GROUPS_FROM_BIN};
    char own[PATH_MAX], *found = NULL;
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (size < 0)
        return NULL;
    own[size] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !found; i++) {
        struct tally_buffer path = {0};
        tally_buffer_printf(&path, "%s/%s", own, places[i]);
        found = realpath(path.data, NULL);
        tally_buffer_release(&path);
    }
    return found;
}

static int is_group(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && dot != entry->d_name && !strcmp(dot, ".group");
}

int tally_group_each(int (*each)(const char *name, void *data), void *data)
{
    struct dirent **entries = NULL;
    char *folder = tally_group_folder();
    int count = folder ? scandir(folder, &entries, is_group, alphasort) : -1, result = 0;
    free(folder);
    if (count < 0)
        return tally_error("the metric groups are not beside the command, in "
                           "../share/tallystack/groups; install tallystack anew.");
    for (int i = 0; i < count; i++) {
        *strrchr(entries[i]->d_name, '.') = '\0';
        if (!result)
            result = each(entries[i]->d_name, data);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static bool fits(const char *processor, size_t size, bool simulated)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)size, processor);
    if (!strcmp(name, "any"))
        return true;
    if (simulated || !strcmp(name, "simulated"))
        return simulated && !strcmp(name, "simulated");
    return strchr(name, '/') ? tally_kernel_name_exists(name) : tally_pfm_is_present(name);
}

const struct tally_variant *tally_group_variant(const struct tally_group *group, bool simulated)
{
    for (int i = 0; i < group->variant_count; i++) {
        const char *at = group->variants[i]->processors;
        for (size_t size; *at; at += size) {
            at += strspn(at, " ");
            size = strcspn(at, " ");
            if (size && fits(at, size, simulated))
                return group->variants[i];
        }
    }
    const char *processor = simulated ? "the simulator" : tally_pfm_processor();
    tally_error("the group \"%s\" has no formulas for %s.", group->name,
                processor ? processor : "this processor, which libpfm4 does not know");
    return NULL;
}

static int count_of(const struct tally_variant *variant, const char *const *names, int count)
{
    int found = 0;
    for (int i = 0; i < variant->event_count; i++)
        for (int k = 0; k < count; k++)
            found += !strcmp(variant->events[i].name, names[k]);
    return found;
}

const struct tally_variant *tally_group_variant_with(const struct tally_group *group,
                                                     const char *const *names, int count)
{
    const struct tally_variant *best = group->variants[0];
    for (int i = 1; i < group->variant_count; i++)
        if (count_of(group->variants[i], names, count) > count_of(best, names, count))
            best = group->variants[i];
    return best;
}

void tally_variant_list(const struct tally_variant *variant, struct tally_buffer *out)
{
    for (int i = 0; i < variant->event_count; i++)
        tally_buffer_printf(out, "%s%s", i ? "," : "", variant->events[i].name);
}

int tally_variant_elapsed(const struct tally_variant *variant)
{
    return variant->event_count;
}

void tally_metric_formula(const struct tally_variant *variant, const struct tally_metric *metric,
                          struct tally_buffer *out)
{
    for (const char *at = metric->formula.text; *at;) {
        size_t size = 0;
        const char *name = NULL;
        bool is_unit = *at == '[';
        while (isalnum((unsigned char)at[size]) || at[size] == '_')
            size++;
        if (is_unit)
            size = strcspn(at, "]") + 1;
        for (int i = 0; size && i < variant->event_count; i++)
            if (strlen(variant->events[i].symbol) == size &&
                !strncmp(variant->events[i].symbol, at, size))
                name = variant->events[i].name;
        if (!size)
            size = 1;
        if (name)
            tally_buffer_printf(out, "%s", name);
        else
            tally_buffer_append(out, at, size);
        at += size;
    }
}

int tally_metric_evaluate(const struct tally_variant *variant, const struct tally_metric *metric,
                          const struct tally_operand *operands, double *out)
{
    double value = 0;
    if (tally_formula_evaluate(&metric->formula, variant->symbols, operands, &value) < 0)
        return TALLY_ERROR;
    *out = value / metric->unit.scale;
    return 0;
}
