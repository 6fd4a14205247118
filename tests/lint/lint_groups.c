/*
 * Checks every group of metrics in the folder that is its argument: the file is read, formulas and
 * units with it; each event is resolved for each processor that it is for. A processor that the
 * libpfm4 of this machine does not know (those of other architectures) must be in the table below,
 * and is named in the output, since its names are not checked here.
 */
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

/* libpfm4 has one table for x86 and one for Arm; that of Debian 12 (4.13) has these. */
static bool is_known_elsewhere(const char *processor)
{
    static const char *const others[] = {"arm_n1",
                                         "arm_n2",
                                         "arm_v1",
                                         "arm_v2",
                                         "icl",
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
    if (resolve_anywhere(name) == 0)
        return 0;
    snprintf(qualified, sizeof(qualified), "%s::%s", processor, name);
    return tally_pfm_encode(qualified, true, true, &term);
}

static void check_events(const struct tally_group *group, const struct tally_variant *variant,
                         const char *processor)
{
    bool is_generic =
        !strcmp(processor, "any") || !strcmp(processor, "simulated") || strchr(processor, '/');
    if (!is_generic && !tally_pfm_knows(processor)) {
        if (is_known_elsewhere(processor))
            printf("%s: the events for %s are not checked: libpfm4 %s does not know it here\n",
                   group->name, processor, tally_pfm_version());
        else
            fault(group, variant->line, processor);
        return;
    }
    for (int i = 0; i < variant->event_count; i++) {
        const char *name = variant->events[i].name;
        if ((is_generic ? resolve_anywhere(name) : resolve_for(processor, name)) < 0)
            fault(group, variant->events[i].line, tally_error_text());
    }
}

static void check_units(const struct tally_group *group, const struct tally_variant *variant)
{
    for (int i = 0; i < variant->event_count; i++) {
        struct tally_event_list list;
        if (strncmp(variant->events[i].name, "PAPI_", 5) != 0 &&
            !tally_alias_find(variant->events[i].name))
            continue;
        if (tally_events_resolve(variant->events[i].name, 1000, &list) < 0)
            continue;
        struct tally_quantity unit = tally_quantity_of_event(list.events[0].unit);
        if (strcmp(unit.text, variant->symbols[i].unit.text) != 0)
            fault(group, variant->events[i].line, "the event is counted in another unit");
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
            if (*name)
                check_events(group, group->variants[i], name);
        check_units(group, group->variants[i]);
    }
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
