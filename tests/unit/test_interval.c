/*
 * The 95 % interval: against published values of Wilson's score interval, and by how often it holds
 * the truth.
 */
#include "profile/interval.h"
#include "unit.h"

#include <math.h>

static void interval_of(double part, double n, double *low, double *high)
{
    struct tally_value value = {.sampled = part, .squares = part, .samples = (uint64_t)part};
    struct tally_value total = {.sampled = n, .squares = n, .samples = (uint64_t)n};
    tally_interval(&value, &total, low, high);
}

/*
 * R. G. Newcombe, "Two-sided confidence intervals for the single proportion: comparison of seven
 * methods", Statistics in Medicine 17 (1998), 857-872, table I, method 3 (score without continuity
 * correction).
 */
static void test_published_values(void **state)
{
    static const struct {
        double part, n, low, high;
    } cases[] = {
        {81, 263, 0.2553, 0.3662},
        {15, 148, 0.0624, 0.1605},
        {0, 20, 0, 0.1611},
        {1, 29, 0.0061, 0.1718},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double low, high;
        interval_of(cases[i].part, cases[i].n, &low, &high);
        assert_true(fabs(low / cases[i].n - cases[i].low) < 0.00005001);
        assert_true(fabs(high / cases[i].n - cases[i].high) < 0.00005001);
        /* It is symmetric: the rest's interval is this one turned around. */
        double rest_low, rest_high;
        interval_of(cases[i].n - cases[i].part, cases[i].n, &rest_low, &rest_high);
        assert_true(fabs(rest_low + high - cases[i].n) < 1e-9);
        assert_true(fabs(rest_high + low - cases[i].n) < 1e-9);
    }
}

/* z^2 = 3.8415 alone is left for 1 of 1: from 1 / (1 + z^2) to 1. */
static void test_extremes(void **state)
{
    double low, high;
    (void)state;
    interval_of(1, 1, &low, &high);
    assert_true(fabs(low - 1 / (1 + 3.841458820694124)) < 1e-12 && high == 1);
    interval_of(0, 1, &low, &high);
    assert_true(low == 0 && fabs(high - 3.841458820694124 / (1 + 3.841458820694124)) < 1e-12);
    interval_of(0, 1e7, &low, &high);
    assert_true(low == 0 && high > 0 && high < 4);
    interval_of(1e7, 1e7, &low, &high);
    assert_true(high == 1e7 && low > 1e7 - 4);
}

static void test_weights(void **state)
{
    double low, high, plain_low, plain_high;
    (void)state;
    /* Equal weights change the unit, not the number of samples. */
    const struct tally_value part = {.sampled = 30000, .squares = 3e7, .samples = 30};
    const struct tally_value total = {.sampled = 100000, .squares = 1e8, .samples = 100};
    tally_interval(&part, &total, &low, &high);
    interval_of(30, 100, &plain_low, &plain_high);
    assert_true(fabs(low - 1000 * plain_low) < 1e-6 && fabs(high - 1000 * plain_high) < 1e-6);
    /* Unequal ones are fewer samples: (99 + 51)^2 / (99 + 51^2) = 8.33 of 100. */
    const struct tally_value uneven = {.sampled = 75, .squares = 50, .samples = 50};
    const struct tally_value all = {.sampled = 150, .squares = 99 + 51 * 51, .samples = 100};
    tally_interval(&uneven, &all, &low, &high);
    interval_of(150.0 * 150 / 2700 / 2, 150.0 * 150 / 2700, &plain_low, &plain_high);
    assert_true(fabs(low / 150 - plain_low / (22500.0 / 2700)) < 1e-9);
    assert_true(fabs(high / 150 - plain_high / (22500.0 / 2700)) < 1e-9);
}

static void test_exact_parts(void **state)
{
    const struct tally_value nothing = {.samples = 0};
    const struct tally_value exact = {.exact = 42};
    const struct tally_value both = {.sampled = 30, .squares = 30, .exact = 1000, .samples = 30};
    const struct tally_value total = {.sampled = 100, .squares = 100, .exact = 5000};
    double low, high, plain_low, plain_high;
    (void)state;
    tally_interval(&exact, &nothing, &low, &high);
    assert_true(low == 42 && high == 42);
    tally_interval(&nothing, &nothing, &low, &high);
    assert_true(low == 0 && high == 0);
    tally_interval(&both, &total, &low, &high);
    interval_of(30, 100, &plain_low, &plain_high);
    assert_true(fabs(low - 1000 - plain_low) < 1e-9 && fabs(high - 1000 - plain_high) < 1e-9);
}

/* xorshift64*: the same numbers on every machine. */
static double random_unit(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return (double)(*seed * UINT64_C(2685821657736338717) >> 11) * 0x1p-53;
}

/* How often the interval holds the true share, over runs of n samples. */
static double coverage(double share, int n, bool is_weighted, uint64_t seed)
{
    enum { RUNS = 4000 };
    int held = 0;
    for (int run = 0; run < RUNS; run++) {
        struct tally_value part = {.samples = 0}, total = {.samples = 0};
        double low, high;
        for (int i = 0; i < n; i++) {
            double weight = is_weighted ? -log(1 - random_unit(&seed)) : 1;
            struct tally_value sample = {weight, weight * weight, 0, 1};
            total.sampled += sample.sampled;
            total.squares += sample.squares;
            if (random_unit(&seed) < share) {
                part.sampled += sample.sampled;
                part.squares += sample.squares;
            }
        }
        tally_interval(&part, &total, &low, &high);
        held += low <= share * total.sampled && share * total.sampled <= high;
    }
    return (double)held / RUNS;
}

/* 4000 runs of a true 95 % have a standard error of 0.0034; shares on the grid of 1/n add theirs.
 */
static void test_coverage(void **state)
{
    static const double shares[] = {0.05, 0.2, 0.5, 0.625, 0.9};
    static const int sizes[] = {50, 200, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            double plain = coverage(shares[i], sizes[k], false, 1 + 10 * i + k);
            double weighted = coverage(shares[i], sizes[k], true, 1000 + 10 * i + k);
            assert_true(plain > 0.93 && plain < 0.975);
            assert_true(weighted > 0.925 && weighted < 0.975);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_weights),          cmocka_unit_test(test_exact_parts),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
