/* Samples that come faster than the kernel lets through: said before the run, and after it. */
#include "record.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/throttle.h"

#include <inttypes.h>
#include <stdio.h>

/* 1, 2 or 5 times a power of ten, not below `number`. */
static uint64_t round_up(double number)
{
    uint64_t power = 1;
    while ((double)power * 10 < number)
        power *= 10;
    static const uint64_t steps[] = {1, 2, 5};
    for (int i = 0; i < 3; i++)
        if ((double)(steps[i] * power) >= number)
            return steps[i] * power;
    return 10 * power;
}

/* How often the event happened in a second of its probe; clocks do as often in any program. */
static double pace_of(const struct tally_event *event, const struct tally_probe *probe)
{
    return event->is_clock ? 1e9 : probe->per_second;
}

int record_check_pace(struct record *record, const struct tally_event *event,
                      const struct tally_probe *probe)
{
    uint64_t most = tally_throttle_rate();
    bool can_be = event->is_clock || event->source == TALLY_SOURCE_HARDWARE;
    if (!can_be || event->read_only)
        return 0;
    if (event->frequency > most && !event->is_clock)
        return tally_error("the kernel takes no more than %" PRIu64 " samples a second here; use "
                           "-F %" PRIu64 " or less, or raise kernel.perf_event_max_sample_rate.",
                           most, most);
    double period = event->period ? (double)event->period : 1e9 / (double)event->frequency;
    double pace = event->frequency && !event->is_clock ? 0 : pace_of(event, probe) / period;
    if (pace <= (double)most)
        return 0;
    tally_run_note(
        &record->run,
        "a period of %.0f is about %.0f samples of %s a second, and the kernel lets %" PRIu64
        " through (kernel.perf_event_max_sample_rate): the rest is lost, or in later "
        "samples; %" PRIu64 " or more is better.",
        period, pace, event->name, most, round_up(2 * period * pace / (double)most));
    return 0;
}

/*
 * "92.3 % of cycles, 95.0 % of page-faults": what of each event was lost without a sample; of one
 * without a total it is not known.
 */
static void list_shares(struct tally_buffer *text, const struct tally_profile *profile)
{
    const double least_shown = 0.0005;
    for (size_t i = 0; i < profile->event_count; i++) {
        const struct tally_run_event *event = &profile->run->events[i];
        const char *separator = text->size ? ", " : "";
        double share = profile->unsampled[i] / (double)event->total;
        if (!event->has_total)
            tally_buffer_printf(text, "%san unknown part of %s", separator, event->event.name);
        else if (profile->unsampled[i] > 0 && share >= least_shown)
            tally_buffer_printf(text, "%s%.1f %% of %s", separator, 100 * share, event->event.name);
    }
}

void record_note_gaps(struct record *record, const struct tally_profile *profile)
{
    struct tally_buffer lost = {0};
    list_shares(&lost, profile);
    if (lost.size && profile->gaps & TALLY_GAP_THROTTLED)
        tally_run_note(&record->run,
                       "samples came as fast as the kernel throttles them "
                       "(kernel.perf_event_max_sample_rate is %" PRIu64 "), and it counts nothing "
                       "in between: lost are %s; use a longer period.",
                       tally_throttle_rate(), lost.data);
    if (lost.size && profile->gaps & TALLY_GAP_WAITED)
        tally_run_note(&record->run,
                       "the processor's counters were not free for these events all the time: "
                       "lost are %s; ask for fewer events.",
                       lost.data);
    if (lost.size && profile->gaps & TALLY_GAP_THREADS)
        tally_run_note(&record->run,
                       "some threads could not be given counters and have no samples: lost are %s.",
                       lost.data);
    tally_buffer_release(&lost);
}
