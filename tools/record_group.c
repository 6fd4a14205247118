/* record -g: the events of a group of metrics, as far as they can be had here. */
#include "record.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/group.h"
#include "events/slots.h"

#include <string.h>

/* Whether the event can be recorded here; the sentence says why not. `event` gets what is known. */
static bool can_have(struct record *record, const char *name, struct tally_event *event)
{
    if (record->simulate) {
        struct tally_event_list list = {0};
        struct tally_run unused = {0};
        int result = tally_simulated_events(name, &record->model, &unused, &list);
        tally_run_release(&unused);
        return result == 0;
    }
    if (tally_event_resolve_whole(name, record->frequency, event) < 0 ||
        tally_slots_check_sampled(event) < 0)
        return false;
    return event->is_clock || tally_event_probe(event, NULL, NULL) != TALLY_AVAILABLE_NO;
}

static void miss(struct record *record, const struct tally_variant *variant, int event,
                 const struct tally_event *known)
{
    const char *unit = variant->symbols[event].unit.text;
    tally_run_miss(&record->run, variant->events[event].name,
                   strcmp(unit, "B") != 0 ? unit : tally_unit_name(TALLY_UNIT_BYTE),
                   *known->name ? tally_source_name(known->source) : "", tally_error_text());
}

static int list_events(struct record *record, const struct tally_variant *variant)
{
    struct tally_buffer names = {0};
    for (int i = 0; i < variant->event_count; i++) {
        const char *name = variant->events[i].name;
        struct tally_event known = {0};
        if (can_have(record, name, &known))
            tally_buffer_printf(&names, "%s%s", names.size ? "," : "", name);
        else
            miss(record, variant, i, &known);
    }
    record->events = record->names = names.data;
    return names.data ? 0 : TALLY_ERROR;
}

int record_choose_group(struct record *record)
{
    struct tally_group *group;
    if (record->events)
        return tally_error("-g and -e do not go together: the group names the events.");
    if (tally_group_load(&group, record->group) < 0)
        return TALLY_ERROR;
    const struct tally_variant *variant = tally_group_variant(group, record->simulate != NULL);
    int result = variant ? 0 : TALLY_ERROR;
    if (result == 0 && record->simulate)
        result = tally_model_load(&record->model, record->simulate);
    if (result == 0)
        result = list_events(record, variant);
    tally_model_release(&record->model);
    tally_group_free(group);
    return result;
}
