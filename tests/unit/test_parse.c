#include "base/error.h"
#include "base/parse.h"
#include "unit.h"

#include <string.h>

static void test_counts(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {
        {"0", 0}, {"250", 250}, {"10k", 10000}, {"10K", 10000}, {"2M", 2000000}, {"1G", 1000000000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 99;
        assert_int_equal(tally_parse_count(cases[i].text, "the count", &value), 0);
        assert_int_equal(value, cases[i].value);
    }
}

static void test_sizes(void **state)
{
    uint64_t value = 0;
    (void)state;
    assert_int_equal(tally_parse_size("64K", "the size", &value), 0);
    assert_int_equal(value, 65536);
    assert_int_equal(tally_parse_size("2G", "the size", &value), 0);
    assert_int_equal(value, 2147483648U);
}

static void test_refusals(void **state)
{
    static const char *const wrong[] = {"",    "x",   "-1", "1.5", "10kk",
                                        "10x", " 10", "+3", "k",   "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t value = 99;
        assert_true(tally_parse_count(wrong[i], "the count", &value) < 0);
        assert_int_equal(value, 99);
        assert_non_null(strstr(tally_error_text(), "the count"));
    }
    uint64_t value = 99;
    assert_true(tally_parse_count("18446744073709551615G", "the count", &value) < 0);
    assert_non_null(strstr(tally_error_text(), "too large"));
    assert_int_equal(value, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
