#include "sources/kernel_counter.h"

#include "base/buffer.h"
#include "base/error.h"

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

/* Scales what was counted to the time in which it should have been. */
static int read_term(int fd, double *value, double *running, double *enabled_ns)
{
    struct tally_perf_value raw;
    if (tally_perf_read(fd, &raw) < 0)
        return TALLY_ERROR;
    *enabled_ns = (double)raw.enabled;
    *running = raw.enabled ? (double)raw.running / (double)raw.enabled : 1;
    if (raw.enabled && !raw.running)
        return TALLY_ERROR;
    *value = (double)raw.value / *running;
    return 0;
}

void tally_kernel_counter_read(struct tally_kernel_counter *counter, struct tally_count *count)
{
    double sum = 0;
    *count = (struct tally_count){.missing = true, .why = counter->why};
    for (int i = 0; i < counter->open_count; i++) {
        double value, running;
        if (read_term(counter->fds[i], &value, &running, &count->enabled_ns) < 0) {
            count->why = "it never got a counter of the processor";
            return;
        }
        sum += counter->event->terms[i].factor * value;
        if (i == 0 || running < count->running)
            count->running = running;
    }
    if (counter->open_count == 0)
        return;
    count->missing = false;
    count->value = sum > 0 ? (uint64_t)(sum + 0.5) : 0;
}

void tally_kernel_counter_close(struct tally_kernel_counter *counter)
{
    close_all(counter);
    free(counter->why);
    counter->why = NULL;
}
