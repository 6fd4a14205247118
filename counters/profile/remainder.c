#include "profile/remainder.h"

#include <math.h>
#include <stdio.h>

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/*
 * What the process had used when the agent came, but for what its earlier images stand for. Of the
 * program itself the recorder knows it to the count; of others the kernel's accounts tell.
 */
static void note_startup(struct builder *builder, const struct image_state *state, int counter,
                         double counted)
{
    const struct tally_image_header *header = state->image->header;
    double *accounted = &builder->accounted[state->process][counter];
    double before = (double)header->before[counter];
    size_t event = (size_t)builder->event_of[counter];
    double *startup = &builder->startup[state->number * builder->profile->event_count + event];
    if (header->counted[counter])
        *startup += (double)header->counted[counter];
    else
        *startup += larger(0, before - *accounted) * builder->factor_of[counter];
    *accounted = before + counted;
}

/* Whether a thread's count and its samples are of the same thing. */
static bool is_counted_alike(const struct image_state *state, const struct tally_run_event *event)
{
    const struct tally_term *term = &event->event.terms[0];
    bool is_partial_clock = event->event.is_clock && (term->exclude_user || term->exclude_kernel);
    return !state->image->header->is_clock && !is_partial_clock;
}

/* The most that threads can have counted after their last samples; INFINITY: no period bounds it.
 */
static double most_unfinished(const struct tally_run_event *event, int counter, size_t lives,
                              const struct tally_image_header *header)
{
    double period = (double)event->event.period;
    if (tally_run_is_exact(event))
        return 0;
    if (event->event.is_clock && !event->event.read_only) {
        period = period > 0 ? period : 1e9 / (double)event->event.frequency;
        period *= 1 + counter / 61.0; /* of several clocks the later ones drift */
        period = larger(period, 1e3 * header->longest_period_us);
        if (counter == 0)
            period *= 1.5; /* the agent varies it by a half */
    }
    return period > 0 ? period * (double)lives : INFINITY;
}

/*
 * What overflowed but was not written: the difference between what threads counted to their end and
 * their samples, and what the agent could not write. Where not every count is a sample, a thread's
 * last, unfinished period is no loss but part of its end.
 */
void remainder_of_image(struct builder *builder, const struct image_state *state, uint32_t thread,
                        double *seen)
{
    const struct tally_run *run = &builder->recording->run;
    double counted[TALLY_MAX_COUNTERS] = {0};
    if (!state->lives.count)
        builder->profile->untimed_samples += state->sample_count;
    for (size_t k = 0; k < state->lives.count; k++) {
        for (int i = 0; i < run->counter_count; i++)
            counted[i] += state->life[k].counts[i];
        builder->profile->handler_ns += state->life[k].handler_ns;
        builder->profile->handler_calls += (uint64_t)state->life[k].handler_calls;
    }
    for (int i = 0; i < run->counter_count; i++) {
        int event = builder->event_of[i];
        double lost = (double)state->image->header->lost[i], rest = 0;
        if (counted[i] - state->written[i] > lost && is_counted_alike(state, &run->events[event]))
            rest = counted[i] - state->written[i] - lost;
        double most =
            most_unfinished(&run->events[event], i, state->lives.count, state->image->header);
        if (rest > most) {
            lost += rest - floor(most);
            rest = floor(most);
        }
        build_exact(builder, thread, "[lost]", event, lost * builder->factor_of[i]);
        build_exact(builder, thread, "[start-up and exit]", event, rest * builder->factor_of[i]);
        builder->profile->lost[event] += lost * builder->factor_of[i];
        builder->profile->unfinished[event] += rest * fabs(builder->factor_of[i]);
        seen[event] += (state->written[i] + lost + rest) * builder->factor_of[i];
        note_startup(builder, state, i, larger(counted[i], state->written[i]));
    }
}

/* An interpreter that was left alone: what the kernel's accounts say of it. */
void remainder_of_unsupported(struct builder *builder, const struct image_state *state,
                              uint32_t thread, double *seen)
{
    const struct tally_image_header *header = state->image->header;
    char name[64];
    snprintf(name, sizeof(name), "[Python %u.%u unsupported]", header->python >> 24,
             header->python >> 16 & 255);
    for (int i = 0; i < builder->recording->run.counter_count; i++) {
        if (header->after[i] <= header->before[i])
            continue;
        double amount = (double)(header->after[i] - header->before[i]) * builder->factor_of[i];
        build_exact(builder, thread, name, builder->event_of[i], amount);
        seen[builder->event_of[i]] += amount;
    }
}

/*
 * What was counted after the agents' last readings: the ends of processes, of which no more is
 * known than how many there were. Each gets the same share.
 */
static void account_for_ends(struct builder *builder, int event, double rest)
{
    size_t images = builder->recording->image_count;
    double share = floor(rest / (double)images);
    for (size_t i = 0; i < images; i++)
        build_exact(builder, builder->main_threads[i], "[start-up and exit]", event,
                    i ? share : rest - share * (double)(images - 1));
}

/* Gives each process its start, no more than `rest` in all; returns what is left of it. */
static double account_for_startup(struct builder *builder, int event, double rest)
{
    size_t events = builder->profile->event_count, images = builder->recording->image_count;
    double sum = 0;
    for (size_t i = 0; i < images; i++)
        sum += builder->startup[i * events + (size_t)event];
    double scale = sum > rest ? rest / sum : 1;
    for (size_t i = 0; i < images; i++)
        build_exact(builder, builder->main_threads[i], "[start-up and exit]", event,
                    floor(builder->startup[i * events + (size_t)event] * scale));
    for (size_t i = 0; i < images; i++)
        rest -= floor(builder->startup[i * events + (size_t)event] * scale);
    return rest;
}

/* A counter of the processor, or a clock: the kernel's own events are never throttled. */
static bool can_be_throttled(const struct tally_event *event)
{
    return event->is_clock || event->source == TALLY_SOURCE_HARDWARE;
}

/*
 * Of the kernel's ticks, in which it stops a counter after `tick_samples` overflows, two of the
 * agent's cover each: they are as long but begin elsewhere. One of the two has half of them or
 * more.
 */
static bool is_throttled(const struct tally_run *run, const struct tally_image_header *header)
{
    if (!run->tick_samples || header->is_clock)
        return false;
    for (int i = 0; i < run->counter_count; i++) {
        int term, event = tally_run_event_of(run, (unsigned)i, &term);
        if (can_be_throttled(&run->events[event].event) &&
            2 * (uint64_t)header->busiest[i] > run->tick_samples)
            return true;
    }
    return false;
}

/*
 * Why threads of the image may have counted less of the event than they did. A stopped counter may
 * have all of its group stand still; but time goes on, and is in a later sample.
 */
static unsigned gaps_of_image(const struct tally_run *run, const struct tally_image_header *header,
                              int event)
{
    unsigned gaps = 0;
    if (!run->events[event].event.is_clock && is_throttled(run, header))
        gaps |= TALLY_GAP_THROTTLED;
    if (header->has_waited)
        gaps |= TALLY_GAP_WAITED;
    if (header->unsampled_threads)
        gaps |= TALLY_GAP_THREADS;
    return gaps;
}

/*
 * Where images have gaps, what they lack cannot be told from the ends of processes, nor from
 * programs without an agent. Returns what of `rest` is left: nothing, or all where there is no gap.
 */
static double account_for_gaps(struct builder *builder, int event, double rest)
{
    struct tally_recording *recording = builder->recording;
    size_t count = 0;
    for (size_t i = 0; i < recording->image_count; i++) {
        unsigned gaps = gaps_of_image(&recording->run, recording->images[i].header, event);
        builder->profile->gaps |= gaps;
        count += gaps != 0;
    }
    if (!count)
        return rest;
    builder->profile->unsampled[event] += rest;
    builder->profile->lost[event] += rest;
    double share = floor(rest / (double)count);
    for (size_t i = 0; i < recording->image_count; i++) {
        if (!gaps_of_image(&recording->run, recording->images[i].header, event))
            continue;
        double amount = --count ? share : rest;
        build_exact(builder, builder->main_threads[i], "[lost]", event, amount);
        rest -= amount;
    }
    return 0;
}

void remainder_of_run(struct builder *builder, const double *seen)
{
    struct tally_recording *recording = builder->recording;
    struct tally_profile *profile = builder->profile;
    const struct tally_run *run = &recording->run;
    bool has_others = run->has_foreign || !recording->image_count;
    uint32_t nobody = has_others ? build_nobody(builder) : builder->main_threads[0];
    for (int i = 0; i < run->event_count; i++) {
        if (!run->events[i].has_total)
            continue;
        double rest = (double)run->events[i].total - seen[i];
        if (rest < 0) {
            profile->excess[i] = -rest;
        } else if (recording->is_damaged) {
            build_exact(builder, nobody, "[lost]", i, rest);
            profile->lost[i] += rest;
        } else {
            rest = account_for_gaps(builder, i, account_for_startup(builder, i, rest));
            if (has_others)
                build_exact(builder, nobody, "[no agent]", i, rest);
            else
                account_for_ends(builder, i, rest);
        }
    }
}
