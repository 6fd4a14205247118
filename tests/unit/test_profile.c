/*
 * From records to numbers: every count lands in one cell, and the cells of an event sum to the
 * run's total.
 */
#include "base/buffer.h"
#include "fake_recording.h"
#include "profile/profile.h"
#include "profile/view.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define MAIN "/home/user/program.py"
#define JSON "/usr/lib/python3.11/json/decoder.py"

struct opened {
    struct tally_recording *recording;
    struct tally_profile *profile;
    struct tally_view view;
};

static void open_profile(struct opened *opened, struct fake_recording *fake,
                         enum tally_view_kind kind)
{
    *opened = (struct opened){0};
    fake_write(fake, true);
    assert_int_equal(tally_recording_open(&opened->recording, fake->path), 0);
    opened->profile = tally_profile_new(opened->recording, false, NULL, NULL);
    tally_view_make(&opened->view, kind, opened->profile, NULL, 0);
}

static void close_profile(struct opened *opened, struct fake_recording *fake)
{
    tally_view_release(&opened->view);
    tally_profile_free(opened->profile);
    tally_recording_close(opened->recording);
    fake_free(fake);
}

static void view_by(struct opened *opened, enum tally_view_kind kind)
{
    tally_view_release(&opened->view);
    tally_view_make(&opened->view, kind, opened->profile, NULL, 0);
}

/* Writes it anew after a change. */
static void view_again(struct opened *opened, struct fake_recording *fake)
{
    tally_view_release(&opened->view);
    tally_profile_free(opened->profile);
    tally_recording_close(opened->recording);
    open_profile(opened, fake, TALLY_VIEW_FUNCTION);
}

/* The row of that function, or in views that have none of that process, thread or module. */
static const struct tally_row *find_row(const struct opened *opened, const char *name,
                                        uint32_t line)
{
    for (size_t i = 0; i < opened->view.row_count; i++) {
        const struct tally_row *row = &opened->view.rows[i];
        const char *shown = row->function ? row->function
                            : row->thread ? row->thread
                            : row->module ? row->module
                                          : row->process;
        if (!strcmp(shown, name) && (!line || row->line == line))
            return row;
    }
    return NULL;
}

static const struct tally_row *row_of(const struct opened *opened, const char *name)
{
    const struct tally_row *row = find_row(opened, name, 0);
    assert_non_null(row);
    return row;
}

static double self_of(const struct opened *opened, const char *name, size_t event)
{
    const struct tally_row *row = find_row(opened, name, 0);
    return row ? row->values[event].self : 0;
}

static double inclusive_of(const struct opened *opened, const char *name)
{
    return row_of(opened, name)->values[0].inclusive;
}

static void assert_sums_close(struct opened *opened)
{
    for (int kind = TALLY_VIEW_FUNCTION; kind < TALLY_VIEW_NATIVE; kind++) {
        view_by(opened, (enum tally_view_kind)kind);
        for (size_t e = 0; e < opened->profile->event_count; e++) {
            double sum = 0;
            for (size_t i = 0; i < opened->view.row_count; i++)
                sum += opened->view.rows[i].values[e].self;
            assert_true(sum == (double)opened->profile->run->events[e].total);
        }
    }
    view_by(opened, TALLY_VIEW_FUNCTION);
}

/* main (1) calls load of json (2) at line 3 and itself again at line 5. */
static struct fake_image *start(struct fake_recording **fake, uint64_t total)
{
    *fake = fake_new();
    fake_event(*fake, "page-faults", 1, total);
    struct fake_image *image = fake_image(*fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_code(image, 0, 2, "load", JSON, 10);
    fake_node(image, 0, 0, 0, 1, 2);
    fake_node(image, 0, 1, fake_id(0), 2, 0);
    fake_node(image, 0, 2, fake_id(0), 1, 4);
    fake_node(image, 0, 3, fake_id(2), 2, 1);
    return image;
}

static void test_functions_and_lines(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 7);
    fake_sample(image, 0, 0, fake_id(1), 10);
    fake_sample(image, 0, 0, fake_id(1), 20);
    fake_sample(image, 0, 0, fake_id(3), 3);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "main", 0) == 7 && self_of(&opened, "load", 0) == 33);
    assert_true(inclusive_of(&opened, "main") == 40 && inclusive_of(&opened, "load") == 33);
    assert_int_equal(row_of(&opened, "load")->values[0].samples, 3);
    assert_string_equal(row_of(&opened, "load")->file, JSON);
    assert_string_equal(row_of(&opened, "load")->module, "json.decoder");
    assert_string_equal(row_of(&opened, "main")->module, "__main__");
    assert_int_equal(row_of(&opened, "load")->line, 10);
    view_by(&opened, TALLY_VIEW_LINE);
    assert_true(find_row(&opened, "load", 10)->values[0].self == 30);
    assert_true(find_row(&opened, "load", 11)->values[0].self == 3);
    assert_true(find_row(&opened, "main", 3)->values[0].inclusive == 40);
    assert_true(find_row(&opened, "main", 5)->values[0].inclusive == 3);
    view_by(&opened, TALLY_VIEW_MODULE);
    assert_true(self_of(&opened, "json.decoder", 0) == 33);
    assert_true(inclusive_of(&opened, "__main__") == 40);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_recursion_is_counted_once(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 1000);
    struct opened opened;
    (void)state;
    /* main at the same line, 50 deep, then load */
    for (uint32_t i = 4; i < 54; i++)
        fake_node(image, 0, i, i == 4 ? 0 : fake_id(i - 1), 1, 4);
    fake_node(image, 0, 54, fake_id(53), 2, 0);
    fake_sample(image, 0, 0, fake_id(54), 5);
    fake_sample(image, 0, 0, fake_id(53), 2);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(inclusive_of(&opened, "main") == 7 && self_of(&opened, "main", 0) == 2);
    view_by(&opened, TALLY_VIEW_LINE);
    assert_true(find_row(&opened, "main", 5)->values[0].inclusive == 7);
    view_by(&opened, TALLY_VIEW_MODULE);
    assert_true(inclusive_of(&opened, "__main__") == 7);
    close_profile(&opened, fake);
}

static void test_exact_counts_have_no_interval(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 30);
    struct opened opened;
    (void)state;
    for (int i = 0; i < 20; i++)
        fake_sample(image, 0, 0, fake_id(i % 2), 1);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    const struct tally_row_value *value = &row_of(&opened, "main")->values[0];
    assert_true(value->is_exact && value->low == 10 && value->high == 10);
    close_profile(&opened, fake);
}

static void test_sampled_counts_have_one(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "task-clock", 1000, 110000);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "one", MAIN, 1);
    fake_code(image, 0, 2, "two", MAIN, 9);
    fake_node(image, 0, 0, 0, 1, 0);
    fake_node(image, 0, 1, 0, 2, 0);
    for (int i = 0; i < 100; i++)
        fake_sample(image, 0, 0, fake_id(i >= 40), 1000);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    const struct tally_row_value *value = &row_of(&opened, "one")->values[0];
    assert_true(value->self == 40000 && value->has_interval && !value->is_exact);
    /* Wilson's interval for 40 of 100 is 0.3094 to 0.4980. */
    assert_true(value->low > 30930 && value->low < 30950);
    assert_true(value->high > 49790 && value->high < 49810);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 10000);
    assert_true(row_of(&opened, "[start-up and exit]")->values[0].is_exact);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_wide_weights(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, UINT64_C(1) << 41);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), UINT64_C(1) << 40);
    fake_sample(image, 0, 0, fake_id(1), UINT32_MAX);
    fake_sample(image, 0, 0, fake_id(1), (uint64_t)UINT32_MAX + 1);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "main", 0) == 0x1p40);
    assert_true(self_of(&opened, "load", 0) == 0x1p33 - 1);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_counts_read_along(void **state)
{
    struct fake_recording *fake = fake_new();
    const uint64_t extra[] = {7, 9}, none[] = {0, 0};
    struct opened opened;
    (void)state;
    fake_event(fake, "task-clock", 1000, UINT64_C(5000005000));
    fake_event(fake, "page-faults", 0, 10);
    fake_event(fake, "context-switches", 1, 4);
    fake_event(fake, "cpu-migrations", 0, 9);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_node(image, 0, 0, 0, 1, 0);
    fake_sample_reading(image, 0, fake_id(0), 5000, extra, 2);
    fake_sample_reading(image, 0, fake_id(0), UINT64_C(5000000000), none, 2); /* a wide one */
    fake_sample(image, 0, 2, fake_id(0), 3); /* not of the sample clock: nothing follows */
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    const struct tally_row *row = row_of(&opened, "main");
    assert_true(row->values[0].self == 5000005000.0 && row->values[1].self == 7);
    assert_true(row->values[2].self == 3 && row->values[3].self == 9);
    assert_true(row->values[0].has_interval && !row->values[1].has_interval);
    assert_int_equal(row->values[0].samples, 2);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* Threads one after another in a slot, which keeps its nodes; and one that names itself late. */
static void test_threads_use_a_slot_again(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_thread(image, 0, 100, "python3");
    fake_sample(image, 0, 0, fake_id(1), 10);
    fake_thread(image, 0, 201, "worker");
    fake_sample(image, 0, 0, fake_id(1), 20);
    fake_thread(image, 0, 202, "python3");
    fake_sample(image, 0, 0, fake_id(3), 30);
    fake_thread(image, 0, 202, "late name");
    fake_sample(image, 0, 0, fake_id(0), 1);
    open_profile(&opened, fake, TALLY_VIEW_THREAD);
    assert_true(self_of(&opened, "201 worker", 0) == 20);
    assert_true(self_of(&opened, "202 late name", 0) == 31);
    assert_true(self_of(&opened, "100 python3", 0) == 10 + 39); /* start-up and exit too */
    assert_string_equal(row_of(&opened, "201 worker")->process, "100 python3");
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* Numbers of nodes belong to their slot, those of code to the image; code may come later. */
static void test_slots_share_code(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_node(image, 1, 0, 0, 2, 3);
    fake_sample(image, 1, 0, fake_id(0), 5);
    fake_sample(image, 0, 0, fake_id(0), 6);
    fake_node(image, 1, 1, 0, 3, 0);
    fake_sample(image, 1, 0, fake_id(1), 9);
    fake_code(image, 2, 3, "last", MAIN, 40);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "load", 0) == 5 && self_of(&opened, "main", 0) == 6);
    assert_true(self_of(&opened, "last", 0) == 9);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_unknown_nodes_and_code_are_lost(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(77), 1);
    fake_sample(image, 0, 0, UINT32_MAX, 2);
    fake_sample(image, 0, 0, TALLY_NODE_LOST, 4);
    fake_sample(image, 0, 0, TALLY_NODE_FIRST - 1, 8);
    fake_node(image, 0, 4, 0, 99, 0); /* code that no chunk defines */
    fake_sample(image, 0, 0, fake_id(4), 16);
    fake_sample(image, 0, 99, fake_id(0), 1000); /* no such counter */
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[lost]", 0) == 31);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 69);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_bracketed_nodes(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 50);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, TALLY_NODE_STARTUP, 1);
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 2);
    fake_sample(image, 0, 0, TALLY_NODE_TALLYSTACK, 3);
    fake_node(image, 0, 4, TALLY_NODE_TRUNCATED, 1, 0);
    fake_sample(image, 0, 0, fake_id(4), 4);
    image = fake_image(fake, 200, "/usr/bin/tool");
    image->header.python = 0;
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 5);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 1 + 35);
    assert_true(self_of(&opened, "[native thread]", 0) == 2);
    assert_true(self_of(&opened, "[tallystack]", 0) == 3);
    assert_true(self_of(&opened, "[native program]", 0) == 5);
    assert_true(inclusive_of(&opened, "[deeper frames]") == 4);
    assert_true(self_of(&opened, "[deeper frames]", 0) == 0);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* A thread counted 60 to its end and wrote samples of 50; an earlier record of it holds less. */
static void test_what_was_not_written_is_lost(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 50);
    fake_counts(image, 0, 0, 1, 100, (const uint64_t[]){40}, 1);
    fake_counts(image, 1, 0, 1, 100, (const uint64_t[]){60}, 1); /* by another thread, the last */
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[lost]", 0) == 10 && opened.profile->lost[0] == 10);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 40);
    assert_int_equal(opened.profile->handler_calls, 10);
    assert_true(opened.profile->handler_ns == 1000);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* Two lives of a slot add up. */
static void test_lives_add_up(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 50);
    fake_counts(image, 0, 0, 1, 101, (const uint64_t[]){40}, 1);
    fake_counts(image, 0, 0, 2, 102, (const uint64_t[]){30}, 1);
    fake_counts(image, 1, 1, 1, 103, (const uint64_t[]){5}, 1);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[lost]", 0) == 25);
    assert_int_equal(opened.profile->handler_calls, 30);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* What the agent says it could not write is lost, and of the rest what is more than a period. */
static void test_no_end_is_longer_than_a_period(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "task-clock", 1000, 9000);
    fake_event(fake, "page-faults", 0, 10000);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    image->header.lost[0] = 1000;
    fake_sample_reading(image, 0, TALLY_NODE_NATIVE, 2000, (const uint64_t[]){10}, 1);
    fake_counts(image, 0, 0, 1, 100, (const uint64_t[]){4000, 5000}, 2);
    fake_counts(image, 0, 0, 2, 101, (const uint64_t[]){3000, 4000}, 2);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    /* 7000 were counted; two threads may have ended before their next sample. */
    assert_true(self_of(&opened, "[lost]", 0) == 1000 + 2000);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 9000 - 2000 - 3000);
    assert_true(self_of(&opened, "[lost]", 1) == 0);
    assert_sums_close(&opened);
    image->header.longest_period_us = 2; /* 2 x 2000 */
    view_again(&opened, fake);
    assert_true(self_of(&opened, "[lost]", 0) == 1000);
    close_profile(&opened, fake);
}

/* An event that the kernel throttles beyond 100 overflows a tick, and one that it does not. */
static struct fake_image *throttled(struct fake_recording **fake, uint32_t busiest)
{
    *fake = fake_new();
    fake_event(*fake, "cycles", 1000, 500000);
    fake_event(*fake, "page-faults", 1, 300);
    (*fake)->run.events[0].event.source = TALLY_SOURCE_HARDWARE;
    (*fake)->run.tick_samples = 100;
    struct fake_image *image = fake_image(*fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_node(image, 0, 0, 0, 1, 2);
    for (int i = 0; i < 60; i++)
        fake_sample(image, 0, 0, fake_id(0), 1000);
    for (int i = 0; i < 40; i++)
        fake_sample(image, 0, 1, fake_id(0), 1);
    image->header.counted[0] = 7000; /* by then, as the recorder knows */
    image->header.counted[1] = 200;
    image->header.busiest[0] = busiest;
    image->header.busiest[1] = 40;
    return image;
}

/* Two of the agent's ticks cover one of the kernel's: half as many in one are no proof. */
static void test_up_to_half_of_what_is_let_through_nothing_is_throttled(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 50)->header.busiest[1] = 1000; /* page faults are never */
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.profile->gaps, 0);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 440000);
    assert_true(self_of(&opened, "[lost]", 0) == 0);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* The rest of the group stands still, too; of the ends of processes nothing is known then. */
static void test_what_was_throttled_is_lost(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 51);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.profile->gaps, TALLY_GAP_THROTTLED);
    assert_true(self_of(&opened, "main", 0) == 60000 && self_of(&opened, "main", 1) == 40);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 7000);
    assert_true(self_of(&opened, "[lost]", 0) == 433000);
    assert_true(opened.profile->unsampled[0] == 433000 && opened.profile->lost[0] == 433000);
    assert_true(self_of(&opened, "[start-up and exit]", 1) == 200);
    assert_true(self_of(&opened, "[lost]", 1) == 60);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* main may have had all that is lost, or nothing of it. */
static void test_losses_widen_the_intervals(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 51);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    const struct tally_row_value *values = row_of(&opened, "main")->values;
    assert_true(values[0].low <= 60000 && values[0].high >= 60000 + 433000);
    assert_true(values[1].low == 40 && values[1].high == 40 + 60);
    assert_false(values[1].is_exact);
    assert_true(row_of(&opened, "[lost]")->values[1].is_exact);
    assert_true(row_of(&opened, "[start-up and exit]")->values[1].high == 200);
    close_profile(&opened, fake);
}

/* Programs without an agent cannot be told from what was throttled; other processes can. */
static void test_throttled_beside_other_processes(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 5000)->header.state = TALLY_IMAGE_SAMPLING; /* killed */
    struct fake_image *image = fake_image(fake, 200, "python3\nother.py");
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 10000);
    fake->run.has_foreign = true;
    open_profile(&opened, fake, TALLY_VIEW_PROCESS);
    assert_true(self_of(&opened, "200 python3", 0) == 10000);
    assert_true(self_of(&opened, "100 python3", 0) == 490000);
    view_by(&opened, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[lost]", 0) == 423000);
    assert_true(self_of(&opened, "[no agent]", 0) == 0);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* Time goes on while a clock is throttled, but what its group would have counted is lost. */
static void test_time_is_not_lost(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "task-clock", 1000, 90000);
    fake_event(fake, "page-faults", 1, 50);
    fake->run.tick_samples = 1;
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 80000);
    fake_sample(image, 0, 1, TALLY_NODE_NATIVE, 1);
    image->header.busiest[0] = 1;
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 10000);
    assert_true(self_of(&opened, "[lost]", 0) == 0 && self_of(&opened, "[lost]", 1) == 49);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* CPU timers come with the kernel's ticks, and a simulated machine has none to throttle. */
static void test_timers_are_not_throttled(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 5000)->header.is_clock = 1;
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.profile->gaps, 0);
    close_profile(&opened, fake);
}

/* Threads without counters, and counters that waited for a place on the processor. */
static void test_other_gaps(void **state)
{
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    throttled(&fake, 1)->header.unsampled_threads = 1;
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.profile->gaps, TALLY_GAP_THREADS);
    assert_true(self_of(&opened, "[lost]", 0) == 433000);
    close_profile(&opened, fake);
    throttled(&fake, 1)->header.has_waited = 1;
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.profile->gaps, TALLY_GAP_WAITED);
    assert_true(self_of(&opened, "[lost]", 1) == 60);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* A clock's unfinished last period is no loss; what the agent says it could not write is. */
static void test_losses_of_sampled_events(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "task-clock", 1000, 5000);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    image->header.lost[0] = 1000;
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 2000);
    fake_counts(image, 0, 0, 1, 100, (const uint64_t[]){3999}, 1);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[lost]", 0) == 1000);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 2000);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_programs_without_an_agent(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake->run.has_foreign = true;
    image->header.before[0] = 15;
    fake_sample(image, 0, 0, fake_id(0), 50);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 15);
    assert_true(self_of(&opened, "[no agent]", 0) == 35);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

static void test_unsupported_interpreters(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 50);
    image = fake_image(fake, 300, "python3.10\n-c");
    image->header.state = TALLY_IMAGE_UNSUPPORTED;
    image->header.python = 0x030a0df0;
    image->header.before[0] = 5;
    image->header.after[0] = 25;
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[Python 3.10 unsupported]", 0) == 20);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 30);
    assert_string_equal(opened.profile->python, "3.11.2, 3.10.13");
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* A damaged recording lost what is missing; it did not start slowly. */
static void test_what_damage_took_is_lost(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 10000);
    struct opened opened;
    (void)state;
    for (int i = 0; i < 9000; i++)
        fake_sample(image, 0, 0, fake_id(0), 1);
    fake_write(fake, true);
    fake_change(fake, "000001.image", TALLY_HEADER_SIZE + TALLY_CHUNK_SIZE + 8000);
    opened = (struct opened){0};
    assert_int_equal(tally_recording_open(&opened.recording, fake->path), 0);
    opened.profile = tally_profile_new(opened.recording, false, NULL, NULL);
    tally_view_make(&opened.view, TALLY_VIEW_FUNCTION, opened.profile, NULL, 0);
    double kept = self_of(&opened, "main", 0);
    assert_true(kept < 9000 && self_of(&opened, "[lost]", 0) == 10000 - kept);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 0);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* A slot's first block never reached the disk, with no seal to tell. */
static void test_a_missing_block_is_told(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 10000);
    struct opened opened = {0};
    (void)state;
    for (int i = 0; i < 9000; i++)
        fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 1);
    memset(image->chunks, 0, TALLY_CHUNK_SIZE);
    fake_write(fake, false);
    assert_int_equal(tally_recording_open(&opened.recording, fake->path), 0);
    assert_false(opened.recording->is_damaged);
    opened.profile = tally_profile_new(opened.recording, false, NULL, NULL);
    tally_view_make(&opened.view, TALLY_VIEW_FUNCTION, opened.profile, NULL, 0);
    assert_true(opened.recording->is_damaged);
    assert_string_equal(opened.recording->notes[1], "a block of samples is missing.");
    assert_true(self_of(&opened, "[lost]", 0) == 10000 - self_of(&opened, "[native thread]", 0));
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* Clocks from accounts are rounded: samples may sum to more than the total, which is told. */
static void test_excess(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 40);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 50);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(opened.profile->excess[0] == 10);
    assert_true(tally_profile_total(opened.profile, 0) == 50);
    close_profile(&opened, fake);
}

static void test_missing_totals(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 0);
    struct opened opened;
    (void)state;
    fake->run.events[0].has_total = false;
    fake_sample(image, 0, 0, fake_id(0), 50);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_int_equal(opened.view.row_count, 1);
    assert_true(tally_profile_total(opened.profile, 0) == 50);
    close_profile(&opened, fake);
}

static void test_no_process_at_all(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "page-faults", 1, 70);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "[no agent]", 0) == 70);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* A preset derived as one native minus another: its counters' weights carry their factors. */
static void test_derived_events(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "PAPI_L1_DCM", 1000, 1500);
    fake->run.events[0].event.term_count = 2;
    fake->run.events[0].event.terms[1] = fake->run.events[0].event.terms[0];
    fake->run.events[0].event.terms[1].factor = -1;
    fake->run.counter_count = 2;
    fake_event(fake, "page-faults", 1, 3);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_node(image, 0, 0, 0, 1, 0);
    fake_sample(image, 0, 0, fake_id(0), 2000);
    fake_sample(image, 0, 1, fake_id(0), 500);
    fake_sample(image, 0, 2, fake_id(0), 3);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "main", 0) == 1500 && self_of(&opened, "main", 1) == 3);
    assert_sums_close(&opened);
    close_profile(&opened, fake);
}

/* What is the program itself, in it and in its workers. */
static void test_main_module(void **state)
{
    static const struct {
        const char *script, *worker, *file, *module;
    } cases[] = {
        {"python3\n-u\nprogram.py\nargument", NULL, MAIN, "__main__"},
        {"python3\n./program.py", NULL, "program.py", "__main__"},
        {"python3\nother.py", NULL, MAIN, "program"},
        {"python3\n-m\njson.decoder", NULL, JSON, "__main__"},
        {"python3\n-m\njson", NULL, "/usr/lib/python3.11/json/__main__.py", "__main__"},
        {"python3\n-m\njson", NULL, JSON, "json.decoder"},
        {"python3\n-c", NULL, "<string>", "__main__"},
        {"python3\nprogram.py", "python3\n-c\n--multiprocessing-fork", MAIN, "__main__"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_recording *fake = fake_new();
        struct opened opened;
        fake_event(fake, "page-faults", 1, 10);
        struct fake_image *image = fake_image(fake, 100, cases[i].script);
        if (cases[i].worker)
            image = fake_image(fake, 101, cases[i].worker);
        fake_code(image, 0, 1, "f", cases[i].file, 1);
        fake_node(image, 0, 0, 0, 1, 0);
        fake_sample(image, 0, 0, fake_id(0), 10);
        open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
        assert_string_equal(row_of(&opened, "f")->module, cases[i].module);
        close_profile(&opened, fake);
    }
}

/* exec: a second image of one process. */
static void test_images_of_one_process(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 100);
    struct opened opened;
    (void)state;
    fake_sample(image, 0, 0, fake_id(0), 50);
    image = fake_image(fake, 100, "python3\nnext.py");
    snprintf(image->header.comm, sizeof(image->header.comm), "next");
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 50);
    open_profile(&opened, fake, TALLY_VIEW_PROCESS);
    assert_int_equal(opened.view.row_count, 1);
    assert_true(self_of(&opened, "100 next", 0) == 100);
    close_profile(&opened, fake);
}

static void test_names_are_made_printable(void **state)
{
    struct fake_recording *fake = fake_new();
    struct opened opened;
    (void)state;
    fake_event(fake, "page-faults", 1, 2);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "größe.計測.<locals>.𠮷", MAIN, 1);
    fake_code(image, 0, 2, "bad\xff\n\x1b[1m", MAIN, 2);
    fake_node(image, 0, 0, 0, 1, 0);
    fake_node(image, 0, 1, 0, 2, 0);
    fake_sample(image, 0, 0, fake_id(0), 1);
    fake_sample(image, 0, 0, fake_id(1), 1);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_true(self_of(&opened, "größe.計測.<locals>.𠮷", 0) == 1);
    assert_true(self_of(&opened, "bad\\xff\\x0a\\x1b[1m", 0) == 1);
    close_profile(&opened, fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_and_lines),
        cmocka_unit_test(test_recursion_is_counted_once),
        cmocka_unit_test(test_exact_counts_have_no_interval),
        cmocka_unit_test(test_sampled_counts_have_one),
        cmocka_unit_test(test_wide_weights),
        cmocka_unit_test(test_counts_read_along),
        cmocka_unit_test(test_threads_use_a_slot_again),
        cmocka_unit_test(test_slots_share_code),
        cmocka_unit_test(test_unknown_nodes_and_code_are_lost),
        cmocka_unit_test(test_bracketed_nodes),
        cmocka_unit_test(test_what_was_not_written_is_lost),
        cmocka_unit_test(test_lives_add_up),
        cmocka_unit_test(test_losses_of_sampled_events),
        cmocka_unit_test(test_no_end_is_longer_than_a_period),
        cmocka_unit_test(test_up_to_half_of_what_is_let_through_nothing_is_throttled),
        cmocka_unit_test(test_what_was_throttled_is_lost),
        cmocka_unit_test(test_losses_widen_the_intervals),
        cmocka_unit_test(test_throttled_beside_other_processes),
        cmocka_unit_test(test_time_is_not_lost),
        cmocka_unit_test(test_timers_are_not_throttled),
        cmocka_unit_test(test_other_gaps),
        cmocka_unit_test(test_programs_without_an_agent),
        cmocka_unit_test(test_unsupported_interpreters),
        cmocka_unit_test(test_what_damage_took_is_lost),
        cmocka_unit_test(test_a_missing_block_is_told),
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_missing_totals),
        cmocka_unit_test(test_no_process_at_all),
        cmocka_unit_test(test_derived_events),
        cmocka_unit_test(test_main_module),
        cmocka_unit_test(test_images_of_one_process),
        cmocka_unit_test(test_names_are_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
