/* The kernel's own events. */
#include "base/buffer.h"
#include "base/error.h"
#include "sources/kernel_counter.h"
#include "sources/sources.h"

#include <stdlib.h>

struct tally_source_context {
    int count;
    struct tally_slots slots; /* stays empty */
    struct tally_kernel_counter counters[];
};

static void software_close(struct tally_source_context *context)
{
    for (int i = 0; i < context->count; i++)
        tally_kernel_counter_close(&context->counters[i]);
    free(context);
}

static int software_open(struct tally_source_context **out, const struct tally_event *events,
                         int count, pid_t pid)
{
    struct tally_source_context *context =
        tally_alloc_zeroed(1, sizeof(*context) + (size_t)count * sizeof(context->counters[0]));
    for (; context->count < count; context->count++) {
        int i = context->count;
        if (tally_kernel_counter_open(&context->counters[i], &events[i], &context->slots, pid) <
            0) {
            software_close(context);
            return TALLY_ERROR;
        }
    }
    *out = context;
    return 0;
}

static int software_read(struct tally_source_context *context, struct tally_count *counts)
{
    for (int i = 0; i < context->count; i++)
        tally_kernel_counter_read(&context->counters[i], &counts[i]);
    return 0;
}

const struct tally_source tally_software_source = {
    .name = "software",
    .open = software_open,
    .read = software_read,
    .close = software_close,
};
