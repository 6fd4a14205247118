/* The simulator's model machine on traces whose misses are known by counting on paper. */
#include "unit.h"

#include "simulator/machine.h"

#include <stdlib.h>

static const uint64_t LINE = 64, PAGE = 4096;

static struct counts cell;

static void drop(struct cache *cache)
{
    free(cache->tags);
    free(cache->newest);
    *cache = (struct cache){0};
}

/* An empty machine with these data caches and data TLB. */
static void build(const char *l1d, const char *l2, const char *l3, const char *tlb)
{
    const char *options[] = {"line=64", l1d, l2, l3, tlb};
    drop(&machine.l1i);
    drop(&machine.l1d);
    drop(&machine.l2);
    drop(&machine.l3);
    drop(&machine.tlb);
    drop(&machine.itlb);
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        assert_true(machine_option(options[i]));
    machine_init(~UINT64_C(0) & ~TALLY_RAW_BIT(TALLY_RAW_TLB_FETCH));
    cell = machine_totals = (struct counts){0};
    machine_cell = &cell;
}

static void load(uint64_t address)
{
    machine_access(address, 8, false);
}

static void lru_drops_the_line_not_used_for_longest(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    /* Lines 0, 2, 4 share the first of two sets with two ways. */
    load(0 * LINE);
    load(2 * LINE);
    load(0 * LINE);
    load(4 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 3);
    load(0 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 3);
    load(2 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 4);
    /* The other set is untouched by all that. */
    load(1 * LINE);
    load(3 * LINE);
    load(1 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 6);
    assert_int_equal(machine_totals.raw[TALLY_RAW_L1_LOAD], 6);
}

static void access_across_lines_misses_once(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    load(LINE - 4);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 1);
    load(0);
    load(LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 1);
}

static void store_brings_its_line_in(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    machine_access(0, 8, true);
    load(0);
    assert_int_equal(cell.raw[TALLY_RAW_L1_STORE], 1);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 0);
}

static void third_level_of_three_sets(void **state)
{
    (void)state;
    build("l1d=64,1", "l2=64,1", "l3=192,1", "tlb=0,1");
    for (int round = 0; round < 2; round++)
        for (uint64_t line = 0; line < 3; line++)
            load(line * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 6);
    assert_int_equal(cell.raw[TALLY_RAW_L2_LOAD], 6);
    assert_int_equal(cell.raw[TALLY_RAW_L3_LOAD], 3);
    load(3 * LINE); /* takes the place of line 0 */
    load(1 * LINE);
    load(0 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L3_LOAD], 5);
}

static void memory_apart_misses_once_and_takes_no_place(void **state)
{
    (void)state;
    build("l1d=64,1", "l2=64,1", "l3=64,1", "tlb=0,1");
    machine_keep_apart(1, 4 * LINE, 6 * LINE);
    load(0 * LINE);
    load(4 * LINE);
    load(5 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 3);
    assert_int_equal(cell.raw[TALLY_RAW_L3_LOAD], 3);
    load(4 * LINE + 8);
    load(0 * LINE);
    load(5 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 3);
    load(6 * LINE);
    load(0 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 5);
    machine_keep_apart(1, 0, 0);
}

static void work_set_aside_leaves_no_trace(void **state)
{
    (void)state;
    build("l1d=64,1", "l2=128,1", "l3=0,1", "tlb=0,1");
    load(0 * LINE);
    machine_set_aside();
    load(2 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 2);
    machine_take_up();
    load(0 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 2);
    load(2 * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 3);
}

static void two_levels_count_no_third(void **state)
{
    (void)state;
    build("l1d=64,1", "l2=128,2", "l3=0,1", "tlb=0,1");
    for (int round = 0; round < 2; round++)
        for (uint64_t line = 0; line < 2; line++)
            load(line * LINE);
    assert_int_equal(cell.raw[TALLY_RAW_L1_LOAD], 4);
    assert_int_equal(cell.raw[TALLY_RAW_L2_LOAD], 2);
    assert_int_equal(cell.raw[TALLY_RAW_L3_LOAD], 0);
}

static void tlb_holds_pages(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=2,2");
    load(0);
    load(PAGE / 2);
    load(PAGE);
    load(0);
    assert_int_equal(cell.raw[TALLY_RAW_TLB_LOAD], 2);
    load(2 * PAGE); /* in place of the second page */
    load(0);
    load(PAGE);
    assert_int_equal(cell.raw[TALLY_RAW_TLB_LOAD], 4);
}

/* Misses of `count` runs of a branch that is not taken each `period`th time (0: always taken). */
static uint64_t branch(uint64_t count, uint64_t period)
{
    struct segment segment = {.branch = 0x1000};
    void (*run)(const struct segment *, uint64_t) =
        (void (*)(const struct segment *, uint64_t))machine_run_function(0, END_CONDITIONAL);
    uint64_t before = cell.raw[TALLY_RAW_CONDITIONAL_MISS];
    for (uint64_t i = 1; i <= count; i++)
        run(&segment, !period || i % period != 0);
    return cell.raw[TALLY_RAW_CONDITIONAL_MISS] - before;
}

/* First: the predictor is still empty. Its history of 14 outcomes fills up with one miss each; the
 * counter of the full history then needs two to say taken. */
static void predictor_learns_patterns(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    assert_int_equal(branch(1000, 0), 14 + 2);
    assert_int_equal(branch(1000, 0), 0);
    branch(200, 2);
    assert_int_equal(branch(1000, 2), 0);
    branch(200, 5);
    assert_int_equal(branch(1000, 5), 0);
}

static uint64_t branches_by_turns(uint64_t count)
{
    uint64_t before = cell.raw[TALLY_RAW_CONDITIONAL_MISS];
    branch(count, 2);
    return cell.raw[TALLY_RAW_CONDITIONAL_MISS] - before;
}

/* By address alone: the counter of a branch that turns each time, at its upper end before, sways
 * between saying taken surely and weakly. */
static void predictor_without_history(void **state)
{
    (void)state;
    assert_true(machine_option("history=0"));
    assert_true(machine_option("outcomes=4"));
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    assert_int_equal(branch(1000, 0), 2);
    assert_int_equal(branches_by_turns(1000), 500);
    assert_true(machine_option("history=1"));
    assert_true(machine_option("outcomes=16384"));
}

static void close_and_settle_lose_nothing(void **state)
{
    (void)state;
    build("l1d=256,2", "l2=0,1", "l3=0,1", "tlb=0,1");
    struct segment segment = {.lanes.count[TALLY_RAW_INSTRUCTIONS] = 7};
    struct counts first = {0}, second = {0};
    machine_run = machine_closed = (struct lanes){0};
    machine_run_plain(&segment, NULL);
    machine_close(&first);
    machine_run_plain(&segment, NULL);
    machine_run_plain(&segment, NULL);
    machine_close(&second);
    machine_settle();
    assert_int_equal(first.raw[TALLY_RAW_INSTRUCTIONS], 7);
    assert_int_equal(second.raw[TALLY_RAW_INSTRUCTIONS], 14);
    assert_int_equal(machine_totals.raw[TALLY_RAW_INSTRUCTIONS], 21);
    machine_close(&first);
    assert_int_equal(first.raw[TALLY_RAW_INSTRUCTIONS], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictor_learns_patterns),
        cmocka_unit_test(predictor_without_history),
        cmocka_unit_test(lru_drops_the_line_not_used_for_longest),
        cmocka_unit_test(access_across_lines_misses_once),
        cmocka_unit_test(store_brings_its_line_in),
        cmocka_unit_test(third_level_of_three_sets),
        cmocka_unit_test(memory_apart_misses_once_and_takes_no_place),
        cmocka_unit_test(work_set_aside_leaves_no_trace),
        cmocka_unit_test(two_levels_count_no_third),
        cmocka_unit_test(tlb_holds_pages),
        cmocka_unit_test(close_and_settle_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
