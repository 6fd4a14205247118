/* Where each event of stat is counted, and what is said when it is not where it was expected. */
#include "stat.h"

#include "base/error.h"
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

/* Decides where an event that was asked for is counted; there is no silent replacement. */
static int place_asked(struct stat_event *chosen, bool *user_only, bool *clock_instead)
{
    int code = 0;
    bool degraded = false;
    struct tally_event asked = chosen->event;
    enum tally_availability availability = tally_event_probe(&chosen->event, &code, &degraded);
    chosen->unproven = availability == TALLY_AVAILABLE_UNPROVEN;
    if (asked.is_clock &&
        (availability == TALLY_AVAILABLE_NO || degraded || tally_event_is_filtered_clock(&asked))) {
        *clock_instead |= availability == TALLY_AVAILABLE_NO;
        chosen->event = asked;
        chosen->event.source = TALLY_SOURCE_CLOCK;
        return 0;
    }
    *user_only |= degraded;
    return availability == TALLY_AVAILABLE_NO ? code : 0;
}

/* Events that open and stay 0 are missing rows, where others can be counted. */
static int choose_asked(struct stat *stat)
{
    struct tally_event_list list;
    bool user_only = false, clock_instead = false;
    int counted = 0;
    enum { FREQUENCY = 1000 };
    if (tally_events_resolve(stat->options.events, FREQUENCY, &list) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < list.count; i++) {
        stat->events[i].event = list.events[i];
        int code = place_asked(&stat->events[i], &user_only, &clock_instead);
        if (code < 0 && code != TALLY_STAYS_ZERO)
            return code;
        counted += code == 0;
        stat->events[i].stays_zero = code == TALLY_STAYS_ZERO;
        if (code == TALLY_STAYS_ZERO)
            snprintf(stat->events[i].why, sizeof(stat->events[i].why), "%s", tally_error_text());
    }
    if (counted == 0)
        return TALLY_ERROR;
    stat->count = list.count;
    if (clock_instead)
        tell_refusal("time comes from the process's own accounts");
    if (user_only)
        tell_refusal("only user code is counted");
    return 0;
}

/* What every machine can tell, and what the processor adds where it can be counted. */
static void choose_default(struct stat *stat)
{
    static const char *const names[] = {
        "task-clock",   "context-switches", "cpu-migrations", "page-faults",      "cycles",
        "instructions", "branches",         "branch-misses",  "cache-references", "cache-misses"};
    bool refused = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tally_event_list list;
        bool degraded = false;
        int code = 0;
        if (tally_events_resolve(names[i], 1, &list) < 0)
            continue;
        struct stat_event *chosen = &stat->events[stat->count];
        chosen->event = list.events[0];
        enum tally_availability availability = tally_event_probe(&chosen->event, &code, &degraded);
        refused |= degraded || code == TALLY_NOT_ALLOWED;
        chosen->unproven = availability == TALLY_AVAILABLE_UNPROVEN;
        if (chosen->event.source == TALLY_SOURCE_HARDWARE && availability == TALLY_AVAILABLE_NO)
            continue;
        if (chosen->event.source == TALLY_SOURCE_SOFTWARE &&
            (availability == TALLY_AVAILABLE_NO || degraded)) {
            chosen->event = list.events[0];
            chosen->event.source = TALLY_SOURCE_CLOCK;
        }
        stat->count++;
    }
    if (refused)
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
