/* tallystack list --groups: the metric groups, and which of their metrics can be had here. */
#include "list_groups.h"

#include "base/error.h"
#include "events/group.h"
#include "notes.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

struct listing {
    struct table table;
    int failed;
};

/* Why an event cannot be counted here; "" when it can. */
static void try_event(const char *name, char *why, size_t room)
{
    struct tally_event event;
    why[0] = '\0';
    if (tally_event_resolve_whole(name, 1000, &event) < 0) {
        snprintf(why, room, "%s", tally_error_text());
        return;
    }
    struct tally_probe probe;
    tally_events_probe(&event, 1, &probe);
    /* Where clocks are refused they come from the process's own accounts. */
    if (probe.availability == TALLY_AVAILABLE_NO && !event.is_clock)
        snprintf(why, room, "%s", probe.reason);
}

static int count_available(const struct tally_variant *variant, char *why, size_t room)
{
    char reasons[TALLY_MAX_EVENTS][1024];
    int available = 0;
    for (int i = 0; i < variant->event_count; i++)
        try_event(variant->events[i].name, reasons[i], sizeof(reasons[i]));
    why[0] = '\0';
    for (int m = 0; m < variant->metric_count; m++) {
        const char *missing = NULL;
        for (int i = 0; i < variant->event_count && !missing; i++)
            if (reasons[i][0] && tally_formula_uses(&variant->metrics[m].formula, i))
                missing = reasons[i];
        available += !missing;
        if (missing && !why[0])
            snprintf(why, room, "%s", missing);
    }
    return available;
}

static bool is_simulated(const struct tally_group *group)
{
    for (int i = 0; i < group->variant_count; i++)
        if (strstr(group->variants[i]->processors, "simulated"))
            return true;
    return false;
}

static void add_group(struct listing *listing, const struct tally_group *group)
{
    char why[1024];
    int available = 0, all = 0;
    const struct tally_variant *variant = tally_group_variant(group, false);
    if (variant) {
        all = variant->metric_count;
        available = count_available(variant, why, sizeof(why));
    } else {
        snprintf(why, sizeof(why), "%s",
                 is_simulated(group) ? "only with --simulate." : tally_error_text());
    }
    table_cell(&listing->table, "%s", group->name);
    table_cell(&listing->table, "%s", available == 0 ? "no" : available < all ? "partly" : "yes");
    table_cell(&listing->table, "%d", available);
    table_cell(&listing->table, "%d", all);
    table_cell(&listing->table, "%s", why);
    table_cell(&listing->table, "%s", group->summary);
}

static int add_named(const char *name, void *data)
{
    struct listing *listing = data;
    struct tally_group *group;
    if (tally_group_load(&group, name) < 0) {
        listing->failed = TALLY_ERROR;
        return 1;
    }
    add_group(listing, group);
    tally_group_free(group);
    return 0;
}

int list_groups(bool csv)
{
    static const char *const columns[] = {
        "group", "available", "metrics_here", "metrics", "reason", "description", NULL};
    static const char *const for_people[] = {"group", "available", "meaning", NULL};
    enum { COLUMNS = 6 };
    struct listing listing = {.table = {.columns = columns}};
    struct table shown = {.columns = for_people};
    struct notes notes = {0};
    int result = tally_group_each(add_named, &listing) < 0 ? TALLY_ERROR : listing.failed;
    if (result == 0 && csv)
        table_print(&listing.table, stdout, true);
    for (int i = 0; i + COLUMNS <= listing.table.count && !csv; i += COLUMNS) {
        char **row = &listing.table.cells[i];
        table_cell(&shown, "%s", row[0]);
        if (row[4][0])
            table_cell(&shown, "%s (%d)", row[1], notes_number(&notes, row[4]));
        else
            table_cell(&shown, "%s", row[1]);
        table_cell(&shown, "%s", row[5]);
    }
    if (result == 0 && !csv) {
        table_print(&shown, stdout, false);
        notes_print(&notes, stdout);
    }
    notes_release(&notes);
    table_release(&listing.table);
    table_release(&shown);
    return result;
}
