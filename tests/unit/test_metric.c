/* Intervals carried through formulas: simple cases by hand, coverage by experiment. */
#include "unit.h"

#include "base/error.h"
#include "profile/interval.h"
#include "profile/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A variant with events a and b and one metric. */
static void make(struct tally_variant *variant, const char *formula)
{
    *variant = (struct tally_variant){.event_count = 2, .metric_count = 1};
    for (int i = 0; i < 2; i++) {
        variant->events[i].symbol[0] = (char)('a' + i);
        variant->symbols[i] = (struct tally_symbol){variant->events[i].symbol,
                                                    tally_quantity_of_event(TALLY_UNIT_COUNT)};
    }
    variant->symbols[2] = (struct tally_symbol){"elapsed", tally_quantity_of_event(TALLY_UNIT_NS)};
    variant->metrics[0].unit.scale = 1;
    if (tally_formula_parse(&variant->metrics[0].formula, formula, variant->symbols, 3) < 0)
        fail_msg("%s", tally_error_text());
}

static struct tally_metric_value measure(const char *formula, struct tally_measured a,
                                         struct tally_measured b)
{
    struct tally_variant variant;
    struct tally_metric_value value;
    const struct tally_measured measured[] = {a, b, {.missing = "none"}};
    make(&variant, formula);
    tally_metric_measure(&variant, &variant.metrics[0], measured, &value);
    return value;
}

static const struct tally_measured hundred = {
    .value = 100, .low = 97, .high = 104, .has_interval = true, .samples = 50};
static const struct tally_measured forty = {
    .value = 40, .low = 36, .high = 43, .has_interval = true, .samples = 20};
static const struct tally_measured two = {
    .value = 2, .low = 2, .high = 2, .has_interval = true, .is_exact = true};

static void test_by_hand(void **state)
{
    (void)state;
    struct tally_metric_value sum = measure("a + b", hundred, forty);
    assert_float_equal(sum.low, 140 - 5, 1e-9);
    assert_float_equal(sum.high, 140 + 5, 1e-9);
    assert_int_equal(sum.samples, 20);
    struct tally_metric_value difference = measure("a - b", hundred, forty);
    assert_float_equal(difference.low, 60 - sqrt(9 + 9), 1e-9);
    assert_float_equal(difference.high, 60 + sqrt(16 + 16), 1e-9);
    struct tally_metric_value half = measure("a / b", hundred, two);
    assert_float_equal(half.low, 48.5, 1e-9);
    assert_float_equal(half.high, 52, 1e-9);
    struct tally_metric_value exact = measure("a / b", two, two);
    assert_true(exact.is_exact);
    assert_float_equal(exact.low, 1, 0);
    assert_float_equal(exact.high, 1, 0);
}

static void test_without_bounds(void **state)
{
    const struct tally_measured few = {.value = 1, .low = 0, .high = 5, .has_interval = true};
    const struct tally_measured read_along = {.value = 7};
    const struct tally_measured none = {.missing = "no PMU"};
    (void)state;
    struct tally_metric_value open = measure("a / b", hundred, few);
    assert_true(open.has_value && open.has_low && !open.has_high);
    struct tally_metric_value unknown = measure("a / b", read_along, two);
    assert_true(unknown.has_value && !unknown.has_low && !unknown.has_high);
    struct tally_metric_value missing = measure("a / b", hundred, none);
    assert_false(missing.has_value);
    assert_string_equal(missing.why, "no PMU");
}

static double uniform(void)
{
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) / 9007199254740992.0;
}

/* One count of a function that has the share `p` of `n` samples, each worth `weight`. */
static struct tally_measured sampled(int n, double p, double weight)
{
    struct tally_value part = {0}, total = {.sampled = n * weight, .squares = n * weight * weight};
    for (int i = 0; i < n; i++)
        part.samples += uniform() < p;
    part.sampled = (double)part.samples * weight;
    struct tally_measured measured = {
        .value = part.sampled, .has_interval = true, .samples = part.samples};
    tally_interval(&part, &total, &measured.low, &measured.high);
    return measured;
}

/* The true value lies in 95 % of the intervals: within five standard deviations of the experiment,
 * sqrt(0.95 * 0.05 / trials), and half a per cent for what is only exact for many samples. */
static void covers(const char *formula, double truth)
{
    enum { TRIALS = 4000, SAMPLES = 1000 };
    int inside = 0;
    for (int i = 0; i < TRIALS; i++) {
        struct tally_metric_value value =
            measure(formula, sampled(SAMPLES, 0.3, 2000), sampled(SAMPLES, 0.4, 5000));
        assert_true(value.has_low && value.has_high);
        inside += value.low <= truth && truth <= value.high;
    }
    double share = (double)inside / TRIALS, error = 5 * sqrt(0.95 * 0.05 / TRIALS) + 0.005;
    if (fabs(share - 0.95) > error)
        fail_msg("%s: %.4f of the intervals have the truth in them", formula, share);
}

static void test_coverage(void **state)
{
    const double a = 0.3 * 1000 * 2000, b = 0.4 * 1000 * 5000;
    (void)state;
    covers("a / b", a / b);
    covers("a + b", a + b);
    covers("b - a", b - a);
    covers("1 - a / b", 1 - a / b);
    covers("a / (a + b)", a / (a + b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_without_bounds),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
