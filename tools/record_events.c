/* Which events a run samples and reads, and what it falls back to where they cannot be had. */
#include "record.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/slots.h"

#include <stdio.h>
#include <string.h>

/* Whether per-thread CPU timers and getrusage can stand in for the event. */
static bool has_clock_form(const struct tally_event *event, bool is_first)
{
    return event->source == TALLY_SOURCE_SOFTWARE && event->term_count == 1 &&
           (is_first ? event->is_clock : event->read_only);
}

static bool all_have_clock_form(const struct tally_event_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!has_clock_form(&list->events[i], i == 0))
            return false;
    return true;
}

static void use_clock(struct record *record)
{
    record->run.is_clock = true;
    for (int i = 0; i < record->list.count; i++) {
        struct tally_event *event = &record->list.events[i];
        event->source = TALLY_SOURCE_CLOCK;
        event->terms[0].exclude_kernel = event->terms[0].exclude_user = false;
        snprintf(event->terms[0].encoding, sizeof(event->terms[0].encoding), "%s",
                 event->is_clock ? "CLOCK_THREAD_CPUTIME_ID" : "getrusage");
    }
}

/* Falls back to the CPU timers, for the reason that is in the error text, or fails with it. */
static int fall_back(struct record *record, int code)
{
    if (!strcmp(record->source, "software") || !all_have_clock_form(&record->list))
        return code;
    tally_run_note(&record->run,
                   "samples come from CPU timers (source clock), which interrupt system calls and "
                   "cannot tell more than time, because %s",
                   tally_error_text());
    use_clock(record);
    return 0;
}

static int check_period(const struct tally_event *event)
{
    const uint64_t shortest_ns = 1000000000 / HIGHEST_FREQUENCY;
    if (event->is_clock && event->period && event->period < shortest_ns)
        return tally_error("a period of %s must be at least %d ns.", event->name, (int)shortest_ns);
    return 0;
}

static int check_source(const struct record *record, const struct tally_event *event)
{
    bool wants_hardware = !strcmp(record->source, "hardware");
    bool wants_software = !strcmp(record->source, "software");
    if ((wants_hardware && event->source != TALLY_SOURCE_HARDWARE) ||
        (wants_software && event->source != TALLY_SOURCE_SOFTWARE))
        return tally_error("%s does not come from source %s but from %s.", event->name,
                           record->source, tally_source_name(event->source));
    return 0;
}

static int choose_default(struct record *record)
{
    struct tally_event_list cycles;
    const char *list = "task-clock,page-faults:0,context-switches:0";
    if (strcmp(record->source, "clock") != 0 && strcmp(record->source, "software") != 0 &&
        tally_events_resolve("cycles", record->frequency, &cycles) == 0 &&
        tally_event_probe(&cycles.events[0], NULL, NULL) == TALLY_AVAILABLE_YES)
        list = tally_is_hybrid() ? "task-clock,cycles:0,page-faults:0,context-switches:0"
                                 : "cycles,task-clock:0,page-faults:0,context-switches:0";
    return tally_events_resolve(list, record->frequency, &record->list);
}

static void drop_event(struct tally_event_list *list, int index)
{
    list->count--;
    memmove(&list->events[index], &list->events[index + 1],
            (size_t)(list->count - index) * sizeof(list->events[0]));
}

static int use_asked_clock(struct record *record)
{
    if (!all_have_clock_form(&record->list))
        return tally_error("source clock samples task-clock only, and reads page-faults:0 and "
                           "context-switches:0 along.");
    tally_run_note(&record->run, "samples come from CPU timers, as asked for: they interrupt "
                                 "system calls, and no more come than the kernel has ticks.");
    use_clock(record);
    return 0;
}

static void note_event(struct record *record, const struct tally_event *event,
                       const struct tally_probe *probe)
{
    if (probe->user_only)
        tally_run_note(&record->run,
                       "%s counts user code only; \"sudo sysctl kernel.perf_event_paranoid=1\" "
                       "allows kernel code too.",
                       event->name);
    if (probe->is_lowered)
        tally_run_note(&record->run, "%s", tally_precision_note(event));
}

/* All events have what the probes found; 1 when timers take the place of all of them. */
static int judge_events(struct record *record, const struct tally_probe *probes)
{
    int asked = record->list.count;
    for (int i = 0, probed = 0; probed < asked; i++, probed++) {
        struct tally_event *event = &record->list.events[i];
        const struct tally_probe *probe = &probes[probed];
        bool refused = probe->availability == TALLY_AVAILABLE_NO;
        if (refused)
            tally_error_code(probe->code, "%s", probe->reason);
        else if (probe->user_only && event->is_clock)
            tally_error("the kernel allows counting user time only; \"sudo sysctl "
                        "kernel.perf_event_paranoid=1\" allows more.");
        if (((refused && probe->code == TALLY_NOT_ALLOWED) ||
             (probe->user_only && event->is_clock)) &&
            all_have_clock_form(&record->list)) {
            int result = fall_back(record, TALLY_NOT_ALLOWED);
            return result < 0 ? result : 1;
        }
        if (!refused) {
            note_event(record, event, probe);
            if (record_check_pace(record, event, probe) < 0)
                return TALLY_ERROR;
            continue;
        }
        bool can_go_on = record->events ? probe->code == TALLY_STAYS_ZERO : i > 0;
        if (!can_go_on)
            return TALLY_ERROR;
        tally_run_miss(&record->run, event->name, tally_unit_name(event->unit),
                       tally_source_name(event->source), probe->reason);
        drop_event(&record->list, i--);
    }
    if (record->list.count && !record->list.events[0].read_only)
        return 0;
    return record->run.missing_count ? tally_error("%s", record->run.missing[0].why) : 0;
}

/* The sample clock has to tick on all core types, or what is read along goes to wrong places. */
static int check_clock(const struct tally_event_list *list)
{
    if (!list->events[0].term_count || !tally_core_of(&list->events[0].terms[0]))
        return 0;
    for (int i = 1; i < list->count; i++)
        if (list->events[i].read_only)
            return tally_error(
                "%s cannot be read along with %s, which each core type of this processor samples "
                "for itself; put task-clock first, or give %s a period.",
                list->events[i].name, list->events[0].name, list->events[i].name);
    return 0;
}

static int check_fit(const struct record *record)
{
    const struct tally_event_list *list = &record->list;
    int fit = tally_events_fit(list->events, list->count), wanted = 0, had = 0;
    for (int i = 0; i < list->count; i++) {
        bool counts = list->events[i].source == TALLY_SOURCE_HARDWARE;
        wanted += counts;
        had += counts && i < fit;
    }
    return fit == list->count
               ? 0
               : tally_error("%d events of the processor are asked for, and it can count only the "
                             "first %d of them at once; record the rest in another run, or take "
                             "all totals with \"tallystack stat --multiplex\".",
                             wanted, had);
}

/* Each event is counted twice: by the threads for their samples, and as a total. */
static void note_turns(struct record *record)
{
    struct tally_event twice[2 * TALLY_MAX_EVENTS];
    int count = record->list.count;
    memcpy(twice, record->list.events, (size_t)count * sizeof(*twice));
    memcpy(twice + count, record->list.events, (size_t)count * sizeof(*twice));
    if (tally_events_fit(twice, 2 * count) < 2 * count)
        tally_run_note(
            &record->run,
            "the processor has too few counters to sample and total these events all the "
            "time: totals are scaled up, and what was not sampled is in rows in brackets; "
            "fewer events are told better.");
}

/*
 * Moves what counts for the whole machine out of the list. Where nothing is left that could be
 * sampled, time is.
 */
static int take_machine_wide(struct record *record)
{
    struct tally_event_list *list = &record->list, *machine = &record->machine;
    for (int i = 0; i < list->count; i++) {
        struct tally_event *event = &list->events[i];
        if (!event->is_machine_wide)
            continue;
        if (tally_event_probe(event, NULL, NULL) == TALLY_AVAILABLE_NO)
            return TALLY_ERROR;
        tally_run_note(
            &record->run,
            "%s counts for the whole machine, so no function has a share of it: \"tallystack "
            "stat -i\" has its total, and \"plot timeline\" its series if there is one (-I).",
            event->name);
        machine->events[machine->count++] = *event;
        drop_event(list, i--);
    }
    return list->count ? 0 : tally_events_resolve("task-clock", record->frequency, list);
}

/* Makes sure by doing that each event can be had, or falls back, or fails. */
int record_choose_events(struct record *record)
{
    struct tally_probe probes[TALLY_MAX_EVENTS];
    int result = record->events
                     ? tally_events_resolve(record->events, record->frequency, &record->list)
                     : choose_default(record);
    if (result < 0)
        return result;
    if (take_machine_wide(record) < 0)
        return TALLY_ERROR;
    if (!strcmp(record->source, "clock"))
        return use_asked_clock(record);
    for (int i = 0; i < record->list.count; i++)
        if (check_source(record, &record->list.events[i]) < 0 ||
            check_period(&record->list.events[i]) < 0 ||
            tally_slots_check_sampled(&record->list.events[i]) < 0)
            return TALLY_ERROR;
    tally_events_probe(record->list.events, record->list.count, probes);
    result = judge_events(record, probes);
    if (result != 0)
        return result < 0 ? result : 0;
    if (check_clock(&record->list) < 0 || check_fit(record) < 0)
        return TALLY_ERROR;
    note_turns(record);
    return tally_sigtrap_probe() < 0 ? fall_back(record, TALLY_NOT_ALLOWED) : 0;
}
