/* Verdicts, which are a pure function: at their thresholds, and with evidence missing. */
#include "profile/verdict.h"
#include "unit.h"

#include <string.h>

static enum tally_verdict judged(const struct tally_evidence *evidence)
{
    struct tally_finding finding;
    tally_judge(evidence, &finding);
    return finding.verdict;
}

/* Shares of the wall time. */
static struct tally_evidence with(int account, double share, int other, double rest)
{
    struct tally_evidence evidence;
    tally_evidence_init(&evidence);
    evidence.accounts[account] += share;
    evidence.accounts[other] += rest;
    return evidence;
}

static void test_what_most_time_is(void **state)
{
    static const struct {
        int account;
        enum tally_verdict verdict;
    } cases[] = {
        {TALLY_STATE_SLEEP, TALLY_VERDICT_SLEEPING}, {TALLY_STATE_POLL, TALLY_VERDICT_SLEEPING},
        {TALLY_STATE_FILE, TALLY_VERDICT_DISK},      {TALLY_STATE_SOCKET, TALLY_VERDICT_NETWORK},
        {TALLY_STATE_PIPE, TALLY_VERDICT_PIPE},      {TALLY_STATE_CHILD, TALLY_VERDICT_CHILD},
        {TALLY_STATE_OTHER, TALLY_VERDICT_BALANCED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_evidence evidence = with(cases[i].account, 60, TALLY_STATE_RUNNING, 40);
        struct tally_finding finding;
        tally_judge(&evidence, &finding);
        assert_int_equal(finding.verdict, cases[i].verdict);
        assert_true(finding.value == 0.6 && finding.threshold == 0.5);
        evidence = with(cases[i].account, 55, TALLY_STATE_RUNNING, 45);
        assert_int_equal(judged(&evidence), TALLY_VERDICT_BALANCED);
    }
}

/* An event loop that no timer wakes up does not sleep. */
static void test_event_loops(void **state)
{
    (void)state;
    struct tally_evidence evidence = with(TALLY_STATE_POLL, 60, TALLY_STATE_RUNNING, 40);
    struct tally_finding finding;
    evidence.untimed_ns = 29;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_SLEEPING);
    evidence.untimed_ns = 31;
    tally_judge(&evidence, &finding);
    assert_int_equal(finding.verdict, TALLY_VERDICT_BALANCED);
    assert_true(finding.value == 0.6 && finding.accounts >> TALLY_STATE_OTHER & 1);
    assert_true(finding.accounts >> TALLY_STATE_POLL & 1);
}

/* What others hold needs a third, and 0.6 of the largest. */
static void test_what_others_hold(void **state)
{
    static const struct {
        int account;
        enum tally_verdict verdict;
    } cases[] = {{TALLY_STATE_LOCK, TALLY_VERDICT_LOCK},
                 {TALLY_STATE_GIL, TALLY_VERDICT_GIL},
                 {TALLY_STATE_RUNNABLE, TALLY_VERDICT_STARVED}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_evidence evidence = with(cases[i].account, 40, TALLY_STATE_SLEEP, 60);
        assert_int_equal(judged(&evidence), cases[i].verdict);
        evidence = with(cases[i].account, 36, TALLY_STATE_SLEEP, 64);
        assert_int_equal(judged(&evidence), TALLY_VERDICT_SLEEPING);
        evidence.accounts[TALLY_STATE_SLEEP] = 37;
        evidence.accounts[TALLY_STATE_PIPE] = 37;
        evidence.accounts[cases[i].account] = 26;
        assert_int_equal(judged(&evidence), TALLY_VERDICT_BALANCED);
    }
}

static struct tally_evidence on_cpu(double user, double system)
{
    struct tally_evidence evidence = with(TALLY_STATE_RUNNING, user + system, TALLY_STATE_SLEEP, 0);
    evidence.user_ns = user;
    evidence.system_ns = system;
    evidence.native_share = 0;
    return evidence;
}

static void test_time_on_a_cpu(void **state)
{
    (void)state;
    struct tally_evidence evidence = on_cpu(76, 24);
    assert_int_equal(judged(&evidence), TALLY_VERDICT_INTERPRETER);
    evidence.native_share = 0.51;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_COMPUTE);
    evidence.native_share = -1; /* no sample tells */
    assert_int_equal(judged(&evidence), TALLY_VERDICT_CPU);
    evidence = on_cpu(75, 25);
    assert_int_equal(judged(&evidence), TALLY_VERDICT_SYSTEM_CALL);
    evidence.faults = 9;
    evidence.fault_ns = 1;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_SYSTEM_CALL);
    evidence.faults = 10;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_PAGE_FAULT);
}

/* What it costs to sample the faults is the kernel's time, but not the program's. */
static void test_sampled_faults(void **state)
{
    (void)state;
    struct tally_evidence evidence = on_cpu(70, 30);
    evidence.faults = 10;
    evidence.fault_ns = 1.2;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_PAGE_FAULT);
    evidence.sampled_fault_ns = 1.8;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_INTERPRETER);
    evidence = on_cpu(2, 98); /* whatever the samples were thought to cost */
    evidence.faults = 10;
    evidence.fault_ns = 2;
    evidence.sampled_fault_ns = 12;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_PAGE_FAULT);
}

/* Only counters tell what the processor waits for. */
static void test_counters(void **state)
{
    (void)state;
    struct tally_evidence evidence = on_cpu(100, 0);
    evidence.last_level_misses = 1000;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_INTERPRETER);
    evidence.instructions = 1000;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_MEMORY);
    evidence.last_level_misses = 6; /* 600 of 1600: below two fifths */
    assert_int_equal(judged(&evidence), TALLY_VERDICT_INTERPRETER);
    evidence.mispredictions = 50; /* 500 of 2100 */
    assert_int_equal(judged(&evidence), TALLY_VERDICT_BRANCH);
    evidence.mispredictions = -1;
    evidence.fetch_misses = 50;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_FRONT_END);
    evidence.cycles = 100000; /* measured: the misses are nothing */
    assert_int_equal(judged(&evidence), TALLY_VERDICT_INTERPRETER);
}

/* Without wall time they are all there is; that nothing stands out takes all of them. */
static void test_counters_alone(void **state)
{
    (void)state;
    struct tally_evidence evidence;
    struct tally_finding finding;
    tally_evidence_init(&evidence);
    evidence.instructions = 1000;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_UNKNOWN);
    evidence.level1_misses = 10;
    evidence.last_level_misses = 5;
    evidence.mispredictions = 35;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_UNKNOWN);
    evidence.fetch_misses = 0; /* 600 and 350 of 1950, the second nearer to its threshold */
    tally_judge(&evidence, &finding);
    assert_int_equal(finding.verdict, TALLY_VERDICT_BALANCED);
    assert_string_equal(finding.evidence, "cycles in mispredicted branches, estimated");
    assert_true(finding.value < finding.threshold);
    evidence.last_level_misses = 12;
    assert_int_equal(judged(&evidence), TALLY_VERDICT_MEMORY);
}

static void test_nothing(void **state)
{
    (void)state;
    struct tally_evidence evidence;
    struct tally_finding finding;
    tally_evidence_init(&evidence);
    tally_judge(&evidence, &finding);
    assert_int_equal(finding.verdict, TALLY_VERDICT_UNKNOWN);
    assert_string_equal(finding.evidence, "nothing was recorded");
    for (int i = 0; i < TALLY_VERDICTS; i++)
        assert_true(strlen(tally_verdict_names[i]) > 0 && strlen(tally_verdict_advice[i]) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_most_time_is), cmocka_unit_test(test_event_loops),
        cmocka_unit_test(test_what_others_hold),  cmocka_unit_test(test_time_on_a_cpu),
        cmocka_unit_test(test_sampled_faults),    cmocka_unit_test(test_counters),
        cmocka_unit_test(test_counters_alone),    cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
