#include "base/buffer.h"
#include "base/error.h"
#include "events/aliases.h"
#include "events/catalog.h"
#include "events/event.h"
#include "events/papi.h"
#include "unit.h"

#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { FREQUENCY = 1000 };

/* A stand-in for libc's, so that an older kernel can be played. */
static const char *played_release;
static int (*real_uname)(struct utsname *);

int uname(struct utsname *kernel)
{
    if (!real_uname)
        *(void **)&real_uname = dlsym(RTLD_NEXT, "uname");
    int result = real_uname(kernel);
    if (result == 0 && played_release)
        snprintf(kernel->release, sizeof(kernel->release), "%s", played_release);
    return result;
}

static struct tally_event resolve(const char *text)
{
    static struct tally_event_list list;
    int code = tally_events_resolve(text, FREQUENCY, &list);
    if (code < 0)
        fail_msg("%s: %s", text, tally_error_text());
    assert_int_equal(list.count, 1);
    return list.events[0];
}

static void assert_refused(const char *text, int code, const char *part)
{
    struct tally_event_list list;
    assert_int_equal(tally_events_resolve(text, FREQUENCY, &list), code);
    if (!strstr(tally_error_text(), part))
        fail_msg("%s: \"%s\" lacks \"%s\"", text, tally_error_text(), part);
}

static void test_every_alias_resolves(void **state)
{
    (void)state;
    for (const struct tally_alias *alias = tally_aliases; alias->name; alias++) {
        struct tally_event event = resolve(alias->name);
        assert_string_equal(event.name, alias->name);
        assert_int_equal(event.term_count, 1);
        assert_true(event.terms[0].factor == 1);
        assert_false(event.terms[0].exclude_user);
        assert_false(event.terms[0].exclude_kernel);
        assert_ptr_equal(tally_alias_find(alias->name), alias);
    }
}

static void test_encodings(void **state)
{
    static const struct {
        const char *name;
        enum tally_source_kind source;
        uint32_t type;
        uint64_t config;
    } cases[] = {
        {"page-faults", TALLY_SOURCE_SOFTWARE, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
        {"perf::PAGE-FAULTS", TALLY_SOURCE_SOFTWARE, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
        {"cs", TALLY_SOURCE_SOFTWARE, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
        {"migrations", TALLY_SOURCE_SOFTWARE, PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
        {"cycles", TALLY_SOURCE_HARDWARE, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
        {"branches", TALLY_SOURCE_HARDWARE, PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
        {"L1-dcache-load-misses", TALLY_SOURCE_HARDWARE, PERF_TYPE_HW_CACHE, 0x10000},
        {"perf_raw::r01a8", TALLY_SOURCE_HARDWARE, PERF_TYPE_RAW, 0x1a8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_event event = resolve(cases[i].name);
        assert_int_equal(event.source, cases[i].source);
        assert_int_equal(event.terms[0].type, cases[i].type);
        assert_int_equal(event.terms[0].config, cases[i].config);
        assert_int_equal(event.unit, TALLY_UNIT_COUNT);
    }
}

static void test_encoding_resolves_to_itself(void **state)
{
    static const char *const names[] = {"page-faults:u", "cycles:k", "L1-dcache-loads",
                                        "perf_raw::r01a8"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tally_event event = resolve(names[i]);
        struct tally_event again = resolve(event.terms[0].encoding);
        assert_int_equal(again.terms[0].type, event.terms[0].type);
        assert_int_equal(again.terms[0].config, event.terms[0].config);
        assert_int_equal(again.terms[0].exclude_user, event.terms[0].exclude_user);
        assert_int_equal(again.terms[0].exclude_kernel, event.terms[0].exclude_kernel);
    }
}

static void test_periods(void **state)
{
    static const struct {
        const char *text, *name;
        uint64_t period, frequency;
        bool given, read_only, is_clock;
    } cases[] = {
        {"page-faults", "page-faults", 1, 0, false, false, false},
        {"page-faults:1", "page-faults", 1, 0, true, false, false},
        {"page-faults:250", "page-faults", 250, 0, true, false, false},
        {"page-faults:0", "page-faults", 0, 0, true, true, false},
        {"task-clock", "task-clock", 0, FREQUENCY, false, false, true},
        {"task-clock:1M", "task-clock", 1000000, 0, true, false, true},
        {"cycles", "cycles", 0, FREQUENCY, false, false, false},
        {"cycles:u:10k", "cycles:u", 10000, 0, true, false, false},
        {"context-switches", "context-switches", 1, 0, false, false, false},
        {"cpu-migrations", "cpu-migrations", 1, 0, false, false, false},
        {"PAPI_TOT_CYC:5k", "PAPI_TOT_CYC", 5000, 0, true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_event event = resolve(cases[i].text);
        assert_string_equal(event.name, cases[i].name);
        assert_int_equal(event.period, cases[i].period);
        assert_int_equal(event.frequency, cases[i].frequency);
        assert_int_equal(event.period_given, cases[i].given);
        assert_int_equal(event.read_only, cases[i].read_only);
        assert_int_equal(event.is_clock, cases[i].is_clock);
        assert_int_equal(event.unit, cases[i].is_clock ? TALLY_UNIT_NS : TALLY_UNIT_COUNT);
    }
}

static void test_modifiers(void **state)
{
    static const struct {
        const char *text;
        bool user, kernel;
        int precise;
    } cases[] = {
        {"cycles", true, true, 0},          {"cycles:u", true, false, 0},
        {"cycles:k", false, true, 0},       {"cycles:uk", true, true, 0},
        {"cycles:p", true, true, 1},        {"cycles:pp", true, true, 2},
        {"cycles:ppp:u", true, false, 3},   {"cycles:upp", true, false, 2},
        {"page-faults:u", true, false, 0},  {"perf::PAGE-FAULTS:k", false, true, 0},
        {"PAPI_TOT_INS:u", true, false, 0}, {"perf::CYCLES:precise=2", true, true, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_event event = resolve(cases[i].text);
        assert_string_equal(event.name, cases[i].text);
        assert_int_equal(event.terms[0].exclude_user, !cases[i].user);
        assert_int_equal(event.terms[0].exclude_kernel, !cases[i].kernel);
        assert_int_equal(event.terms[0].precise, cases[i].precise);
    }
    assert_refused("cycles:pppp", TALLY_ERROR, "three levels");
}

static void test_lists(void **state)
{
    struct tally_event_list list;
    (void)state;
    assert_int_equal(
        tally_events_resolve("page-faults:1, task-clock ,context-switches:0", FREQUENCY, &list), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.events[1].name, "task-clock");
    assert_true(list.events[2].read_only);
    assert_refused("", TALLY_ERROR, "empty");
    assert_refused("page-faults,,task-clock", TALLY_ERROR, "empty");
    assert_refused("page-faults,page-faults", TALLY_ERROR, "twice");
    assert_refused("page-faults,page-faults:0", TALLY_ERROR, "twice");
    assert_refused("faults,page-faults", TALLY_ERROR, "same event");
    assert_int_equal(tally_events_resolve("cycles,cycles:u,cycles:p", FREQUENCY, &list), 0);
}

static void test_too_many(void **state)
{
    struct tally_buffer names = {0};
    (void)state;
    for (int i = 0; i <= TALLY_MAX_EVENTS; i++)
        tally_buffer_printf(&names, "%sperf_raw::r%02x", i ? "," : "", i + 1);
    assert_refused(names.data, TALLY_ERROR, "more than 16");
    tally_buffer_release(&names);
}

static void test_failure_leaves_the_list(void **state)
{
    struct tally_event_list list = {.count = 7};
    (void)state;
    assert_true(tally_events_resolve("page-faults,nosuchthing", FREQUENCY, &list) < 0);
    assert_int_equal(list.count, 7);
}

static void test_nearest(void **state)
{
    static const char *const cases[][2] = {
        {"page-fault", "page-faults"},
        {"cachemisses", "cache-misses"},
        {"cycels", "cycles"},
        {"PAPI_L1_DMC", "PAPI_L1_DCM"},
        {"contextswitches", "context-switches"},
        {"chache", "cache-references"},
        {"L1-dcache-loads-misses", "L1-dcache-load-misses"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_refused(cases[i][0], TALLY_NOT_FOUND, cases[i][1]);
        assert_non_null(strstr(tally_error_text(), "unknown event"));
        const char *end = strchr(tally_error_text(), '.');
        assert_true(end && end[1] == '\0'); /* one sentence */
    }
    assert_refused("zzzzzzzzzzzzzzzz", TALLY_NOT_FOUND, "tallystack list");
    assert_refused("page-faults:10x", TALLY_ERROR, "the period of \"page-faults\"");
}

static void test_formulas(void **state)
{
    double factors[3];
    (void)state;
    assert_int_equal(tally_papi_postfix("N0|N1|+|", 2, factors), 0);
    assert_true(factors[0] == 1 && factors[1] == 1);
    assert_int_equal(tally_papi_postfix("N0|N1|-|N2|4|*|+|", 3, factors), 0);
    assert_true(factors[0] == 1 && factors[1] == -1 && factors[2] == 4);
    assert_int_equal(tally_papi_postfix("2|N0|*|N1|2|/|+|", 2, factors), 0);
    assert_true(factors[0] == 2 && factors[1] == 0.5);
    static const char *const wrong[] = {"N0|N1|*|", "N0|N1|/|", "N0|+|",   "N0|N2|+|", "",
                                        "N0|1|+|",  "N0|N1|",   "N0|x|+|", "+|",       "N|1|*|"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(tally_papi_postfix(wrong[i], 2, factors) < 0);
}

static void test_probe_of_software_events(void **state)
{
    struct tally_event faults = resolve("page-faults"), clock = resolve("task-clock");
    int code = 99;
    bool degraded = true;
    (void)state;
    enum tally_availability availability = tally_event_probe(&faults, &code, &degraded);
    if (availability == TALLY_AVAILABLE_NO && code == TALLY_NOT_ALLOWED) {
        assert_non_null(strstr(tally_error_text(), "allows it"));
        skip();
    }
    assert_int_equal(availability, TALLY_AVAILABLE_YES);
    assert_int_equal(code, 0);
    assert_int_equal(faults.terms[0].exclude_kernel, degraded);
    assert_int_equal(tally_event_probe(&clock, NULL, NULL), TALLY_AVAILABLE_YES);
}

static void test_probe_refuses_what_stays_0(void **state)
{
    struct tally_event event = resolve("context-switches:u");
    int code = 0;
    (void)state;
    assert_int_equal(tally_event_probe(&event, &code, NULL), TALLY_AVAILABLE_NO);
    assert_int_equal(code, TALLY_NOT_FOUND);
    assert_non_null(strstr(tally_error_text(), "would stay 0"));
}

/* Natives of processors that this machine cannot all be. */
static void test_probe_of_foreign_processors(void **state)
{
    static const char *const names[] = {
        "skl::INST_RETIRED:ANY_P", "amd64_fam17h::RETIRED_INSTRUCTIONS", "snb::INST_RETIRED:ANY_P"};
    int refused = 0, resolved = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tally_event_list list;
        if (tally_events_resolve(names[i], FREQUENCY, &list) < 0)
            continue;
        resolved++;
        refused += tally_event_probe(&list.events[0], NULL, NULL) == TALLY_AVAILABLE_NO &&
                   strstr(tally_error_text(), "another processor");
    }
    if (resolved == 0)
        skip();
    assert_true(refused >= resolved - 1);
}

static void test_old_kernels_do_not_sample(void **state)
{
    (void)state;
    played_release = "5.15.0-91-generic";
    assert_true(tally_sigtrap_probe() < 0);
    assert_non_null(strstr(tally_error_text(), "5.18"));
    played_release = NULL;
    if (tally_sigtrap_probe() < 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_alias_resolves),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_encoding_resolves_to_itself),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_modifiers),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_failure_leaves_the_list),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_probe_of_software_events),
        cmocka_unit_test(test_probe_refuses_what_stays_0),
        cmocka_unit_test(test_probe_of_foreign_processors),
        cmocka_unit_test(test_old_kernels_do_not_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
