/*
 * When the watcher looks around: within the budget whatever its rounds cost, and as often as that
 * allows.
 */
#include "recording/rounds.h"
#include "unit.h"

static const double SHARE = 0.01;

struct course {
    double spent_ns, elapsed_ns, most_ns; /* the longest round */
};

/* `count` rounds whose cost is `cost_of` their number, each as long as it was told to be. */
static struct course course_of(struct tally_rounds *rounds, int count, uint64_t (*cost_of)(int),
                               bool has_waits)
{
    struct course course = {0};
    uint64_t elapsed = TALLY_SHORTEST_ROUND_NS;
    for (int i = 0; i < count; i++) {
        struct tally_round round = {
            .cost_ns = cost_of(i), .elapsed_ns = elapsed, .has_waits = has_waits};
        elapsed = tally_rounds_next(rounds, &round);
        course.spent_ns += (double)round.cost_ns;
        course.elapsed_ns += (double)elapsed;
        if ((double)elapsed > course.most_ns)
            course.most_ns = (double)elapsed;
    }
    return course;
}

static uint64_t cheap(int number)
{
    (void)number;
    return 20000;
}

static uint64_t middling(int number)
{
    (void)number;
    return 100000;
}

static uint64_t dear(int number)
{
    (void)number;
    return 4000000;
}

static uint64_t mixed(int number)
{
    return number % 10 ? 30000 : 1500000;
}

static void test_the_budget_holds(void **state)
{
    static uint64_t (*const costs[])(int) = {cheap, middling, dear, mixed};
    (void)state;
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct tally_rounds rounds;
            tally_rounds_init(&rounds, SHARE, seed);
            struct course course = course_of(&rounds, 1000, costs[i], true);
            assert_true(course.spent_ns <= SHARE * course.elapsed_ns + 2e6);
        }
}

static void test_cheap_rounds_come_as_often_as_they_may(void **state)
{
    struct tally_rounds rounds;
    (void)state;
    tally_rounds_init(&rounds, SHARE, 1);
    struct course course = course_of(&rounds, 1000, cheap, true);
    assert_true(course.most_ns < 1.5 * TALLY_SHORTEST_ROUND_NS);
    assert_in_range(course.elapsed_ns / 1000, 1.2 * TALLY_SHORTEST_ROUND_NS,
                    1.3 * TALLY_SHORTEST_ROUND_NS);
}

/* 100 us are 1 % of 10 ms: a tenth is kept back, and the moments are random in a half. */
static void test_the_budget_is_used(void **state)
{
    struct tally_rounds rounds;
    (void)state;
    tally_rounds_init(&rounds, SHARE, 1);
    struct course course = course_of(&rounds, 1000, middling, true);
    assert_in_range(course.elapsed_ns / 1000, 11e6 * 1.2, 11e6 * 1.3);
}

static void test_finding_threads_is_paid_once_from_the_allowance(void **state)
{
    struct tally_rounds rounds;
    struct tally_round finds = {.cost_ns = 4000000,
                                .elapsed_ns = TALLY_SHORTEST_ROUND_NS,
                                .has_waits = true,
                                .has_new = true};
    (void)state;
    tally_rounds_init(&rounds, SHARE, 1);
    assert_true(tally_rounds_next(&rounds, &finds) < 50000000);
    assert_true(tally_rounds_next(&rounds, &finds) > 200000000);
}

static void test_rounds_double_where_all_only_run(void **state)
{
    struct tally_rounds rounds;
    (void)state;
    tally_rounds_init(&rounds, SHARE, 1);
    struct course course = course_of(&rounds, 64, cheap, false);
    assert_true(course.most_ns < 1.5 * TALLY_SHORTEST_ROUND_NS);
    course = course_of(&rounds, 100, cheap, false);
    assert_in_range(course.most_ns, 8 * TALLY_SHORTEST_ROUND_NS, 12 * TALLY_SHORTEST_ROUND_NS);
    assert_true(tally_rounds_hurry(&rounds));
    assert_false(tally_rounds_hurry(&rounds));
    course = course_of(&rounds, 1, cheap, true);
    assert_true(course.most_ns < 1.5 * TALLY_SHORTEST_ROUND_NS);
}

static void test_a_round_is_never_put_off_for_long(void **state)
{
    struct tally_rounds rounds;
    struct tally_round round = {.cost_ns = 10000000000, .elapsed_ns = TALLY_SHORTEST_ROUND_NS};
    (void)state;
    tally_rounds_init(&rounds, SHARE, 1);
    assert_true(tally_rounds_next(&rounds, &round) < TALLY_LONGEST_ROUND_NS * 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_budget_holds),
        cmocka_unit_test(test_cheap_rounds_come_as_often_as_they_may),
        cmocka_unit_test(test_the_budget_is_used),
        cmocka_unit_test(test_finding_threads_is_paid_once_from_the_allowance),
        cmocka_unit_test(test_rounds_double_where_all_only_run),
        cmocka_unit_test(test_a_round_is_never_put_off_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
