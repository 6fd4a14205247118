/*
 * From records to numbers: every count lands in one cell, and the cells of an event sum to the
 * run's total.
 */
#include "opened_profile.h"
#include "unit.h"

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

/* Its callers' lines have what it did; a function called as its file is one all the same. */
static void test_shims_are_no_functions(void **state)
{
    struct fake_recording *fake;
    struct fake_image *image = start(&fake, 31);
    struct opened opened;
    struct {
        struct tally_code code;
        char text[16];
    } shim = {.code = {.type = TALLY_RECORD_CODE,
                       .id = 3,
                       .first_line = 1,
                       .qualname_size = 8,
                       .filename_size = 8,
                       .lines_size = 1},
              .text = "__init____init__"};
    (void)state;
    fake_put(image, 0, &shim, sizeof(shim));
    fake_code(image, 0, 4, "<stdin>", "<stdin>", 1);
    fake_node(image, 0, 4, fake_id(0), 3, 1); /* called by main at line 3 */
    fake_node(image, 0, 5, fake_id(4), 2, 0);
    fake_node(image, 0, 6, 0, 3, 1);
    fake_node(image, 0, 7, 0, 4, 0);
    fake_sample(image, 0, 0, fake_id(4), 1);
    fake_sample(image, 0, 0, fake_id(5), 2);
    fake_sample(image, 0, 0, fake_id(6), 4);
    fake_sample(image, 0, 0, fake_id(7), 8);
    fake_sample(image, 0, 0, fake_id(1), 16);
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_null(find_row(&opened, "__init__", 0));
    assert_true(self_of(&opened, "main", 0) == 1 && inclusive_of(&opened, "main") == 19);
    assert_true(self_of(&opened, "load", 0) == 18);
    assert_true(self_of(&opened, "[lost]", 0) == 4 && self_of(&opened, "<stdin>", 0) == 8);
    view_by(&opened, TALLY_VIEW_LINE);
    assert_true(find_row(&opened, "main", 3)->values[0].self == 1);
    assert_sums_close(&opened);
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

static void test_versions_are_named_once(void **state)
{
    static const uint32_t versions[] = {0x030c0bf0, 0x030c01f0, 0x030c0bf0, 0x030c01f0};
    struct fake_recording *fake;
    struct opened opened;
    (void)state;
    start(&fake, 50)->header.python = versions[0];
    for (uint32_t i = 1; i < 4; i++)
        fake_image(fake, 100 + i, "python3\nprogram.py")->header.python = versions[i];
    open_profile(&opened, fake, TALLY_VIEW_FUNCTION);
    assert_string_equal(opened.profile->python, "3.12.11, 3.12.1");
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
        cmocka_unit_test(test_shims_are_no_functions),
        cmocka_unit_test(test_exact_counts_have_no_interval),
        cmocka_unit_test(test_sampled_counts_have_one),
        cmocka_unit_test(test_wide_weights),
        cmocka_unit_test(test_counts_read_along),
        cmocka_unit_test(test_threads_use_a_slot_again),
        cmocka_unit_test(test_slots_share_code),
        cmocka_unit_test(test_unknown_nodes_and_code_are_lost),
        cmocka_unit_test(test_bracketed_nodes),
        cmocka_unit_test(test_derived_events),
        cmocka_unit_test(test_versions_are_named_once),
        cmocka_unit_test(test_main_module),
        cmocka_unit_test(test_images_of_one_process),
        cmocka_unit_test(test_names_are_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
