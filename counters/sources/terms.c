#include "sources/terms.h"

#include "events/cores.h"

#include <math.h>

static uint64_t whole(double value)
{
    return value > 0 ? (uint64_t)(value + 0.5) : 0;
}

static double share(const struct tally_perf_value *term)
{
    return term->enabled ? (double)term->running / (double)term->enabled : 1;
}

/* Each term is scaled to the time in which it should have counted. */
static void count_scaled(const struct tally_event *event, const struct tally_perf_value *terms,
                         struct tally_count *count)
{
    double sum = 0;
    count->running = 1;
    for (int i = 0; i < event->term_count; i++) {
        double running = share(&terms[i]);
        if (running <= 0) {
            *count = (struct tally_count){.missing = true, .why = TALLY_NO_COUNTER};
            return;
        }
        sum += event->terms[i].factor * (double)terms[i].value / running;
        count->running = fmin(count->running, running);
        count->enabled_ns = (double)terms[i].enabled;
    }
    count->value = whole(sum);
}

/* Of one core type: as counted, since the time that it did not run may have been elsewhere. */
static void count_on_core(const struct tally_event *event, const struct tally_perf_value *terms,
                          struct tally_count *count)
{
    double sum = 0;
    count->running = count->core_share = 1;
    for (int i = 0; i < event->term_count; i++) {
        sum += event->terms[i].factor * (double)terms[i].value;
        count->core_share = fmin(count->core_share, share(&terms[i]));
        count->enabled_ns = fmax(count->enabled_ns, (double)terms[i].enabled);
    }
    if (count->core_share <= 0)
        *count = (struct tally_count){.missing = true,
                                      .why = "the program was never on a core of this type, or it "
                                             "never got a counter there"};
    else
        count->value = whole(sum);
}

/*
 * A term of each core type: what is missing from their times together was time without a counter.
 * Terms are read one after the other while the program runs: so much later as the last one was
 * read, so much may the others have run meanwhile.
 */
static void count_over_cores(const struct tally_event *event, const struct tally_perf_value *terms,
                             struct tally_count *count)
{
    double sum = 0, running = 0, least_enabled_ns = (double)terms[0].enabled;
    for (int i = 0; i < event->term_count; i++) {
        sum += event->terms[i].factor * (double)terms[i].value;
        running += (double)terms[i].running;
        count->enabled_ns = fmax(count->enabled_ns, (double)terms[i].enabled);
        least_enabled_ns = fmin(least_enabled_ns, (double)terms[i].enabled);
    }
    count->running = running >= least_enabled_ns ? 1 : running / count->enabled_ns;
    if (count->running <= 0)
        *count = (struct tally_count){.missing = true, .why = TALLY_NO_COUNTER};
    else
        count->value = whole(sum / count->running);
}

void tally_count_terms(const struct tally_event *event, const struct tally_perf_value *terms,
                       struct tally_count *count)
{
    *count = (struct tally_count){0};
    if (tally_core_of_event(event))
        count_on_core(event, terms, count);
    else if (tally_core_of(&event->terms[0]))
        count_over_cores(event, terms, count);
    else
        count_scaled(event, terms, count);
}
