/* asyncio's tasks in a memory made by hand, whole and then hostile; and what is made of them. */
#include "python/tasks.h"
#include "recording/watch_tasks.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The memory: addresses from BASE; what lies elsewhere cannot be viewed. */
enum { BASE = 0x10000, SIZE = 0x8000, FRAMES = 16, ROOM = 8 };
static unsigned char bytes[SIZE];
static uint64_t views;

/* Where things are. */
enum {
    RUNTIME = BASE,
    TSTATE = BASE + 0x400,
    LOOP = BASE + 0x800,
    OTHER_LOOP = BASE + 0x810,
    TYPES = BASE + 0x1000,   /* 0x100 each */
    NAMES = BASE + 0x2000,   /* 0x20 each */
    TASKS = BASE + 0x3000,   /* 0x100 each */
    OBJECTS = BASE + 0x5000, /* 0x100 each */
    STACKS = BASE + 0x7000,  /* 0x20 each */
};

/* Sizes and offsets in it, of no version of CPython. */
enum {
    TASK_SIZE = 128,
    AWAITED_BY = 32,
    IS_TASK = 40,
    BY_SEVERAL = 41,
    COROUTINE = 48,
    NODE = 64,
    INTERPRETER = 5000,
    THREAD = 512,
    THREAD_BASE = 400,
    THREAD_LOOP = 408,
    THREAD_TASK = 416,
    THREAD_TASKS = 424,
    TYPE_NAME = 24,
    TYPE_FLAGS = 40,
    SET_TABLE = 32,
    SET_MASK = 24,
    FRAME = 40,
    STATE = 36,
    STACK = 64,
};

static const struct py_task_offsets offsets = {
    TASK_SIZE,   16, AWAITED_BY, IS_TASK,     BY_SEVERAL,  COROUTINE,   NODE,
    INTERPRETER, 24, THREAD,     THREAD_LOOP, THREAD_TASK, THREAD_TASKS};

static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    static unsigned char copy[PY_VIEW_MAX]; /* so that sanitizers see what is read too far */
    (void)memory;
    views++;
    assert_true(size <= PY_VIEW_MAX);
    if (address < BASE || address > BASE + SIZE - size)
        return NULL;
    memset(copy, 0xa5, sizeof(copy));
    return memcpy(copy, bytes + (address - BASE), size);
}

static struct py_memory memory = {view};

static void put(uint64_t address, uint64_t word)
{
    memcpy(bytes + (address - BASE), &word, sizeof(word));
}

static const struct py_layout *layout_of(uint32_t version)
{
    char reason[PY_REASON_SIZE];
    return py_layout_find(version << 16, NULL, 0, reason);
}

enum { T_COROUTINE, T_WRAPPER, T_ITERATOR, T_FUTURE, T_TASK, T_GATHER, T_LIKE, T_TYPES };

static uint64_t type_at(int type)
{
    return TYPES + (uint64_t)type * 0x100;
}

static uint64_t task_at(int task)
{
    return TASKS + (uint64_t)task * 0x100;
}

static uint64_t object_at(int object)
{
    return OBJECTS + (uint64_t)object * 0x100;
}

static void put_types(void)
{
    static const char *const names[T_TYPES] = {
        "coroutine",       "coroutine_wrapper", "_asyncio.FutureIter",
        "_asyncio.Future", "_asyncio.Task",     "_GatheringFuture",
        "coroutine"};
    for (int i = 0; i < T_TYPES; i++) {
        uint64_t name = NAMES + (uint64_t)i * 0x20;
        put(type_at(i) + TYPE_NAME, name);
        put(type_at(i) + TYPE_FLAGS, i >= T_ITERATOR ? 1 << 9 : 0); /* made at run time */
        memcpy(bytes + (name - BASE), names[i], strlen(names[i]) + 1);
    }
}

static void put_future(uint64_t at, int type, uint64_t loop, uint64_t awaited_by)
{
    put(at + 8, type_at(type));
    put(at + 16, loop);
    put(at + AWAITED_BY, awaited_by);
    bytes[at + IS_TASK - BASE] = type == T_TASK;
    bytes[at + BY_SEVERAL - BASE] = 0;
}

/* A ring of tasks after the thread's head. */
static void put_tasks(int count)
{
    uint64_t head = TSTATE + THREAD_TASKS, before = head;
    for (int i = 0; i < count; i++) {
        uint64_t node = task_at(i) + NODE;
        put_future(task_at(i), T_TASK, LOOP, 0);
        put(task_at(i) + COROUTINE, object_at(i));
        put(before, node);
        put(node + 8, before);
        before = node;
    }
    put(before, head);
    put(head + 8, before);
}

/* A coroutine of this code that awaits an object; `depth` as in the version's stack. */
static void put_coroutine(int object, uint64_t code, uint64_t awaited, uint8_t state,
                          const struct py_layout *layout, int depth)
{
    uint64_t at = object_at(object), stack = STACKS + (uint64_t)object * 0x20 + 0x10;
    put(at + 8, type_at(T_COROUTINE));
    put(at + FRAME + layout->frame_code, code);
    put(at + FRAME + layout->frame_ip, code + layout->code_start + 6);
    put(at + FRAME + STACK, stack);
    put(stack - 8 * (uint64_t)depth, awaited | 1); /* tagged */
    bytes[at + STATE - BASE] = state;
}

static void put_runtime(uint32_t version, const struct py_layout *layout)
{
    int frame = version == 0x030e ? 31 : 39, type = version == 0x030e ? 52 : 60;
    int set = version == 0x030e ? 62 : 74, coroutine = version == 0x030e ? 83 : 99;
    const struct {
        int word, value;
    } words[] = {{6, INTERPRETER},
                 {layout->debug_tstate, THREAD_BASE},
                 {frame, 88},
                 {frame + 6, STACK},
                 {type, 256},
                 {type + 1, TYPE_NAME},
                 {type + 3, TYPE_FLAGS},
                 {set, 64},
                 {set + 2, SET_TABLE},
                 {set + 3, SET_MASK},
                 {coroutine, 200},
                 {coroutine + 2, FRAME},
                 {coroutine + 3, STATE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        put(RUNTIME + 8 * (uint64_t)words[i].word, (uint64_t)words[i].value);
}

static struct py_tasks tasks;

static const struct py_layout *make(uint32_t version, int count)
{
    const struct py_layout *layout = layout_of(version);
    memset(bytes, 0, sizeof(bytes));
    put_runtime(version, layout);
    put_types();
    put(TSTATE + THREAD_LOOP, LOOP);
    put_tasks(count);
    assert_true(py_tasks_init(&tasks, layout, &memory, RUNTIME, &offsets));
    return layout;
}

static void test_offsets(void **state)
{
    (void)state;
    make(0x030e, 0);
    assert_false(py_tasks_init(&tasks, layout_of(0x030d), &memory, RUNTIME, &offsets));
    for (size_t i = 0; i < sizeof(offsets) / 8; i++) {
        struct py_task_offsets wrong = offsets;
        memset((char *)&wrong + i * 8, 0x7f, 8);
        bool is_used = i != 1 && i != 8; /* the task's name, the interpreter's own list */
        assert_int_equal(py_tasks_init(&tasks, layout_of(0x030e), &memory, RUNTIME, &wrong),
                         !is_used);
    }
    assert_false(py_tasks_init(&tasks, layout_of(0x030e), &memory, 0, &offsets));
}

static void test_listing(void **state)
{
    struct py_task found[ROOM];
    uint64_t cursor = 0;
    bool is_all;
    (void)state;
    make(0x030e, 5);
    assert_int_equal(py_tasks_idle_loop(&tasks, TSTATE), LOOP);
    assert_int_equal(py_tasks_list(&tasks, TSTATE, LOOP, &cursor, found, ROOM, &is_all), 5);
    assert_true(is_all);
    for (int i = 0; i < 5; i++)
        assert_int_equal(found[i].address, task_at(i));
    assert_int_equal(py_tasks_list(&tasks, TSTATE, OTHER_LOOP, &cursor, found, ROOM, &is_all), 0);
    put(TSTATE + THREAD_TASK, task_at(0));
    assert_int_equal(py_tasks_idle_loop(&tasks, TSTATE), 0);
}

/* In turns, each task is listed as often as the others. */
static void test_listing_in_turns(void **state)
{
    struct py_task found[ROOM];
    unsigned seen[14] = {0};
    uint64_t cursor = 0;
    bool is_all = true;
    (void)state;
    make(0x030e, 14);
    for (int turn = 0; turn < 7; turn++) {
        assert_int_equal(py_tasks_list(&tasks, TSTATE, LOOP, &cursor, found, ROOM, &is_all), ROOM);
        assert_false(is_all);
        for (int i = 0; i < ROOM; i++)
            seen[(found[i].address - TASKS) / 0x100]++;
    }
    for (int i = 0; i < 14; i++)
        assert_int_equal(seen[i], 7 * ROOM / 14);
    /* The task that it would go on after is gone: it begins anew. */
    bytes[cursor - NODE + IS_TASK - BASE] = 0;
    py_tasks_list(&tasks, TSTATE, LOOP, &cursor, found, 1, &is_all);
    assert_int_equal(found[0].address, task_at(0));
}

static void test_frames(void **state)
{
    static const struct {
        uint32_t version;
        int first, depth;
    } of[] = {{0x030e, -3, 1}, {0x030f, 0, 2}};
    struct py_frame frames[FRAMES];
    struct py_awaited awaited;
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct py_layout *layout = make(of[i].version, 2);
        uint8_t awaits = (uint8_t)(of[i].first + 2);
        /* The task's coroutine, a wrapper, another coroutine, a future of the second task. */
        put_coroutine(0, 0x500000, object_at(2), awaits, layout, of[i].depth);
        put(object_at(2) + 8, type_at(T_WRAPPER));
        put(object_at(2) + 16, object_at(3));
        put_coroutine(3, 0x600000, object_at(4), awaits, layout, of[i].depth);
        put(object_at(4) + 8, type_at(T_ITERATOR));
        put(object_at(4) + 16, task_at(1));
        assert_int_equal(py_task_frames(&tasks, object_at(0), frames, FRAMES, &awaited), 2);
        assert_int_equal(frames[0].code, 0x600000);
        assert_int_equal(frames[1].code, 0x500000);
        assert_int_equal(frames[1].instruction, 3);
        assert_int_equal(awaited.kind, PY_AWAITED_TASK);
        assert_int_equal(awaited.future, task_at(1));
        put_future(object_at(5), T_GATHER, LOOP, 0);
        put(object_at(4) + 16, object_at(5));
        py_task_frames(&tasks, object_at(0), frames, FRAMES, &awaited);
        assert_int_equal(awaited.kind, PY_AWAITED_GATHER);
        assert_int_equal(py_task_frames(&tasks, object_at(0), frames, 1, &awaited), 0);
        /* A class of the program's that is called like the built-in one is not taken for it. */
        put(object_at(3) + 8, type_at(T_LIKE));
        assert_int_equal(py_task_frames(&tasks, object_at(0), frames, FRAMES, &awaited), 1);
        bytes[object_at(0) + STATE - BASE] = (uint8_t)(of[i].first + 3); /* it runs */
        assert_int_equal(py_task_frames(&tasks, object_at(0), frames, FRAMES, &awaited), 0);
    }
}

static void test_awaiters(void **state)
{
    struct py_task task;
    uint64_t found[4];
    (void)state;
    make(0x030e, 3);
    assert_true(py_task_read(&tasks, task_at(0), LOOP, &task));
    assert_int_equal(py_task_awaiters(&tasks, &task, found, 4), 0);
    put_future(object_at(9), T_GATHER, LOOP, task_at(2)); /* between the two */
    put(task_at(0) + AWAITED_BY, object_at(9));
    assert_true(py_task_read(&tasks, task_at(0), LOOP, &task));
    assert_int_equal(py_task_awaiters(&tasks, &task, found, 4), 1);
    assert_int_equal(found[0], task_at(2));
    /* A set of two, with an entry that was removed. */
    put(object_at(8) + SET_TABLE, object_at(10));
    put(object_at(8) + SET_MASK, 7);
    put(object_at(10) + 16, task_at(1));
    put(object_at(10) + 32, task_at(1));
    put(object_at(10) + 40, UINT64_MAX);
    put(object_at(10) + 112, task_at(2));
    put(task_at(0) + AWAITED_BY, object_at(8));
    bytes[task_at(0) + BY_SEVERAL - BASE] = 1;
    assert_true(py_task_read(&tasks, task_at(0), LOOP, &task));
    assert_int_equal(py_task_awaiters(&tasks, &task, found, 4), 2);
    assert_int_equal(found[0], task_at(1));
    assert_int_equal(found[1], task_at(2));
    assert_int_equal(py_task_awaiters(&tasks, &task, found, 1), 1);
}

/* Whatever is read while the program runs on: bounded work, and nothing outside the memory. */
static void test_torn_memory(void **state)
{
    enum { ROUNDS = 20000, WRONG = 6, MOST_VIEWS = 4000 };
    static unsigned char whole[SIZE];
    (void)state;
    const struct py_layout *layout = make(0x030e, 8);
    for (int i = 0; i < 8; i++)
        put_coroutine(i, 0x500000, object_at((i + 1) % 8), (uint8_t)-1, layout, 1);
    memcpy(whole, bytes, sizeof(whole));
    srand(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct py_task found[ROOM];
        struct py_frame frames[FRAMES];
        struct py_awaited awaited;
        uint64_t awaiters[4], cursor = round % 2 ? task_at(rand() % 8) + NODE : 0;
        bool is_all;
        memcpy(bytes, whole, sizeof(bytes));
        for (int i = 0; i < WRONG; i++)
            put(BASE + 8 * (uint64_t)(rand() % (SIZE / 8)), BASE + 8 * (uint64_t)(rand() % 4096));
        views = 0;
        size_t count = py_tasks_list(&tasks, TSTATE, LOOP, &cursor, found, ROOM, &is_all);
        assert_true(count <= ROOM);
        for (size_t i = 0; i < count; i++) {
            assert_true(py_task_frames(&tasks, found[i].coroutine, frames, FRAMES, &awaited) <=
                        FRAMES);
            assert_true(py_task_awaiters(&tasks, &found[i], awaiters, 4) <= 4);
        }
        assert_true(views < MOST_VIEWS);
    }
}

/* The parts of a wait sum to it, whatever it is divided by. */
static void test_division(void **state)
{
    static const uint64_t durations[] = {1, 7, 5000001, UINT64_C(3600000000007)};
    char folder[] = "/tmp/tally-tasks-XXXXXX";
    uint64_t bytes_left = UINT64_MAX, room = TALLY_HEADER_SIZE + TALLY_CHUNK_SIZE;
    (void)state;
    assert_non_null(mkdtemp(folder));
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    for (size_t d = 0; d < sizeof(durations) / sizeof(durations[0]); d++) {
        struct tally_division division = {
            .tasks = 10, .taken = 7, .count = 3, .parts = {{20, 1}, {21, 4}, {22, 2}}};
        struct tally_wait wait = {.type = TALLY_RECORD_WAIT,
                                  .state = TALLY_STATE_POLL,
                                  .begin_ns = 1000,
                                  .duration_ns = durations[d]};
        struct tally_waits *waits = tally_waits_open(directory, 1, 10, &bytes_left);
        tally_division_put(&division, &wait, waits);
        tally_waits_close(waits);
        int fd = openat(directory, "000001.waits", O_RDONLY);
        const char *file = mmap(NULL, room, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(file, MAP_FAILED);
        const struct tally_chunk *chunk = (const void *)(file + TALLY_HEADER_SIZE);
        const struct tally_await *parts = (const void *)(chunk + 1);
        assert_int_equal(chunk->used, 3 * sizeof(*parts));
        uint64_t at = 1000, tasks_all = 0;
        for (int i = 0; i < 3; i++) {
            assert_int_equal(parts[i].wait.begin_ns, at);
            assert_int_equal(parts[i].goes_on, i > 0);
            at += parts[i].wait.duration_ns;
            tasks_all += parts[i].tasks;
        }
        assert_int_equal(at, 1000 + durations[d]);
        assert_true(tasks_all <= 10);
        if (durations[d] > 7)
            assert_true(parts[1].wait.duration_ns / 4 - parts[0].wait.duration_ns <= 1);
        munmap((void *)(uintptr_t)file, room);
        close(fd);
        unlinkat(directory, "000001.waits", 0);
    }
    close(directory);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets),          cmocka_unit_test(test_listing),
        cmocka_unit_test(test_listing_in_turns), cmocka_unit_test(test_frames),
        cmocka_unit_test(test_awaiters),         cmocka_unit_test(test_torn_memory),
        cmocka_unit_test(test_division)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
