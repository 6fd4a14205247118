#include "sources/thread_reports.h"

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct read_record {
    struct perf_event_header header;
    uint32_t pid, tid;
    struct tally_perf_value sums;
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

static struct reported_thread *follow(struct thread_reports *reports, uint32_t pid, uint32_t tid)
{
    uint64_t key = (uint64_t)pid << 32 | tid;
    struct reported_thread *thread;
    HASH_FIND(hh, reports->threads, &key, sizeof(key), thread);
    if (thread)
        return thread;
    thread = tally_alloc_zeroed(1, sizeof(*thread) +
                                       (size_t)reports->term_count * sizeof(thread->sums[0]));
    thread->key = key;
    HASH_ADD(hh, reports->threads, key, sizeof(thread->key), thread);
    return thread;
}

/* One thread may be reported twice under its number: where a thread of it took its place by exec.
 */
static void add_counts(struct thread_reports *reports, int term, const struct read_record *record)
{
    struct reported_thread *thread = follow(reports, record->pid, record->tid);
    struct tally_perf_value *sums = &thread->sums[term];
    thread->has_counts = true;
    sums->value += record->sums.value;
    sums->enabled += record->sums.enabled;
    sums->running += record->sums.running;
}

static struct thread_naming *add_naming(struct thread_reports *reports)
{
    if (reports->naming_count == reports->naming_room) {
        reports->naming_room = reports->naming_room ? 2 * reports->naming_room : 256;
        reports->namings =
            tally_realloc(reports->namings, reports->naming_room, sizeof(*reports->namings));
    }
    struct thread_naming *naming = &reports->namings[reports->naming_count++];
    memset(naming, 0, sizeof(*naming));
    return naming;
}

static void add_name(struct thread_reports *reports, const union record *record)
{
    struct thread_naming *naming = add_naming(reports);
    naming->pid = record->comm.pid;
    naming->tid = record->comm.tid;
    memcpy(&naming->time, record->bytes + record->header.size - sizeof(naming->time),
           sizeof(naming->time));
    snprintf(naming->name, sizeof(naming->name), "%s", record->comm.name);
}

static void add_fork(struct thread_reports *reports, const struct task_record *record)
{
    struct thread_naming *naming = add_naming(reports);
    naming->pid = record->pid;
    naming->tid = record->tid;
    naming->parent_pid = record->parent_pid;
    naming->parent_tid = record->parent_tid;
    naming->time = record->time;
}

static void take(struct thread_reports *reports, int term, const union record *record)
{
    switch (record->header.type) {
    case PERF_RECORD_READ:
        if (term >= 0)
            add_counts(reports, term, &record->read);
        break;
    case PERF_RECORD_FORK:
        add_fork(reports, &record->task);
        break;
    case PERF_RECORD_COMM:
        add_name(reports, record);
        break;
    case PERF_RECORD_LOST:
        reports->lost |= term >= 0;
        break;
    default:
        break;
    }
}

static void copy_out(const char *ring, uint64_t from, void *to, size_t size)
{
    size_t start = from % THREAD_REPORTS_BUFFER,
           first = THREAD_REPORTS_BUFFER - start < size ? THREAD_REPORTS_BUFFER - start : size;
    memcpy(to, ring + start, first);
    memcpy((char *)to + first, ring, size - first);
}

/* `term` is -1 for the buffers with names. */
void thread_reports_take(struct thread_reports *reports, struct perf_event_mmap_page *page,
                         int term)
{
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
            take(reports, term, &record);
        }
        tail += size;
    }
    __atomic_store_n(&page->data_tail, head, __ATOMIC_RELEASE);
}

static int by_time(const void *a, const void *b)
{
    const struct thread_naming *one = a, *other = b;
    return one->time < other->time ? -1 : one->time > other->time;
}

static void give_names(struct thread_reports *reports)
{
    if (reports->naming_count)
        qsort(reports->namings, reports->naming_count, sizeof(*reports->namings), by_time);
    for (size_t i = 0; i < reports->naming_count; i++) {
        const struct thread_naming *naming = &reports->namings[i];
        const char *name = naming->name;
        if (!*name)
            name = follow(reports, naming->parent_pid, naming->parent_tid)->name;
        struct reported_thread *thread = follow(reports, naming->pid, naming->tid);
        if (thread->name != name)
            snprintf(thread->name, sizeof(thread->name), "%s", name);
    }
}

static int by_number(struct reported_thread *a, struct reported_thread *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

void thread_reports_finish(struct thread_reports *reports)
{
    give_names(reports);
    HASH_SORT(reports->threads, by_number);
}

void thread_reports_release(struct thread_reports *reports)
{
    struct reported_thread *thread = reports->threads, *next;
    HASH_CLEAR(hh, reports->threads);
    for (; thread; thread = next) {
        next = thread->hh.next;
        free(thread);
    }
    free(reports->namings);
    reports->namings = NULL;
    reports->naming_count = reports->naming_room = 0;
}
