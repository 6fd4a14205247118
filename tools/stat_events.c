/* Where each event of stat is counted, and what is said when it is not where it was expected. */
#include "stat.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/machine.h"
#include "events/perf.h"

#include <stdio.h>
#include <unistd.h>

/* Says in one line that the kernel refuses to count, and the command that allows it. */
static void tell_refusal(const char *consequence)
{
    struct tally_event_list list;
    const char *cause, *command;
    if (tally_events_resolve("page-faults", 1, &list) < 0)
        return;
    int fd = tally_perf_open(&list.events[0].terms[0], TALLY_PERF_SELF, 0);
    if (fd >= 0) {
        close(fd);
        return;
    }
    tally_machine_refusal(-fd, &cause, &command);
    fprintf(stderr, "tallystack stat: %s, so %s%s%s%s.\n", cause, consequence,
            command[0] ? "; \"" : "", command, command[0] ? "\" allows more" : "");
}

/* What was found out about the events that are wanted, and what of it is to be told. */
struct choice {
    struct tally_event_list list;
    struct tally_probe probes[TALLY_MAX_EVENTS];
    bool user_only, clock_instead, refused;
};

static struct stat_event *add_event(struct stat *stat, const struct tally_event *event,
                                    const struct tally_probe *probe)
{
    struct stat_event *added = &stat->events[stat->count++];
    added->event = *event;
    added->unproven = probe->availability == TALLY_AVAILABLE_UNPROVEN;
    if (probe->is_lowered)
        fprintf(stderr, "tallystack stat: %s\n", tally_precision_note(event));
    return added;
}

/* As it was asked for, but from the process's own accounts. */
static void add_clock(struct stat *stat, const struct tally_event *asked)
{
    const struct tally_probe fine = {.availability = TALLY_AVAILABLE_YES};
    add_event(stat, asked, &fine)->event.source = TALLY_SOURCE_CLOCK;
}

/* Decides where an event that was asked for is counted; there is no silent replacement. */
static int add_asked(struct stat *stat, struct choice *choice, const struct tally_event *asked,
                     int i)
{
    const struct tally_probe *probe = &choice->probes[i];
    bool refused = probe->availability == TALLY_AVAILABLE_NO;
    if (asked->is_clock && (refused || probe->user_only || tally_event_is_filtered_clock(asked))) {
        choice->clock_instead |= refused;
        add_clock(stat, asked);
        return 0;
    }
    if (refused && probe->code != TALLY_STAYS_ZERO && !stat->group)
        return tally_error_code(probe->code, "%s", probe->reason);
    struct stat_event *added = add_event(stat, &choice->list.events[i], probe);
    added->is_missing = refused;
    snprintf(added->why, sizeof(added->why), "%s", probe->reason);
    choice->user_only |= probe->user_only;
    return 0;
}

static bool has_any(const struct stat *stat)
{
    for (int i = 0; i < stat->count; i++)
        if (!stat->events[i].is_missing)
            return true;
    return false;
}

/* Those that the processor counts, the rest without terms. */
static int fitting(const struct stat *stat)
{
    struct tally_event events[TALLY_MAX_EVENTS];
    for (int i = 0; i < stat->count; i++) {
        events[i] = stat->events[i].event;
        if (stat->events[i].is_missing)
            events[i].term_count = 0;
    }
    return tally_events_fit(events, stat->count);
}

static int refuse_crowd(const struct stat *stat)
{
    int fit = fitting(stat), wanted = 0, had = 0;
    for (int i = 0; i < stat->count; i++) {
        bool counts = stat->events[i].event.source == TALLY_SOURCE_HARDWARE &&
                      !stat->events[i].event.is_machine_wide && !stat->events[i].is_missing;
        wanted += counts;
        had += counts && i < fit;
    }
    return tally_error("%d events of the processor are asked for, and it can count only the first "
                       "%d of them at once; ask for fewer, or let them take turns with "
                       "--multiplex.",
                       wanted, had);
}

/* Events that open and stay 0 are missing rows, where others can be counted. */
static int choose_asked(struct stat *stat)
{
    struct choice choice = {0};
    struct tally_event_list asked;
    enum { FREQUENCY = 1000 };
    if (tally_events_resolve(stat->options.events, FREQUENCY, &asked) < 0)
        return TALLY_ERROR;
    choice.list = asked;
    tally_events_probe(choice.list.events, choice.list.count, choice.probes);
    for (int i = 0; i < asked.count; i++)
        if (add_asked(stat, &choice, &asked.events[i], i) < 0)
            return TALLY_ERROR;
    if (!has_any(stat))
        return tally_error("%s", stat->events[0].why);
    stat->takes_turns = fitting(stat) < stat->count;
    if (stat->takes_turns && tally_is_hybrid() && stat->options.multiplex)
        return tally_error(
            "events cannot take turns on a processor with several core types, since "
            "waiting for a counter looks like time on cores of another type; ask for "
            "fewer.");
    if (stat->takes_turns && !stat->options.multiplex)
        return refuse_crowd(stat);
    if (choice.clock_instead)
        tell_refusal("time comes from the process's own accounts");
    if (choice.user_only)
        tell_refusal("only user code is counted");
    return 0;
}

static void add_default(struct stat *stat, struct choice *choice, const struct tally_event *asked,
                        int i)
{
    const struct tally_probe *probe = &choice->probes[i];
    bool refused = probe->availability == TALLY_AVAILABLE_NO;
    choice->refused |= probe->user_only || probe->code == TALLY_NOT_ALLOWED;
    if (asked->source == TALLY_SOURCE_SOFTWARE && (refused || probe->user_only))
        add_clock(stat, asked);
    else if (!refused)
        add_event(stat, &choice->list.events[i], probe);
}

/* Without -e nobody asked for more than there are counters. */
static void drop_crowded(struct stat *stat)
{
    int fit = fitting(stat);
    for (int i = fit; i < stat->count; i++)
        fprintf(
            stderr,
            "tallystack stat: \"%s\" is not counted: the processor has no counter for it beside "
            "the others.\n",
            stat->events[i].event.name);
    stat->count = fit;
}

/* What every machine can tell, and what the processor adds where it can be counted. */
static void choose_default(struct stat *stat)
{
    static const char names[] =
        "task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branches,"
        "branch-misses,cache-references,cache-misses";
    struct choice choice = {0};
    struct tally_event_list asked;
    if (tally_events_resolve(names, 1, &asked) < 0)
        return;
    choice.list = asked;
    tally_events_probe(choice.list.events, choice.list.count, choice.probes);
    for (int i = 0; i < asked.count; i++)
        add_default(stat, &choice, &asked.events[i], i);
    bool may_turn = stat->options.multiplex && !tally_is_hybrid();
    stat->takes_turns = may_turn && fitting(stat) < stat->count;
    if (!may_turn)
        drop_crowded(stat);
    if (choice.refused)
        tell_refusal("cpu-migrations and the processor's events are missing or count user code "
                     "only, and the rest comes from the process's own accounts");
}

int stat_choose_events(struct stat *stat)
{
    if (stat->options.events)
        return choose_asked(stat);
    choose_default(stat);
    return 0;
}
