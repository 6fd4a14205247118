/*
 * What was lost, or is not known of, is counted in rows of its own, and widens intervals.
 */
#include "opened_profile.h"
#include "unit.h"

#include <string.h>

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
    /* 7000 were counted; two threads may have ended up to one and a half periods after a sample. */
    assert_true(self_of(&opened, "[lost]", 0) == 1000 + 1000);
    assert_true(self_of(&opened, "[start-up and exit]", 0) == 9000 - 2000 - 2000);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_not_written_is_lost),
        cmocka_unit_test(test_lives_add_up),
        cmocka_unit_test(test_no_end_is_longer_than_a_period),
        cmocka_unit_test(test_up_to_half_of_what_is_let_through_nothing_is_throttled),
        cmocka_unit_test(test_what_was_throttled_is_lost),
        cmocka_unit_test(test_losses_widen_the_intervals),
        cmocka_unit_test(test_throttled_beside_other_processes),
        cmocka_unit_test(test_time_is_not_lost),
        cmocka_unit_test(test_timers_are_not_throttled),
        cmocka_unit_test(test_other_gaps),
        cmocka_unit_test(test_losses_of_sampled_events),
        cmocka_unit_test(test_programs_without_an_agent),
        cmocka_unit_test(test_unsupported_interpreters),
        cmocka_unit_test(test_what_damage_took_is_lost),
        cmocka_unit_test(test_a_missing_block_is_told),
        cmocka_unit_test(test_excess),
        cmocka_unit_test(test_missing_totals),
        cmocka_unit_test(test_no_process_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
