#include "sources/threads.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/perf.h"

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
#include <uthash.h>

enum { MAX_TERMS = TALLY_MAX_EVENTS * TALLY_MAX_TERMS, BUFFER = 32 << 10, ROUND_MS = 20 };

/* A counter and the buffer that its records go to. */
struct channel {
    int counter, holder; /* descriptors; the holder's buffer is `page`; they may be one */
    struct perf_event_mmap_page *page;
};

struct sums {
    uint64_t value, enabled, running;
};

/* A thread while records of it come in. */
struct followed {
    uint64_t key; /* pid and tid */
    char name[16];
    bool has_counts;
    UT_hash_handle hh;
    struct sums sums[]; /* one per term */
};

/* A thread began or was named; the buffers of several processors are put in order by time. */
struct naming {
    uint64_t time;
    uint32_t pid, tid, parent_pid, parent_tid;
    char name[16]; /* "" for a fork: as its parent */
};

struct tally_threads {
    const struct tally_event *events; /* borrowed */
    int event_count;
    int term_count, processor_count;
    struct channel terms[MAX_TERMS];
    struct channel *processors; /* for names */
    struct pollfd *polled;
    nfds_t polled_count;
    struct followed *all;
    struct naming *namings;
    size_t naming_count, naming_room;
    bool lost;
    struct tally_thread_count *rows;
};

static int open_event(const struct perf_event_attr *attr, int processor)
{
    long fd = syscall(SYS_perf_event_open, attr, 0, processor, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

static int map_buffer(struct channel *channel)
{
    void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE) + BUFFER, PROT_READ | PROT_WRITE,
                      MAP_SHARED, channel->holder, 0);
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
        .wakeup_watermark = BUFFER / 4,
    };
}

static int open_term(struct channel *channel, const struct tally_event *event,
                     const struct tally_term *term)
{
    struct perf_event_attr quiet = quiet_event();
    channel->counter = tally_perf_open(term, TALLY_PERF_THREADS, 0);
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
            code = open_term(&threads->terms[threads->term_count++], event, &event->terms[k]);
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

/* Records */

struct read_record {
    struct perf_event_header header;
    uint32_t pid, tid;
    struct sums sums;
};

struct task_record {
    struct perf_event_header header;
    uint32_t pid, parent_pid, tid, parent_tid;
    uint64_t time;
};

struct comm_record {
    struct perf_event_header header;
    uint32_t pid, tid;
    char name[]; /* padded to 8 bytes; the sample's time is behind it */
};

/* A record in one piece. */
union record {
    struct perf_event_header header;
    struct read_record read;
    struct task_record task;
    struct comm_record comm;
    char bytes[512];
};

static struct followed *follow(struct tally_threads *threads, uint32_t pid, uint32_t tid)
{
    uint64_t key = (uint64_t)pid << 32 | tid;
    struct followed *thread;
    HASH_FIND(hh, threads->all, &key, sizeof(key), thread);
    if (thread)
        return thread;
    thread = tally_alloc_zeroed(1, sizeof(*thread) +
                                       (size_t)threads->term_count * sizeof(thread->sums[0]));
    thread->key = key;
    HASH_ADD(hh, threads->all, key, sizeof(thread->key), thread);
    return thread;
}

/* One thread may be reported twice under its number: where a thread of it took its place by exec.
 */
static void add_counts(struct tally_threads *threads, int term, const struct read_record *record)
{
    struct followed *thread = follow(threads, record->pid, record->tid);
    struct sums *sums = &thread->sums[term];
    thread->has_counts = true;
    sums->value += record->sums.value;
    sums->enabled += record->sums.enabled;
    sums->running += record->sums.running;
}

static struct naming *add_naming(struct tally_threads *threads)
{
    if (threads->naming_count == threads->naming_room) {
        threads->naming_room = threads->naming_room ? 2 * threads->naming_room : 256;
        threads->namings =
            tally_realloc(threads->namings, threads->naming_room, sizeof(*threads->namings));
    }
    struct naming *naming = &threads->namings[threads->naming_count++];
    memset(naming, 0, sizeof(*naming));
    return naming;
}

static void add_name(struct tally_threads *threads, const union record *record)
{
    struct naming *naming = add_naming(threads);
    naming->pid = record->comm.pid;
    naming->tid = record->comm.tid;
    memcpy(&naming->time, record->bytes + record->header.size - sizeof(naming->time),
           sizeof(naming->time));
    snprintf(naming->name, sizeof(naming->name), "%s", record->comm.name);
}

static void add_fork(struct tally_threads *threads, const struct task_record *record)
{
    struct naming *naming = add_naming(threads);
    naming->pid = record->pid;
    naming->tid = record->tid;
    naming->parent_pid = record->parent_pid;
    naming->parent_tid = record->parent_tid;
    naming->time = record->time;
}

static void take(struct tally_threads *threads, int term, const union record *record)
{
    switch (record->header.type) {
    case PERF_RECORD_READ:
        if (term >= 0)
            add_counts(threads, term, &record->read);
        break;
    case PERF_RECORD_FORK:
        add_fork(threads, &record->task);
        break;
    case PERF_RECORD_COMM:
        add_name(threads, record);
        break;
    case PERF_RECORD_LOST:
        threads->lost |= term >= 0;
        break;
    default:
        break;
    }
}

static void copy_out(const char *ring, uint64_t from, void *to, size_t size)
{
    size_t start = from % BUFFER, first = BUFFER - start < size ? BUFFER - start : size;
    memcpy(to, ring + start, first);
    memcpy((char *)to + first, ring, size - first);
}

/* `term` is -1 for the buffers with names. */
static void drain(struct tally_threads *threads, const struct channel *channel, int term)
{
    struct perf_event_mmap_page *page = channel->page;
    const char *ring = (const char *)page + sysconf(_SC_PAGESIZE);
    uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), tail = page->data_tail;
    while (tail < head) {
        union record record;
        memset(&record, 0, sizeof(record));
        copy_out(ring, tail, &record, sizeof(record.header));
        size_t size = record.header.size;
        if (size < sizeof(record.header) || size > head - tail)
            break;
        if (size <= sizeof(record)) {
            copy_out(ring, tail, &record, size);
            take(threads, term, &record);
        }
        tail += size;
    }
    __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
}

static void drain_all(struct tally_threads *threads)
{
    for (int i = 0; i < threads->term_count; i++)
        drain(threads, &threads->terms[i], i);
    for (int i = 0; i < threads->processor_count; i++)
        drain(threads, &threads->processors[i], -1);
}

/* The run */

static void close_channel(struct channel *channel)
{
    if (channel->page)
        munmap(channel->page, (size_t)sysconf(_SC_PAGESIZE) + BUFFER);
    if (channel->holder >= 0 && channel->holder != channel->counter)
        close(channel->holder);
    if (channel->counter >= 0)
        close(channel->counter);
}

static void forget(struct tally_threads *threads)
{
    struct followed *thread = threads->all, *next;
    HASH_CLEAR(hh, threads->all);
    for (; thread; thread = next) {
        next = thread->hh.next;
        free(thread);
    }
    threads->naming_count = 0;
}

void tally_threads_close(struct tally_threads *threads)
{
    for (int i = 0; i < MAX_TERMS; i++)
        close_channel(&threads->terms[i]);
    for (int i = 0; i < threads->processor_count; i++)
        close_channel(&threads->processors[i]);
    forget(threads);
    free(threads->processors);
    free(threads->polled);
    free(threads->namings);
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
    bool is_reported = threads->all != NULL;
    forget(threads);
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

static int by_time(const void *a, const void *b)
{
    const struct naming *one = a, *other = b;
    return one->time < other->time ? -1 : one->time > other->time;
}

static void give_names(struct tally_threads *threads)
{
    if (threads->naming_count)
        qsort(threads->namings, threads->naming_count, sizeof(*threads->namings), by_time);
    for (size_t i = 0; i < threads->naming_count; i++) {
        const struct naming *naming = &threads->namings[i];
        const char *name = naming->name;
        if (!*name)
            name = follow(threads, naming->parent_pid, naming->parent_tid)->name;
        struct followed *thread = follow(threads, naming->pid, naming->tid);
        if (thread->name != name)
            snprintf(thread->name, sizeof(thread->name), "%s", name);
    }
}

static int by_number(struct followed *a, struct followed *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

/* `sums` are those of the event's terms. */
static void count_event(const struct tally_event *event, const struct sums *sums,
                        struct tally_count *count)
{
    double value = 0;
    *count = (struct tally_count){.running = 1};
    for (int k = 0; k < event->term_count; k++) {
        const struct sums *term = &sums[k];
        double running = term->enabled ? (double)term->running / (double)term->enabled : 1;
        if (term->enabled && !term->running) {
            *count = (struct tally_count){.missing = true,
                                          .why = "it never got a counter of the processor"};
            return;
        }
        if (running < count->running)
            count->running = running;
        value += event->terms[k].factor * (double)term->value / running;
    }
    count->value = value > 0 ? (uint64_t)(value + 0.5) : 0;
}

static void fill_row(const struct tally_threads *threads, const struct sums *sums,
                     struct tally_thread_count *row)
{
    for (int i = 0, first = 0; i < threads->event_count; i++) {
        count_event(&threads->events[i], sums + first, &row->counts[i]);
        first += threads->events[i].term_count;
    }
}

/* What no thread has reported: those that still run, or reports that were lost. */
static int fill_rest(struct tally_threads *threads, struct sums *rest,
                     struct tally_thread_count *row, bool *is_any)
{
    *is_any = threads->lost;
    for (int i = 0; i < threads->term_count; i++) {
        struct tally_perf_value total;
        struct sums *left = &rest[i];
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

static void name_row(const struct tally_threads *threads, const struct followed *thread,
                     struct tally_thread_count *row)
{
    uint64_t pid = thread->key >> 32, leader = pid << 32 | pid;
    struct followed *process;
    HASH_FIND(hh, threads->all, &leader, sizeof(leader), process);
    row->pid = (uint32_t)pid;
    row->tid = (uint32_t)thread->key;
    snprintf(row->name, sizeof(row->name), "%s", thread->name);
    snprintf(row->process, sizeof(row->process), "%s", process ? process->name : "");
}

static void add_sums(struct sums *all, const struct sums *more, int count)
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
    struct sums rest[MAX_TERMS] = {0};
    bool is_any = false;
    int count = 0;
    drain_all(threads);
    give_names(threads);
    HASH_SORT(threads->all, by_number);
    threads->rows = tally_alloc_zeroed(HASH_COUNT(threads->all) + 1, sizeof(*threads->rows));
    for (struct followed *thread = threads->all; thread; thread = thread->hh.next) {
        if (!thread->has_counts)
            continue;
        name_row(threads, thread, &threads->rows[count]);
        fill_row(threads, thread->sums, &threads->rows[count++]);
        add_sums(rest, thread->sums, threads->term_count);
    }
    if (fill_rest(threads, rest, &threads->rows[count], &is_any) < 0)
        return TALLY_ERROR;
    *out = threads->rows;
    *lost = threads->lost;
    return count + is_any;
}
