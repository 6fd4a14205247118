#include "sources/threads.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/perf.h"
#include "events/slots.h"
#include "sources/terms.h"
#include "sources/thread_reports.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_TERMS = TALLY_MAX_EVENTS * TALLY_MAX_TERMS, ROUND_MS = 20 };

/* A counter and the buffer that its records go to. */
struct channel {
    int counter, holder; /* descriptors; the holder's buffer is `page`; they may be one */
    struct perf_event_mmap_page *page;
};

struct tally_threads {
    const struct tally_event *events; /* borrowed */
    int event_count;
    int term_count, processor_count;
    struct channel terms[MAX_TERMS];
    struct tally_slots slots;
    struct channel *processors; /* for names */
    struct pollfd *polled;
    nfds_t polled_count;
    struct thread_reports reports;
    struct tally_thread_count *rows;
};

static int open_event(const struct perf_event_attr *attr, int processor)
{
    long fd = syscall(SYS_perf_event_open, attr, 0, processor, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

static int map_buffer(struct channel *channel)
{
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE) + THREAD_REPORTS_BUFFER,
                      PROT_READ | PROT_WRITE, MAP_SHARED, channel->holder, 0);
    if (page == MAP_FAILED)
        return tally_error("the kernel gives no buffer for the threads' counts: %s; "
                           "kernel.perf_event_mlock_kb bounds them.",
                           strerror(errno));
    channel->page = page;
    return 0;
}

static struct perf_event_attr quiet_event(void)
{
    return (struct perf_event_attr){
        .size = sizeof(struct perf_event_attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_DUMMY,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .disabled = 1,
        .watermark = 1,
        .wakeup_watermark = THREAD_REPORTS_BUFFER / 4,
    };
}

static int open_term(struct channel *channel, const struct tally_event *event,
                     const struct tally_term *term, struct tally_slots *slots)
{
    struct perf_event_attr quiet = quiet_event();
    channel->counter = tally_slots_open(slots, term, TALLY_PERF_THREADS, 0);
    if (channel->counter < 0)
        return tally_perf_refused(event, -channel->counter);
    channel->holder = open_event(&quiet, -1);
    if (channel->holder < 0)
        return tally_perf_refused(event, -channel->holder);
    if (map_buffer(channel) < 0)
        return TALLY_ERROR;
    if (ioctl(channel->counter, PERF_EVENT_IOC_SET_OUTPUT, channel->holder) < 0)
        return tally_error("this kernel does not report counts thread by thread: %s.",
                           strerror(errno));
    return 0;
}

static int open_terms(struct tally_threads *threads)
{
    for (int i = 0; i < threads->event_count; i++) {
        const struct tally_event *event = &threads->events[i];
        if (tally_event_is_filtered_clock(event))
            return tally_error("\"%s\" cannot be told thread by thread: the kernel counts user and "
                               "kernel time together.",
                               event->name);
        int code = tally_perf_check(event);
        for (int k = 0; k < event->term_count && code == 0; k++)
            code = open_term(&threads->terms[threads->term_count++], event, &event->terms[k],
                             &threads->slots);
        if (code < 0)
            return code;
    }
    return 0;
}

/* Processors that are away have no thread to name; -1 is past the last. */
static int open_names(struct tally_threads *threads)
{
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    struct perf_event_attr attr = quiet_event();
    attr.inherit = attr.enable_on_exec = 1;
    attr.comm = attr.task = attr.sample_id_all = 1;
    attr.sample_type = PERF_SAMPLE_TIME;
    threads->processors = tally_alloc_zeroed((size_t)processors, sizeof(*threads->processors));
    for (int i = 0; i < processors; i++) {
        int fd = open_event(&attr, i);
        if (fd == -ENODEV)
            continue;
        if (fd < 0)
            return tally_error("the kernel does not tell the names of threads: %s.", strerror(-fd));
        struct channel *channel = &threads->processors[threads->processor_count++];
        channel->counter = channel->holder = fd;
        if (map_buffer(channel) < 0)
            return TALLY_ERROR;
    }
    return 0;
}

static void drain_all(struct tally_threads *threads)
{
    for (int i = 0; i < threads->term_count; i++)
        thread_reports_take(&threads->reports, threads->terms[i].page, i);
    for (int i = 0; i < threads->processor_count; i++)
        thread_reports_take(&threads->reports, threads->processors[i].page, -1);
}

/* The run */

static void close_channel(struct channel *channel)
{
    if (channel->page)
        munmap(channel->page, (size_t)sysconf(_SC_PAGESIZE) + THREAD_REPORTS_BUFFER);
    if (channel->holder >= 0 && channel->holder != channel->counter)
        close(channel->holder);
    if (channel->counter >= 0)
        close(channel->counter);
}

void tally_threads_close(struct tally_threads *threads)
{
    for (int i = 0; i < MAX_TERMS; i++)
        close_channel(&threads->terms[i]);
    for (int i = 0; i < threads->processor_count; i++)
        close_channel(&threads->processors[i]);
    tally_slots_close(&threads->slots);
    thread_reports_release(&threads->reports);
    free(threads->processors);
    free(threads->polled);
    free(threads->rows);
    free(threads);
}

static void list_polled(struct tally_threads *threads)
{
    nfds_t count = 0;
    size_t room = (size_t)threads->term_count + (size_t)threads->processor_count + 1;
    threads->polled = tally_alloc_zeroed(room, sizeof(*threads->polled));
    threads->polled[count++] = (struct pollfd){.fd = -1, .events = POLLIN};
    for (int i = 0; i < threads->term_count; i++)
        threads->polled[count++] = (struct pollfd){threads->terms[i].holder, POLLIN, 0};
    for (int i = 0; i < threads->processor_count; i++)
        threads->polled[count++] = (struct pollfd){threads->processors[i].holder, POLLIN, 0};
    threads->polled_count = count;
}

/* Linux 5.13 to some 6.x forget to report, so a process that does nothing has to be seen first. */
static int check_reports(struct tally_threads *threads)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child < 0)
        return tally_error("cannot start a process: %s.", strerror(errno));
    waitpid(child, NULL, 0);
    drain_all(threads);
    bool is_reported = threads->reports.threads != NULL;
    thread_reports_release(&threads->reports);
    if (is_reported || threads->term_count == 0)
        return 0;
    return tally_error(
        "this kernel does not report what a thread counted (releases from 5.13 on do "
        "not, until it was mended); \"tallystack record\" and \"tallystack report "
        "--by thread\" tell the threads of Python programs apart.");
}

int tally_threads_open(struct tally_threads **out, const struct tally_event *events, int count)
{
    struct tally_threads *threads = tally_alloc_zeroed(1, sizeof(*threads));
    threads->events = events;
    threads->event_count = count;
    for (int i = 0; i < MAX_TERMS; i++)
        threads->terms[i].counter = threads->terms[i].holder = -1;
    int result = open_terms(threads);
    threads->reports.term_count = threads->term_count;
    if (result == 0)
        result = open_names(threads);
    if (result == 0)
        result = check_reports(threads);
    if (result < 0) {
        tally_threads_close(threads);
        return result;
    }
    list_polled(threads);
    *out = threads;
    return 0;
}

void tally_threads_follow(struct tally_threads *threads, int process)
{
    threads->polled[0].fd = process;
    poll(threads->polled, threads->polled_count, ROUND_MS);
    drain_all(threads);
}

/* What came of it */

static void fill_row(const struct tally_threads *threads, const struct tally_perf_value *sums,
                     struct tally_thread_count *row)
{
    for (int i = 0, first = 0; i < threads->event_count; i++) {
        tally_count_terms(&threads->events[i], sums + first, &row->counts[i]);
        first += threads->events[i].term_count;
    }
}

/* What no thread has reported: those that still run, or reports that were lost. */
static int fill_rest(struct tally_threads *threads, struct tally_perf_value *rest,
                     struct tally_thread_count *row, bool *is_any)
{
    *is_any = threads->reports.lost;
    for (int i = 0; i < threads->term_count; i++) {
        struct tally_perf_value total;
        struct tally_perf_value *left = &rest[i];
        if (tally_perf_read(threads->terms[i].counter, &total) < 0)
            return tally_error("the counts of the threads cannot be read.");
        left->value = total.value > left->value ? total.value - left->value : 0;
        left->enabled = total.enabled > left->enabled ? total.enabled - left->enabled : 0;
        left->running = total.running > left->running ? total.running - left->running : 0;
        *is_any |= left->value > 0;
    }
    fill_row(threads, rest, row);
    return 0;
}

static void name_row(const struct tally_threads *threads, const struct reported_thread *thread,
                     struct tally_thread_count *row)
{
    uint64_t pid = thread->key >> 32, leader = pid << 32 | pid;
    struct reported_thread *process;
    HASH_FIND(hh, threads->reports.threads, &leader, sizeof(leader), process);
    row->pid = (uint32_t)pid;
    row->tid = (uint32_t)thread->key;
    snprintf(row->name, sizeof(row->name), "%s", thread->name);
    snprintf(row->process, sizeof(row->process), "%s", process ? process->name : "");
}

static void add_sums(struct tally_perf_value *all, const struct tally_perf_value *more, int count)
{
    for (int i = 0; i < count; i++) {
        all[i].value += more[i].value;
        all[i].enabled += more[i].enabled;
        all[i].running += more[i].running;
    }
}

int tally_threads_finish(struct tally_threads *threads, const struct tally_thread_count **out,
                         bool *lost)
{
    struct tally_perf_value rest[MAX_TERMS] = {0};
    bool is_any = false;
    int count = 0;
    drain_all(threads);
    thread_reports_finish(&threads->reports);
    threads->rows =
        tally_alloc_zeroed(HASH_COUNT(threads->reports.threads) + 1, sizeof(*threads->rows));
    for (struct reported_thread *thread = threads->reports.threads; thread;
         thread = thread->hh.next) {
        if (!thread->has_counts)
            continue;
        name_row(threads, thread, &threads->rows[count]);
        fill_row(threads, thread->sums, &threads->rows[count++]);
        add_sums(rest, thread->sums, threads->term_count);
    }
    if (fill_rest(threads, rest, &threads->rows[count], &is_any) < 0)
        return TALLY_ERROR;
    *out = threads->rows;
    *lost = threads->reports.lost;
    return count + is_any;
}
