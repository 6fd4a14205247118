/*
 * The deviation of counts that took turns, by how often it holds the truth: programs whose rate is
 * known at every moment, of which events see the moments that the kernel's rotation gives them.
 */
#include "sources/turns.h"
#include "unit.h"

#include <math.h>

enum { PROGRAMS = 400, LENGTH_MS = 1000, TURN_MS = 4, STEP_MS = 10, SHARES = 3 };

static unsigned int next_random(unsigned int *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static double uniform(unsigned int *state)
{
    return next_random(state) / (double)(1u << 24);
}

/* Events per ms: phases of 30 to 230 ms with rates from 1 to 10, and noise within them. */
static double fill(double *rates, unsigned int seed, double noise)
{
    unsigned int state = seed;
    double total = 0, level = 0;
    for (int ms = 0, left = 0; ms < LENGTH_MS; ms++, left--) {
        if (left == 0) {
            left = 30 + (int)(200 * uniform(&state));
            level = 1000 * (1 + 9 * uniform(&state));
        }
        rates[ms] = floor(level * (1 + noise * (uniform(&state) - 0.5)));
        total += rates[ms];
    }
    return total;
}

struct outcome {
    double error, deviation;
};

/* The event runs in each third turn. */
static struct outcome count_program(unsigned int seed, double noise)
{
    double rates[LENGTH_MS], counted = 0, running_ms = 0;
    double truth = fill(rates, seed, noise);
    struct tally_turns turns = {0};
    struct tally_count count = {0};
    for (int ms = 0; ms < LENGTH_MS; ms++) {
        if ((ms / TURN_MS + (int)seed) % SHARES == 0) {
            counted += rates[ms];
            running_ms++;
        }
        count.enabled_ns = (ms + 1) * 1e6;
        count.running = running_ms / (ms + 1);
        count.value = count.running > 0 ? (uint64_t)(counted / count.running + 0.5) : 0;
        if ((ms + 1) % STEP_MS == 0)
            tally_turns_step(&turns, &count);
    }
    return (struct outcome){(double)count.value - truth, tally_turns_deviation(&turns, &count)};
}

static void test_deviation_holds_the_truth(void **state)
{
    static const double noises[] = {0.02, 0.5, 1.5};
    (void)state;
    for (size_t n = 0; n < sizeof(noises) / sizeof(noises[0]); n++) {
        double errors = 0, deviations = 0;
        int inside = 0;
        for (unsigned int seed = 1; seed <= PROGRAMS; seed++) {
            struct outcome outcome = count_program(seed, noises[n]);
            assert_true(outcome.deviation > 0);
            inside += fabs(outcome.error) <= 2 * outcome.deviation;
            errors += outcome.error * outcome.error;
            deviations += outcome.deviation * outcome.deviation;
        }
        print_message("noise %.2f: %d of %d within two deviations, which are %.2f of the errors\n",
                      noises[n], inside, PROGRAMS, sqrt(deviations / errors));
        /* 95 % of 400 less three standard deviations of a count of such successes */
        assert_true(inside >= 0.95 * PROGRAMS - 3 * sqrt(PROGRAMS * 0.95 * 0.05));
        assert_true(deviations < 9 * errors); /* and not by telling too much */
    }
}

static void test_no_deviation_without_turns(void **state)
{
    struct tally_turns turns = {0};
    struct tally_count count = {.value = 100, .running = 1, .enabled_ns = 1e9};
    (void)state;
    tally_turns_step(&turns, &count);
    assert_true(tally_turns_deviation(&turns, &count) == 0);
}

static void test_too_few_steps(void **state)
{
    struct tally_turns turns = {0};
    struct tally_count count = {.running = 0.5};
    (void)state;
    for (int i = 1; i < 5; i++) {
        count.value = (uint64_t)i * 1000;
        count.enabled_ns = i * 1e7;
        tally_turns_step(&turns, &count);
    }
    assert_true(tally_turns_deviation(&turns, &count) < 0);
    const struct tally_count never = {.missing = true};
    tally_turns_step(&turns, &never);
    assert_int_equal(turns.steps, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deviation_holds_the_truth),
        cmocka_unit_test(test_no_deviation_without_turns),
        cmocka_unit_test(test_too_few_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
