#include "base/error.h"
#include "sources/sources.h"

static int open_none(struct tally_source_context **out, const struct tally_event *events, int count,
                     pid_t pid)
{
    (void)out;
    (void)events;
    (void)count;
    (void)pid;
    return tally_error("simulated events are not counted while a program runs natively.");
}

static int read_none(struct tally_source_context *context, struct tally_count *counts)
{
    (void)context;
    (void)counts;
    return tally_error("simulated events are not counted while a program runs natively.");
}

static void close_none(struct tally_source_context *context)
{
    (void)context;
}

static const struct tally_source simulated = {
    .name = "simulated",
    .open = open_none,
    .read = read_none,
    .close = close_none,
};

const struct tally_source *tally_source_of(enum tally_source_kind kind)
{
    static const struct tally_source *const sources[] = {
        [TALLY_SOURCE_SOFTWARE] = &tally_software_source,
        [TALLY_SOURCE_HARDWARE] = &tally_hardware_source,
        [TALLY_SOURCE_CLOCK] = &tally_clock_source,
        [TALLY_SOURCE_SIMULATED] = &simulated,
    };
    return sources[kind];
}
