#include "sources/counting.h"

#include "base/buffer.h"
#include "base/error.h"
#include "sources/sources.h"

#include <stdlib.h>

enum { COMPONENTS = TALLY_SOURCE_SIMULATED + 1, KINDS };

static const struct tally_source *source_of(int kind)
{
    return kind == COMPONENTS ? &tally_components_source
                              : tally_source_of((enum tally_source_kind)kind);
}

/* The events of one source. */
struct part {
    struct tally_source_context *context;
    struct tally_event events[TALLY_MAX_EVENTS];
    int place[TALLY_MAX_EVENTS]; /* in the list of all */
    int count;
};

struct tally_counting {
    struct part parts[KINDS];
};

void tally_counting_close(struct tally_counting *counting)
{
    for (int kind = 0; counting && kind < KINDS; kind++)
        if (counting->parts[kind].context)
            source_of(kind)->close(counting->parts[kind].context);
    free(counting);
}

int tally_counting_open(struct tally_counting **out, const struct tally_event *events, int count,
                        pid_t pid)
{
    struct tally_counting *counting = tally_alloc_zeroed(1, sizeof(*counting));
    for (int i = 0; i < count; i++) {
        struct part *part =
            &counting->parts[events[i].is_machine_wide ? COMPONENTS : (int)events[i].source];
        part->events[part->count] = events[i];
        part->place[part->count++] = i;
    }
    for (int kind = 0; kind < KINDS; kind++) {
        struct part *part = &counting->parts[kind];
        const struct tally_source *source = source_of(kind);
        if (part->count > 0 && source->open(&part->context, part->events, part->count, pid) < 0) {
            tally_counting_close(counting);
            return TALLY_ERROR;
        }
    }
    *out = counting;
    return 0;
}

int tally_counting_read(struct tally_counting *counting, struct tally_count *counts)
{
    struct tally_count own[TALLY_MAX_EVENTS];
    for (int kind = 0; kind < KINDS; kind++) {
        const struct part *part = &counting->parts[kind];
        if (part->count == 0)
            continue;
        if (source_of(kind)->read(part->context, own) < 0)
            return TALLY_ERROR;
        for (int i = 0; i < part->count; i++)
            counts[part->place[i]] = own[i];
    }
    return 0;
}
