/* What an event counted, from the values and times of its terms: all worked out on paper. */
#include "events/cores.h"
#include "events/kernel_names.h"
#include "sources/terms.h"
#include "unit.h"

#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST = 4, SECOND = 10, OTHER = 77 };

static char folder[] = "/tmp/cores-XXXXXX";

static void add_pmu(const char *name, int type)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%s/type", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d\n", type);
    fclose(file);
}

static int make_hybrid(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    add_pmu("cpu_core", FIRST);
    add_pmu("cpu_atom", SECOND);
    tally_kernel_names_from(folder);
    return 0;
}

static int remove_hybrid(void **state)
{
    char command[64];
    (void)state;
    tally_kernel_names_from(NULL);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static struct tally_event event_of(uint32_t first, uint32_t second)
{
    struct tally_event event = {.term_count = second ? 2 : 1};
    event.terms[0] = (struct tally_term){.factor = 1, .type = first};
    event.terms[1] = (struct tally_term){.factor = 1, .type = second};
    return event;
}

static struct tally_count count(struct tally_event event, struct tally_perf_value first,
                                struct tally_perf_value second)
{
    const struct tally_perf_value terms[] = {first, second};
    struct tally_count out;
    tally_count_terms(&event, terms, &out);
    return out;
}

static const struct tally_perf_value none;

/* Migrating, 750 ns on the one and 250 ns on the other: nothing was missed. */
static void test_sum_over_core_types(void **state)
{
    (void)state;
    struct tally_count out =
        count(event_of(FIRST, SECOND), (struct tally_perf_value){300, 1000, 750},
              (struct tally_perf_value){20, 1000, 250});
    assert_false(out.missing);
    assert_int_equal(out.value, 320);
    assert_true(out.running == 1 && out.core_share == 0 && out.enabled_ns == 1000);
}

/* The second was read 10 ns later, which the first, on which the program was, does not show. */
static void test_sum_while_the_program_runs(void **state)
{
    (void)state;
    struct tally_count out =
        count(event_of(FIRST, SECOND), (struct tally_perf_value){300, 1000, 750},
              (struct tally_perf_value){20, 1010, 250});
    assert_int_equal(out.value, 320);
    assert_true(out.running == 1 && out.enabled_ns == 1010);
}

/* A quarter of the time neither ran: the rest stands for it. */
static void test_sum_without_counters_for_a_while(void **state)
{
    (void)state;
    struct tally_count out =
        count(event_of(FIRST, SECOND), (struct tally_perf_value){280, 1000, 600},
              (struct tally_perf_value){20, 1000, 150});
    assert_int_equal(out.value, 400);
    assert_true(out.running == 0.75);
}

static void test_sum_of_a_program_that_stays(void **state)
{
    (void)state;
    struct tally_count out = count(event_of(FIRST, SECOND), (struct tally_perf_value){0, 1000, 0},
                                   (struct tally_perf_value){20, 1000, 1000});
    assert_int_equal(out.value, 20);
    assert_true(out.running == 1);
    out = count(event_of(FIRST, SECOND), (struct tally_perf_value){0, 1000, 0},
                (struct tally_perf_value){0, 1000, 0});
    assert_true(out.missing && out.why);
}

static void test_one_core_type(void **state)
{
    (void)state;
    struct tally_count out =
        count(event_of(SECOND, 0), (struct tally_perf_value){300, 1000, 750}, none);
    assert_int_equal(out.value, 300);
    assert_true(out.running == 1 && out.core_share == 0.75);
    out = count(event_of(SECOND, 0), (struct tally_perf_value){0, 1000, 0}, none);
    assert_true(out.missing && out.why);
}

/* Of a PMU outside the cores, or on a processor with one core type. */
static void test_turns(void **state)
{
    (void)state;
    struct tally_count out =
        count(event_of(OTHER, 0), (struct tally_perf_value){300, 1000, 750}, none);
    assert_int_equal(out.value, 400);
    assert_true(out.running == 0.75 && out.core_share == 0);
    out = count(event_of(OTHER, OTHER), (struct tally_perf_value){300, 1000, 500},
                (struct tally_perf_value){100, 1000, 1000});
    assert_int_equal(out.value, 700);
    assert_true(out.running == 0.5);
}

static void test_core_types_of_terms(void **state)
{
    (void)state;
    struct tally_term term = {.type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_INSTRUCTIONS};
    const struct tally_core *atom = &tally_cores()->cores[0];
    assert_null(tally_core_of(&term));
    tally_core_set(&term, atom);
    assert_true(term.config == ((uint64_t)SECOND << 32 | PERF_COUNT_HW_INSTRUCTIONS));
    assert_ptr_equal(tally_core_of(&term), atom);
    struct tally_event event = event_of(FIRST, SECOND);
    assert_null(tally_core_of_event(&event));
    event.term_count = 1;
    assert_string_equal(tally_core_of_event(&event)->name, "cpu_core");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_over_core_types),
        cmocka_unit_test(test_sum_while_the_program_runs),
        cmocka_unit_test(test_sum_without_counters_for_a_while),
        cmocka_unit_test(test_sum_of_a_program_that_stays),
        cmocka_unit_test(test_one_core_type),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_core_types_of_terms),
    };
    return cmocka_run_group_tests(tests, make_hybrid, remove_hybrid);
}
