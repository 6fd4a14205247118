/* tallystack list: the events, and which of them can be counted here. */
#include "command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "events/catalog.h"
#include "events/event.h"
#include "list_groups.h"
#include "list_models.h"
#include "notes.h"
#include "sources/simulated.h"
#include "table.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *pattern; /* NULL: aliases and presets */
    bool csv, groups, models, simulated;
};

enum { CSV_OPTION = 0x100, GROUPS_OPTION, MODELS_OPTION, SIMULATE_OPTION };

static const struct argp_option options[] = {
    {"csv", CSV_OPTION, NULL, 0, "Print CSV", 0},
    {"groups", GROUPS_OPTION, NULL, 0, "List the groups of metrics, each tried", 0},
    {"models", MODELS_OPTION, NULL, 0, "List the machines that record --simulate can model", 0},
    {"simulate", SIMULATE_OPTION, NULL, 0, "List the events that record --simulate counts", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *chosen = state->input;
    switch (key) {
    case CSV_OPTION:
        chosen->csv = true;
        return 0;
    case SIMULATE_OPTION:
        chosen->simulated = true;
        return 0;
    case GROUPS_OPTION:
        chosen->groups = true;
        return 0;
    case MODELS_OPTION:
        chosen->models = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "one PATTERN is enough; quote it if it has a * in it");
        chosen->pattern = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PATTERN]",
    .doc =
        "Lists the events whose names match PATTERN (a part of the name, or a pattern with * and "
        "?) and tries whether each can be counted on this machine. Without PATTERN it lists the "
        "everyday names, tried, and PAPI's presets, untried.",
};

enum { NAME, SOURCE, UNIT, AVAILABLE, REASON, DESCRIPTION, COLUMNS };

static const char *const csv_columns[] = {"name",   "source",      "unit", "available",
                                          "reason", "description", NULL};

struct listing {
    const struct options *options;
    struct table table;
};

static bool matches(const char *name, const char *pattern)
{
    if (!pattern)
        return true;
    if (strpbrk(pattern, "*?["))
        return fnmatch(pattern, name, FNM_CASEFOLD) == 0;
    return strcasestr(name, pattern) != NULL;
}

static const char *availability_name(enum tally_availability availability)
{
    static const char *const names[] = {"no", "yes", "unproven"};
    return names[availability];
}

static void add(struct table *table, const char *name, const struct tally_event *event,
                const char *available, const char *reason, const char *description)
{
    table_cell(table, "%s", name);
    table_cell(table, "%s", tally_source_name(event->source));
    table_cell(table, "%s", tally_unit_name(event->unit));
    table_cell(table, "%s", available);
    table_cell(table, "%s", reason);
    table_cell(table, "%s", description);
}

static void add_tried(struct table *table, struct tally_event *event, const char *description)
{
    bool degraded = false;
    enum tally_availability availability = tally_event_probe(event, NULL, &degraded);
    const char *reason = availability == TALLY_AVAILABLE_NO ? tally_error_text()
                         : degraded ? "user code only: kernel time is refused"
                                    : "";
    add(table, event->name, event, availability_name(availability), reason, description);
}

static int try_one(const char *name, enum tally_catalog_kind kind, const char *description,
                   void *data)
{
    struct listing *listing = data;
    const struct options *chosen = listing->options;
    const struct tally_event untried = {.source = TALLY_SOURCE_HARDWARE, .unit = TALLY_UNIT_COUNT};
    struct tally_event_list list;
    if (!matches(name, chosen->pattern))
        return 0;
    if (!chosen->pattern && kind == TALLY_CATALOG_PRESET) {
        add(&listing->table, name, &untried, "", "not tried", description);
        return 0;
    }
    if (tally_events_resolve(name, 1000, &list) < 0) {
        /* Many natives are names only together with one of their masks. */
        if (kind != TALLY_CATALOG_NATIVE)
            add(&listing->table, name, &untried, "no", tally_error_text(), description);
        return 0;
    }
    for (int i = 0; i < list.count; i++)
        add_tried(&listing->table, &list.events[i], description);
    return 0;
}

static int add_simulated(const char *name, const char *description, void *data)
{
    struct listing *listing = data;
    const struct tally_event event = {.source = TALLY_SOURCE_SIMULATED, .unit = TALLY_UNIT_COUNT};
    if (!matches(name, listing->options->pattern))
        return 0;
    int result = tally_simulated_probe();
    add(&listing->table, name, &event,
        availability_name(result < 0 ? TALLY_AVAILABLE_NO : TALLY_AVAILABLE_YES),
        result < 0 ? tally_error_text() : "", description);
    return 0;
}

static void print_for_people(const struct table *from)
{
    static const char *const columns[] = {"name", "source", "unit", "available", "meaning", NULL};
    struct table table = {.columns = columns};
    struct notes notes = {0};
    for (int i = 0; i < from->count; i += COLUMNS) {
        char **row = &from->cells[i];
        table_cell(&table, "%s", row[NAME]);
        table_cell(&table, "%s", row[SOURCE]);
        table_cell(&table, "%s", row[UNIT]);
        if (row[REASON][0])
            table_cell(&table, "%s (%d)", row[AVAILABLE][0] ? row[AVAILABLE] : "-",
                       notes_number(&notes, row[REASON]));
        else
            table_cell(&table, "%s", row[AVAILABLE]);
        table_cell(&table, "%s", row[DESCRIPTION]);
    }
    table_print(&table, stdout, false);
    notes_print(&notes, stdout);
    notes_release(&notes);
    table_release(&table);
}

static int no_match(const char *pattern, bool simulated)
{
    struct tally_buffer nearest = {0};
    if (simulated)
        tally_error("no simulated event matches \"%s\"; \"tallystack list --simulate\" shows all.",
                    pattern);
    else if (tally_catalog_nearest(pattern, &nearest))
        tally_error("no event matches \"%s\"; near to it: %s.", pattern, nearest.data);
    else
        tally_error("no event matches \"%s\"; \"tallystack list\" shows the everyday names.",
                    pattern);
    tally_buffer_release(&nearest);
    return command_failed("list");
}

int cmd_list(int argc, char **argv)
{
    struct options chosen = {0};
    command_parse(&argp, argc, argv, NULL, &chosen);
    if (chosen.groups && (chosen.pattern || chosen.models || chosen.simulated)) {
        tally_error("--groups takes no PATTERN, and goes with --csv only.");
        return command_failed("list");
    }
    if (chosen.models && chosen.pattern)
        tally_error("--models takes no PATTERN.");
    if (chosen.models)
        return chosen.pattern || list_models(chosen.csv) < 0 ? command_failed("list")
                                                             : command_finish("list", 0);
    if (chosen.groups)
        return list_groups(chosen.csv) < 0 ? command_failed("list") : command_finish("list", 0);
    struct listing listing = {.options = &chosen, .table = {.columns = csv_columns}};
    unsigned int kinds =
        chosen.pattern ? TALLY_CATALOG_ALL : TALLY_CATALOG_ALIAS | TALLY_CATALOG_PRESET;
    int status = 0;
    if (chosen.simulated)
        tally_simulated_each(add_simulated, &listing);
    else
        tally_catalog_each(kinds, try_one, &listing);
    if (listing.table.count == 0)
        status = no_match(chosen.pattern, chosen.simulated);
    else if (chosen.csv)
        table_print(&listing.table, stdout, true);
    else
        print_for_people(&listing.table);
    table_release(&listing.table);
    return command_finish("list", status);
}
