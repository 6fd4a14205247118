/* One run of a program under stat --per-thread. */
#include "stat.h"

#include "base/error.h"
#include "base/launch.h"
#include "sources/threads.h"

#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Why an event cannot be told thread by thread; false when it can. */
static bool is_untold(const struct tally_event *event, char *why, size_t room)
{
    /* What the kernel keeps in its accounts of a process, it does not keep for its threads. */
    if (event->source == TALLY_SOURCE_CLOCK)
        snprintf(why, room,
                 "\"%s\" cannot be told thread by thread here, only by the accounts of the whole "
                 "process; \"tallystack doctor\" says what would mend it.",
                 event->name);
    else if (event->is_machine_wide)
        snprintf(why, room,
                 "\"%s\" counts for the whole machine and cannot be told thread by thread.",
                 event->name);
    return event->source == TALLY_SOURCE_CLOCK || event->is_machine_wide;
}

/* What was asked for by name must be counted; of a group some may be missing. */
static int choose_counted(struct stat *stat, struct tally_event *events, int *counted)
{
    int count = 0;
    for (int i = 0; i < stat->count; i++) {
        struct stat_event *event = &stat->events[i];
        if (!event->is_missing && is_untold(&event->event, event->why, sizeof(event->why))) {
            if (!stat->group)
                return tally_error("%s", event->why);
            event->is_missing = true;
        }
        if (event->is_missing)
            continue;
        events[count] = event->event;
        counted[count++] = i;
    }
    return count ? count : tally_error("%s", stat->events[0].why);
}

static void print_thread(struct stat *stat, const struct tally_thread_count *thread,
                         const int *counted, int count, bool lost)
{
    char process[40] = "", name[40];
    struct stat_row rows[TALLY_MAX_EVENTS];
    snprintf(name, sizeof(name), "%s", lost ? "[lost]" : "[still running]");
    if (thread->tid) {
        snprintf(process, sizeof(process), "%u %s", thread->pid, thread->process);
        snprintf(name, sizeof(name), "%u %s", thread->tid, thread->name);
    }
    for (int i = 0; i < stat->count; i++)
        rows[i] = stat_row_of(&stat->events[i]);
    for (int i = 0; i < count; i++) {
        struct stat_row *row = &rows[counted[i]];
        const struct tally_count *value = &thread->counts[i];
        row->runs = !value->missing;
        row->value = (double)value->value;
        row->running = value->running;
        row->core_share = value->core_share;
        row->deviation = NAN;
        row->why = value->why;
    }
    for (int i = 0; i < stat->count; i++) {
        rows[i].process = process;
        rows[i].thread = name;
    }
    stat_table_metrics(rows, stat->count, stat->times[0].mean);
    stat_table_rows(&stat->table, rows, stat->count);
    if (stat->group)
        stat_metrics_print(&stat->table, stat->variant, rows, stat->count, stat->times[0].mean);
}

static int print_threads(struct stat *stat, struct tally_threads *threads, char **command,
                         const int *counted, int count)
{
    const struct tally_thread_count *rows;
    bool lost = false;
    int found = tally_threads_finish(threads, &rows, &lost);
    if (found < 0)
        return found;
    if (lost)
        fprintf(stderr, "tallystack stat: more threads ended at once than the kernel could report; "
                        "what is known of them together is in the row [lost].\n");
    stat_print_heading(stat, command, ", by thread");
    for (int i = 0; i < found; i++)
        print_thread(stat, &rows[i], counted, count, lost);
    return 0;
}

static int follow(struct tally_threads *threads, struct tally_launch *launch, int *exit_status,
                  struct rusage *usage)
{
    int process = (int)syscall(SYS_pidfd_open, launch->pid, 0), result = 0;
    while (result == 0) {
        tally_threads_follow(threads, process);
        result = tally_launch_wait(launch, false, exit_status, usage);
    }
    if (process >= 0)
        close(process);
    return result < 0 ? result : 0;
}

int stat_run_by_thread(struct stat *stat, char **command, int *exit_status)
{
    struct tally_event events[TALLY_MAX_EVENTS];
    struct tally_launch launch;
    struct tally_threads *threads = NULL;
    struct rusage usage = {0};
    int counted[TALLY_MAX_EVENTS] = {0}, status = TALLY_EXIT_FAILED;
    int count = choose_counted(stat, events, counted);
    *exit_status = TALLY_EXIT_FAILED;
    if (count < 0 || tally_threads_open(&threads, events, count) < 0)
        return TALLY_ERROR;
    int result = tally_launch_prepare(&launch, command, NULL);
    if (result == 0) {
        double begun = now_ns();
        result = tally_launch_go(&launch, exit_status);
        if (result == 0)
            result = follow(threads, &launch, &status, &usage);
        if (result == 0) {
            stat_add_times(stat, now_ns() - begun, &usage, &launch);
            result = print_threads(stat, threads, command, counted, count);
            *exit_status = result < 0 ? TALLY_EXIT_FAILED : status;
        }
        tally_launch_release(&launch);
    }
    tally_threads_close(threads);
    return result;
}
