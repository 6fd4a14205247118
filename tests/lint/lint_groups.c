/*
 * Checks every group of metrics in the folder that is its argument: the file is read, formulas and
 * units with it; each event is resolved for each processor that it is for, here or not, by the
 * libpfm4 of this machine. That knows processors of one architecture only. Arm's cores are in the
 * table of arm.h as well, and are checked everywhere; on Arm the table itself is.
 */
#include "arm.h"

#include "base/error.h"
#include "events/aliases.h"
#include "events/group.h"
#include "events/kernel_names.h"
#include "events/libpfm.h"
#include "events/papi.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int faults;

/* Of x86-64, whose names cannot be checked where libpfm4 is that of another architecture. */
static bool is_x86(const char *processor)
{
    static const char *const others[] = {"icl",
                                         "icx",
                                         "spr",
                                         "snb",
                                         "snb_ep",
                                         "ivb",
                                         "ivb_ep",
                                         "hsw",
                                         "hsw_ep",
                                         "bdw",
                                         "bdw_ep",
                                         "skl",
                                         "skx",
                                         "clx",
                                         "amd64_fam17h_zen2",
                                         "amd64_fam19h_zen3",
                                         "amd64_fam19h_zen4"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (!strcmp(others[i], processor))
            return true;
    return false;
}

static void fault(const struct tally_group *group, int line, const char *why)
{
    printf("%s:%d: %s\n", group->path, line, why);
    faults++;
}

/* Presets, aliases and names that belong to no processor. */
static int resolve_anywhere(const char *name)
{
    struct tally_event event = {0};
    struct tally_term term;
    if (!strncmp(name, "PAPI_", 5))
        return tally_papi_preset(name, true, true, &event) == TALLY_NOT_FOUND ? TALLY_ERROR : 0;
    if (tally_alias_find(name) || tally_is_kernel_name(name) || strstr(name, ":::"))
        return 0;
    return tally_pfm_encode(name, true, true, &term);
}

static int resolve_for(const char *processor, const char *name)
{
    char qualified[160];
    struct tally_term term;
    int code = arm_code(processor, name);
    if (resolve_anywhere(name) == 0)
        return 0;
    if (!tally_pfm_knows(processor))
        return code >= 0 ? 0
                         : tally_error("%s is not in the table of Arm's events (arm.h) for %s",
                                       name, processor);
    snprintf(qualified, sizeof(qualified), "%s::%s", processor, name);
    if (tally_pfm_encode(qualified, true, true, &term) < 0)
        return TALLY_ERROR;
    return code < 0 || term.config == (uint64_t)code
               ? 0
               : tally_error("%s is event %#llx to libpfm4 and %#x in arm.h", qualified,
                             (unsigned long long)term.config, (unsigned)code);
}

static void check_events(const struct tally_group *group, const struct tally_variant *variant,
                         const char *processor)
{
    char why[160];
    bool is_generic =
        !strcmp(processor, "any") || !strcmp(processor, "simulated") || strchr(processor, '/');
    bool is_known = is_generic || tally_pfm_knows(processor) || arm_knows(processor);
    if (!is_known && is_x86(processor)) {
        printf("%s: the events for %s are not checked: libpfm4 %s does not know it here\n",
               group->name, processor, tally_pfm_version());
        return;
    }
    if (!is_known) {
        snprintf(why, sizeof(why), "there is no processor \"%s\"", processor);
        fault(group, variant->line, why);
        return;
    }
    for (int i = 0; i < variant->event_count; i++) {
        const char *name = variant->events[i].name;
        if ((is_generic ? resolve_anywhere(name) : resolve_for(processor, name)) < 0)
            fault(group, variant->events[i].line, tally_error_text());
    }
}

/* The unit of what a name counts: "" where that is not known without the machine that has it. */
static const char *unit_of(const char *name)
{
    struct tally_event_list list;
    if (strstr(name, "ENERGY"))
        return "nJ";
    if (strstr(name, ":::"))
        return "";
    if ((!strncmp(name, "PAPI_", 5) || tally_alias_find(name)) &&
        tally_events_resolve(name, 1000, &list) == 0)
        return tally_quantity_of_event(list.events[0].unit).text[0] == 'n' ? "ns" : "count";
    return "count";
}

static void check_units(const struct tally_group *group, const struct tally_variant *variant)
{
    for (int i = 0; i < variant->event_count; i++) {
        const char *unit = unit_of(variant->events[i].name);
        if (*unit && strcmp(unit, variant->symbols[i].unit.text) != 0)
            fault(group, variant->events[i].line, "the event is counted in another unit");
    }
}

/* The first variant that names a processor is taken: what follows must not name it again. */
static void check_reach(const struct tally_group *group, int at, const char *processor)
{
    char words[sizeof(group->variants[0]->processors) + 2], wanted[80], why[160];
    snprintf(wanted, sizeof(wanted), " %s ", processor);
    for (int i = 0; i < at; i++) {
        snprintf(words, sizeof(words), " %s ", group->variants[i]->processors);
        if (!strstr(words, wanted) && !strstr(words, " any "))
            continue;
        snprintf(why, sizeof(why), "%s never gets here: the variant of line %d takes it", processor,
                 group->variants[i]->line);
        fault(group, group->variants[at]->line, why);
        return;
    }
}

static void check_file(const char *path)
{
    struct tally_group *group;
    if (tally_group_load(&group, path) < 0) {
        printf("%s\n", tally_error_text());
        faults++;
        return;
    }
    for (int i = 0; i < group->variant_count; i++) {
        char processors[sizeof(group->variants[i]->processors)], *rest = processors;
        snprintf(processors, sizeof(processors), "%s", group->variants[i]->processors);
        for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
            if (*name) {
                check_events(group, group->variants[i], name);
                check_reach(group, i, name);
            }
        check_units(group, group->variants[i]);
    }
    if (!strstr(group->description, "\nSource"))
        fault(group, group->variants[0]->line, "LONG does not say where the formulas are from");
    tally_group_free(group);
}

int main(int argc, char **argv)
{
    char path[4096];
    int files = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        size_t size = strlen(entry->d_name);
        if (size < 7 || strcmp(entry->d_name + size - 6, ".group") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        check_file(path);
        files++;
    }
    if (folder)
        closedir(folder);
    printf("%d groups, %d faults\n", files, faults);
    return faults || !files;
}
