/* stat -g: the events of a group of metrics, and a row for each of its metrics. */
#include "stat.h"

#include "base/buffer.h"
#include "base/error.h"
#include "sources/simulated_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the name means anything here; the sentence says why not. */
static bool resolves(const struct stat *stat, const char *name)
{
    struct tally_event_list list = {0};
    struct tally_run notes = {0};
    int result = stat->options.simulate ? tally_simulated_events(name, &stat->model, &notes, &list)
                                        : tally_event_resolve_whole(name, 1000, &list.events[0]);
    tally_run_release(&notes);
    return result == 0;
}

int stat_choose_group(struct stat *stat)
{
    struct tally_buffer names = {0};
    bool simulated = stat->options.simulate != NULL;
    if (tally_group_load(&stat->group, stat->options.group) < 0)
        return TALLY_ERROR;
    stat->variant = tally_group_variant(stat->group, simulated);
    if (!stat->variant || (simulated && tally_model_load(&stat->model, stat->options.simulate) < 0))
        return TALLY_ERROR;
    for (int i = 0; i < stat->variant->event_count; i++) {
        const char *name = stat->variant->events[i].name;
        if (resolves(stat, name))
            tally_buffer_printf(&names, "%s%s", names.size ? "," : "", name);
        else
            stat->unresolved[i] = tally_strdup(tally_error_text());
    }
    if (simulated)
        tally_model_release(&stat->model);
    stat->names = names.data;
    stat->options.events = names.data;
    return names.data ? 0 : tally_error("%s", stat->unresolved[0]);
}

void stat_release_group(struct stat *stat)
{
    for (int i = 0; i < TALLY_MAX_EVENTS; i++)
        free(stat->unresolved[i]);
    free(stat->names);
    tally_group_free(stat->group);
}

void stat_add_unresolved(struct stat *stat)
{
    for (int i = 0; stat->variant && i < stat->variant->event_count; i++) {
        if (!stat->unresolved[i])
            continue;
        struct stat_event *added = &stat->events[stat->count++];
        struct stat_row row = stat_missing_row(stat->variant, i, NULL);
        added->event.source =
            stat->options.simulate ? TALLY_SOURCE_SIMULATED : TALLY_SOURCE_HARDWARE;
        while (added->event.unit < TALLY_UNIT_BYTE &&
               strcmp(tally_unit_name(added->event.unit), row.unit) != 0)
            added->event.unit++;
        added->is_missing = true;
        snprintf(added->event.name, sizeof(added->event.name), "%s", row.event);
        snprintf(added->why, sizeof(added->why), "%s", stat->unresolved[i]);
    }
}
