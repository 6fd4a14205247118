/*
 * PAPI's other components: what they count for the whole machine from the moment they are opened,
 * just before the workload's exec.
 *
 * Some refresh their values once a second at most, and do not tell when. In between there is none
 * to be had; when the workload has ended the rest of the second is waited for.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "events/component.h"
#include "sources/sources.h"

#include <errno.h>
#include <papi.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct tally_source_context {
    pid_t pid;
    int count, set_count;
    int sets[TALLY_MAX_EVENTS];
    long long values[TALLY_MAX_EVENTS][TALLY_MAX_EVENTS];                /* by set and place */
    double refresh_ns[TALLY_MAX_EVENTS], refreshed_ns[TALLY_MAX_EVENTS]; /* by set */
    bool is_read[TALLY_MAX_EVENTS];                                      /* by set */
    bool is_final[TALLY_MAX_EVENTS]; /* by set: read since the workload ended */
    int set_of[TALLY_MAX_EVENTS], place[TALLY_MAX_EVENTS];
    double factor[TALLY_MAX_EVENTS];
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void components_close(struct tally_source_context *context)
{
    for (int i = 0; i < context->set_count; i++) {
        PAPI_stop(context->sets[i], NULL);
        PAPI_cleanup_eventset(context->sets[i]);
        PAPI_destroy_eventset(&context->sets[i]);
    }
    free(context);
}

static int components_open(struct tally_source_context **out, const struct tally_event *events,
                           int count, pid_t pid)
{
    struct tally_source_context *context = tally_alloc_zeroed(1, sizeof(*context));
    bool taken[TALLY_MAX_EVENTS] = {false}, before[TALLY_MAX_EVENTS] = {false};
    context->pid = pid;
    context->count = count;
    for (int i = 0; i < count; i++)
        context->factor[i] = tally_component_factor(&events[i]);
    for (int done = 0; done < count;) {
        int set = tally_component_start(events, count, taken, context->place);
        if (set == PAPI_NULL) {
            components_close(context);
            return TALLY_ERROR;
        }
        for (int i = 0; i < count; i++)
            if (taken[i] && !before[i]) {
                context->set_of[i] = context->set_count;
                context->refresh_ns[context->set_count] = tally_component_refresh_ns(&events[i]);
                before[i] = true;
                done++;
            }
        context->refreshed_ns[context->set_count] = now_ns();
        context->sets[context->set_count++] = set;
    }
    *out = context;
    return 0;
}

static bool read_set(struct tally_source_context *context, int set, bool has_ended)
{
    if (context->is_final[set])
        return true;
    double left_ns = context->refreshed_ns[set] + context->refresh_ns[set] - now_ns();
    if (left_ns > 0 && has_ended) {
        struct timespec rest = {.tv_sec = (time_t)(left_ns / 1e9)};
        rest.tv_nsec = (long)(left_ns - (double)rest.tv_sec * 1e9);
        nanosleep(&rest, NULL);
    } else if (left_ns > 0) {
        return false;
    }
    context->refreshed_ns[set] = now_ns();
    context->is_final[set] = has_ended;
    return PAPI_read(context->sets[set], context->values[set]) == PAPI_OK;
}

static int components_read(struct tally_source_context *context, struct tally_count *counts)
{
    bool has_ended = kill(context->pid, 0) < 0 && errno == ESRCH;
    for (int i = 0; i < context->set_count; i++)
        context->is_read[i] = read_set(context, i, has_ended);
    for (int i = 0; i < context->count; i++) {
        long long value = context->values[context->set_of[i]][context->place[i]];
        bool fine = context->is_read[context->set_of[i]] && value >= 0;
        counts[i] = (struct tally_count){.running = 1, .missing = !fine};
        if (fine)
            counts[i].value = (uint64_t)((double)value * context->factor[i] + 0.5);
        else
            counts[i].why = context->refresh_ns[context->set_of[i]] > 0
                                ? "PAPI refreshes it once a second at most"
                                : "PAPI cannot read it";
    }
    return 0;
}

const struct tally_source tally_components_source = {
    .name = "hardware",
    .open = components_open,
    .read = components_read,
    .close = components_close,
};
