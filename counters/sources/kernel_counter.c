#include "sources/kernel_counter.h"

#include "base/buffer.h"
#include "base/error.h"
#include "sources/terms.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void close_all(struct tally_kernel_counter *counter)
{
    for (int i = 0; i < counter->open_count; i++)
        close(counter->fds[i]);
    counter->open_count = 0;
}

static int open_all(struct tally_kernel_counter *counter, const struct tally_event *event,
                    struct tally_slots *slots, enum tally_perf_mode mode, pid_t pid)
{
    *counter = (struct tally_kernel_counter){.event = event};
    if (tally_event_is_filtered_clock(event)) {
        counter->why = tally_strdup("the kernel counts user and kernel time together");
        return 0;
    }
    if (tally_perf_check(event) < 0) {
        counter->why = tally_strdup(tally_error_text());
        return 0;
    }
    for (int i = 0; i < event->term_count; i++) {
        int fd = tally_slots_open(slots, &event->terms[i], mode, pid);
        if (fd == -ESRCH) {
            close_all(counter);
            return tally_error("there is no process %d to count.", (int)pid);
        }
        if (fd < 0) {
            close_all(counter);
            tally_perf_refused(event, -fd);
            counter->why = tally_strdup(tally_error_text());
            return 0;
        }
        counter->fds[counter->open_count++] = fd;
    }
    return 0;
}

int tally_kernel_counter_open(struct tally_kernel_counter *counter, const struct tally_event *event,
                              struct tally_slots *slots, pid_t pid)
{
    return open_all(counter, event, slots, TALLY_PERF_WORKLOAD, pid);
}

int tally_kernel_counter_open_launch(struct tally_kernel_counter *counter,
                                     const struct tally_event *event, struct tally_slots *slots,
                                     pid_t pid)
{
    return open_all(counter, event, slots, TALLY_PERF_LAUNCH, pid);
}

void tally_kernel_counter_enable(const struct tally_kernel_counter *counter)
{
    for (int i = 0; i < counter->open_count; i++)
        tally_perf_enable(counter->fds[i]);
}

void tally_kernel_counter_read(struct tally_kernel_counter *counter, struct tally_count *count)
{
    struct tally_perf_value terms[TALLY_MAX_TERMS];
    bool fine = counter->open_count > 0;
    for (int i = 0; i < counter->open_count && fine; i++)
        fine = tally_perf_read(counter->fds[i], &terms[i]) == 0;
    if (fine)
        tally_count_terms(counter->event, terms, count);
    else
        *count = (struct tally_count){.missing = true,
                                      .why = counter->why ? counter->why : TALLY_NO_COUNTER};
}

void tally_kernel_counter_close(struct tally_kernel_counter *counter)
{
    close_all(counter);
    free(counter->why);
    counter->why = NULL;
}
