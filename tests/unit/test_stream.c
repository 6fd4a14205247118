/*
 * The agent's slots and chunks, written by many threads at once and read back: nothing is lost,
 * mixed up or written twice. Built with the sanitizers, TSan among them.
 */
#include "agent/agent.h"
#include "fake_recording.h"
#include "recording/reader.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THREADS = 8, LIVES = 100, SAMPLES = 60 };

/* What agent.c defines. */
struct agent agent = {.image_fd = -1};
_Thread_local struct slot *agent_slot __attribute__((tls_model("initial-exec")));

static struct tally_control control;
static struct fake_recording *fake;

/* An image file with nothing but its header, as the recorder hands it out. */
static int start(void **state)
{
    char path[128];
    (void)state;
    fake = fake_new();
    fake_event(fake, "page-faults", 1, 0);
    fake_image(fake, 100, "python3\nprogram.py");
    fake_write(fake, false);
    snprintf(path, sizeof(path), "%s/000001.image", fake->path);
    agent.image_fd = open(path, O_RDWR | O_CLOEXEC);
    agent.image =
        mmap(NULL, TALLY_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, agent.image_fd, 0);
    assert_true(agent.image != MAP_FAILED);
    control = (struct tally_control){.counter_count = 1, .bytes_left = UINT64_MAX};
    agent.control = &control;
    agent.pid = getpid();
    slots_reset();
    assert_true(arena_init());
    return 0;
}

static int end(void **state)
{
    (void)state;
    munmap(agent.image, TALLY_HEADER_SIZE);
    close(agent.image_fd);
    fake_free(fake);
    return 0;
}

static bool write_sample(struct slot *slot, uint32_t node, uint32_t weight)
{
    struct tally_sample *record = stream_reserve(slot, sizeof(*record));
    if (!record)
        return false;
    *record = (struct tally_sample){.type = TALLY_RECORD_SAMPLE, .node = node, .weight = weight};
    stream_commit(slot, sizeof(*record));
    return true;
}

/* One life of a thread: a slot, its samples, its counts. */
static void live(uint32_t tid)
{
    struct slot *slot = slot_acquire();
    uint64_t counts[TALLY_MAX_COUNTERS] = {SAMPLES};
    assert_non_null(slot);
    slot->tid = tid;
    slot->life++;
    stream_thread(slot);
    for (uint32_t i = 0; i < SAMPLES; i++)
        assert_true(write_sample(slot, tid, i));
    stream_object_of(slot, (uint64_t)(uintptr_t)&live);
    stream_counts(slot, slot, counts);
    slot_release(slot);
}

static void *be_a_thread(void *argument)
{
    uint32_t number = *(const uint32_t *)argument;
    for (uint32_t i = 0; i < LIVES; i++)
        live(1 + number * LIVES + i);
    return NULL;
}

/* Checks one slot's stream: lives one after the other, each whole. Returns how many. */
static size_t check_slot(const struct tally_slot_stream *stream, bool *seen)
{
    uint32_t tid = 0, next = 0, life = 0;
    for (size_t i = 0; i < stream->chunk_count; i++) {
        uint32_t offset = 0, size;
        bool is_bad = false;
        const void *record;
        assert_int_equal(stream->chunks[i]->sequence, i);
        while ((record = tally_record_next(stream->chunks[i], &offset, 0, &size, &is_bad))) {
            const struct tally_sample *sample = record;
            const struct tally_counts *counts = record;
            if (sample->type == TALLY_RECORD_THREAD) {
                tid = ((const struct tally_thread *)record)->tid;
                next = 0;
            } else if (sample->type == TALLY_RECORD_SAMPLE) {
                assert_int_equal(sample->node, tid);
                assert_int_equal(sample->weight, next++);
            } else if (sample->type == TALLY_RECORD_COUNTS) {
                assert_true(next == SAMPLES && counts->tid == tid && !seen[tid]);
                assert_true(counts->slot == stream->slot && counts->life == ++life);
                seen[tid] = true;
            }
        }
        assert_false(is_bad);
    }
    return life;
}

static void test_threads(void **state)
{
    static bool seen[THREADS * LIVES + 1];
    pthread_t threads[THREADS];
    uint32_t numbers[THREADS];
    struct tally_recording *recording;
    size_t lives = 0;
    (void)state;
    for (uint32_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, be_a_thread, &numbers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tally_recording_open(&recording, fake->path), 0);
    assert_false(recording->is_damaged);
    for (size_t i = 0; i < recording->images[0].slot_count; i++)
        lives += check_slot(&recording->images[0].slots[i], seen);
    assert_int_equal(lives, THREADS * LIVES);
    tally_recording_close(recording);
}

/* One after another they share one slot, chunk and all. */
static void test_a_slot_is_used_again(void **state)
{
    (void)state;
    live(1);
    const struct slot *first = slot_first();
    for (uint32_t i = 2; i < 50; i++)
        live(i);
    assert_ptr_equal(slot_first(), first);
    assert_int_equal(first->life, 49);
    assert_int_equal(agent.image->chunk_count, 1);
}

static uint32_t write_until_full(struct slot *slot)
{
    uint32_t count = 0;
    while (count < 100000 && write_sample(slot, 0, count))
        count++;
    return count;
}

/* --max-size: chunks are paid for, and what does not fit is refused, again and again. */
static void test_bound(void **state)
{
    struct slot *slot = slot_acquire();
    const uint32_t room = (TALLY_CHUNK_SIZE - sizeof(struct tally_chunk)) / 16;
    (void)state;
    control.bytes_left = 3 * TALLY_CHUNK_SIZE + 100;
    assert_int_equal(write_until_full(slot), 3 * room);
    assert_int_equal(control.stopped, 1);
    assert_int_equal(control.bytes_left, 100);
    assert_false(write_sample(slot, 0, 0));
    assert_int_equal(agent.image->chunk_count, 3);
    slot_release(slot);
}

/* RLIMIT_FSIZE: an error that is told, and no SIGXFSZ. */
static void test_file_limit(void **state)
{
    struct rlimit before, limit;
    struct slot *slot = slot_acquire();
    (void)state;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = TALLY_HEADER_SIZE + 2 * TALLY_CHUNK_SIZE + 100;
    setrlimit(RLIMIT_FSIZE, &limit);
    uint32_t written = write_until_full(slot);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(written, 2 * ((TALLY_CHUNK_SIZE - sizeof(struct tally_chunk)) / 16));
    assert_int_equal(control.stopped, EFBIG);
    slot_release(slot);
}

static void test_arena(void **state)
{
    char *one = arena_alloc(1), *two = arena_alloc(5000);
    (void)state;
    assert_true(one && two && ((uintptr_t)one & 4095) == 0 && two == one + 4096);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(two[i], 0);
    assert_true(arena_owns((uint64_t)(uintptr_t)two + 4999));
    assert_false(arena_owns((uint64_t)(uintptr_t)&one));
    assert_null(arena_alloc((size_t)1 << 40));
}

static size_t pages_mapped(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages;
}

/* A program that limits its own address space must not pay for what the agent does not use. */
static void test_arena_takes_what_it_needs(void **state)
{
    enum { PART = 1 << 20, PARTS = 40 };
    char *parts[PARTS];
    (void)state;
    arena_reset();
    size_t before = pages_mapped() * (size_t)getpagesize();
    for (int i = 0; i < PARTS; i++) {
        parts[i] = arena_alloc(PART);
        assert_non_null(parts[i]);
        memset(parts[i], i + 1, PART);
    }
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(parts[i][PART - 1], i + 1);
        assert_true(arena_owns((uint64_t)(uintptr_t)parts[i]));
    }
    assert_true(pages_mapped() * (size_t)getpagesize() - before <= (size_t)2 * PARTS * PART);
    arena_reset();
    assert_false(arena_owns((uint64_t)(uintptr_t)parts[0]));
    assert_true(pages_mapped() * (size_t)getpagesize() - before < PART);
}

#define ON_IMAGE(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_IMAGE(test_threads), ON_IMAGE(test_a_slot_is_used_again),
        ON_IMAGE(test_bound),   ON_IMAGE(test_file_limit),
        ON_IMAGE(test_arena),   ON_IMAGE(test_arena_takes_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
