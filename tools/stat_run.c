/* One run of a program under stat: its events attached, read at the end or on the way. */
#include "stat.h"

#include "base/error.h"
#include "base/launch.h"
#include "sources/counting.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const double ns_per_s = 1e9;

struct run {
    struct stat *stat;
    struct tally_launch launch;
    struct tally_counting *counting;
    int counted[TALLY_MAX_EVENTS]; /* which of stat's events, in the order of `counting` */
    int counted_count;
    struct rusage usage;
    double begun, last; /* ns; the last interval's end */
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * ns_per_s + (double)now.tv_nsec;
}

static double time_ns(struct timeval time)
{
    return (double)time.tv_sec * ns_per_s + (double)time.tv_usec * 1000;
}

static void set_why(struct stat_event *event, const char *why)
{
    if (why != event->why)
        snprintf(event->why, sizeof(event->why), "%s", why ? why : "it could not be read");
}

void stat_add_value(struct stat_event *event, double value, double running)
{
    double before = value - event->mean;
    event->runs++;
    event->mean += before / event->runs;
    event->squares += before * (value - event->mean);
    event->running += (running - event->running) / event->runs;
}

void stat_add_times(struct stat *stat, double elapsed_ns, const struct rusage *usage,
                    const struct tally_launch *launch)
{
    const double nearly_all = 0.9;
    double cpu_ns = time_ns(usage->ru_utime) + time_ns(usage->ru_stime);
    if (launch->ready_ns >= 0 && launch->cpu_ns >= nearly_all * cpu_ns)
        stat_add_value(&stat->ready, launch->ready_ns, 1);
    stat_add_value(&stat->times[0], elapsed_ns, 1);
    stat_add_value(&stat->times[1], time_ns(usage->ru_utime), 1);
    stat_add_value(&stat->times[2], time_ns(usage->ru_stime), 1);
}

static double not_scaled(const struct tally_count *count)
{
    return (double)count->value * count->running;
}

/* What was counted since the last interval; unknown after one without a value. */
static bool subtract(const struct tally_count *now, const struct tally_count *before, double *value,
                     double *running)
{
    double enabled_ns = now->enabled_ns - before->enabled_ns;
    double running_ns = now->enabled_ns * now->running - before->enabled_ns * before->running;
    *value = now->value > before->value ? (double)(now->value - before->value) : 0;
    *running = now->running;
    if (now->missing || before->missing)
        return false;
    if (now->running >= 1 || enabled_ns <= 0)
        return true;
    *running = running_ns / enabled_ns;
    if (running_ns <= 0)
        return false;
    *value = fmax(0, not_scaled(now) - not_scaled(before)) / *running;
    return true;
}

static struct stat_row interval_row(struct stat_event *event, const struct tally_count *count)
{
    struct stat_row row = stat_row_of(event);
    row.runs = subtract(count, &event->previous, &row.value, &row.running);
    if (!row.runs)
        set_why(event, count->missing || event->previous.missing
                           ? count->why
                           : "it had no turn in this interval");
    row.deviation = NAN;
    row.why = row.runs ? NULL : event->why;
    /* What PAPI could not refresh yet is in the next value. */
    if (!count->missing || !event->event.is_machine_wide)
        event->previous = *count;
    return row;
}

/* One count per event of stat. */
static int read_counts(struct run *run, struct tally_count *counts)
{
    struct tally_count own[TALLY_MAX_EVENTS] = {0};
    if (tally_counting_read(run->counting, own) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < run->stat->count; i++)
        counts[i] = (struct tally_count){.missing = true, .why = run->stat->events[i].why};
    for (int i = 0; i < run->counted_count; i++)
        counts[run->counted[i]] = own[i];
    return 0;
}

static int print_interval(struct run *run)
{
    struct stat *stat = run->stat;
    struct tally_count counts[TALLY_MAX_EVENTS] = {0};
    struct stat_row rows[TALLY_MAX_EVENTS];
    if (read_counts(run, counts) < 0)
        return TALLY_ERROR;
    double now = now_ns();
    for (int i = 0; i < stat->count; i++)
        rows[i] = interval_row(&stat->events[i], &counts[i]);
    stat_table_metrics(rows, stat->count, now - run->last);
    stat->table.time_s = (now - run->begun) / ns_per_s;
    stat_table_rows(&stat->table, rows, stat->count);
    if (stat->group)
        stat_metrics_print(&stat->table, stat->variant, rows, stat->count, now - run->last);
    fflush(stat->table.out);
    run->last = now;
    return 0;
}

/* Events that take turns are read on the way, to learn how far off they may be. */
static int read_turns(struct run *run)
{
    struct stat *stat = run->stat;
    struct tally_count counts[TALLY_MAX_EVENTS] = {0};
    if (read_counts(run, counts) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < stat->count; i++)
        tally_turns_step(&stat->events[i].turns, &counts[i]);
    return 0;
}

/* Sleeps until the time, or until the workload ends where the kernel can tell. */
static void sleep_until(double when, int process)
{
    enum { STEP_MS = 5 };
    struct pollfd ended = {.fd = process, .events = POLLIN};
    double left_ms = (when - now_ns()) / 1e6;
    if (left_ms <= 0)
        return;
    if (process < 0 && left_ms > STEP_MS)
        left_ms = STEP_MS;
    poll(&ended, process >= 0, (int)ceil(left_ms));
}

/* Waits for the end, and does something at every step until then. */
static int wait_by_steps(struct run *run, double step, int (*each)(struct run *), int *exit_status)
{
    double next = run->begun + step;
    int process = (int)syscall(SYS_pidfd_open, run->launch.pid, 0), result = 0;
    while (result == 0) {
        sleep_until(next, process);
        result = tally_launch_wait(&run->launch, false, exit_status, &run->usage);
        if (result == 0 && now_ns() >= next) {
            result = each(run);
            while (next <= now_ns())
                next += step;
        }
    }
    if (process >= 0)
        close(process);
    return result < 0 ? result : 0;
}

static int wait_with_intervals(struct run *run, int *exit_status)
{
    double step = (double)run->stat->options.interval_ms * 1e6;
    int result = wait_by_steps(run, step, print_interval, exit_status);
    return result < 0 ? result : print_interval(run);
}

static int wait_for_end(struct run *run, int *exit_status)
{
    static const double turn_step_ns = 10e6;
    if (!run->stat->takes_turns)
        return tally_launch_wait(&run->launch, true, exit_status, &run->usage) < 0 ? TALLY_ERROR
                                                                                   : 0;
    for (int i = 0; i < run->stat->count; i++)
        run->stat->events[i].turns = (struct tally_turns){0};
    return wait_by_steps(run, turn_step_ns, read_turns, exit_status);
}

static int wait_for_totals(struct run *run, int *exit_status)
{
    struct stat *stat = run->stat;
    struct tally_count counts[TALLY_MAX_EVENTS] = {0};
    if (wait_for_end(run, exit_status) < 0)
        return TALLY_ERROR;
    double ended = now_ns();
    if (read_counts(run, counts) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < stat->count; i++) {
        struct stat_event *event = &stat->events[i];
        if (counts[i].missing) {
            set_why(event, counts[i].why);
            continue;
        }
        stat_add_value(event, (double)counts[i].value, counts[i].running);
        event->core_share = counts[i].core_share;
        event->turn_deviation = tally_turns_deviation(&event->turns, &counts[i]);
    }
    stat_add_times(stat, ended - run->begun, &run->usage, &run->launch);
    return 0;
}

static int count_held(struct run *run)
{
    struct tally_event events[TALLY_MAX_EVENTS];
    for (int i = 0; i < run->stat->count; i++) {
        if (run->stat->events[i].is_missing)
            continue;
        events[run->counted_count] = run->stat->events[i].event;
        run->counted[run->counted_count++] = i;
    }
    return tally_counting_open(&run->counting, events, run->counted_count, run->launch.pid);
}

int stat_run(struct stat *stat, char **command, int *exit_status)
{
    struct run run = {.stat = stat};
    *exit_status = TALLY_EXIT_FAILED;
    if (tally_launch_prepare(&run.launch, command, NULL) < 0)
        return TALLY_ERROR;
    int result = count_held(&run);
    run.begun = run.last = now_ns();
    if (result == 0)
        result = tally_launch_go(&run.launch, exit_status);
    if (result == 0) {
        result = stat->options.interval_ms ? wait_with_intervals(&run, exit_status)
                                           : wait_for_totals(&run, exit_status);
        if (result < 0)
            *exit_status = TALLY_EXIT_FAILED;
    }
    tally_counting_close(run.counting);
    tally_launch_release(&run.launch);
    return result;
}
