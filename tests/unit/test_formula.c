/* Units and formulas of metric groups. */
#include "unit.h"

#include "base/error.h"
#include "events/formula.h"

#include <string.h>

static struct tally_symbol symbols[3];

static int set_up(void **state)
{
    (void)state;
    symbols[0] = (struct tally_symbol){"a", tally_quantity_of_event(TALLY_UNIT_COUNT)};
    symbols[1] = (struct tally_symbol){"b", tally_quantity_of_event(TALLY_UNIT_COUNT)};
    symbols[2] = (struct tally_symbol){"time", tally_quantity_of_event(TALLY_UNIT_NS)};
    return 0;
}

static double value_of(const char *text, double a, double b, double time_ns)
{
    struct tally_formula formula;
    const struct tally_operand operands[] = {{.value = a}, {.value = b}, {.value = time_ns}};
    double value = 0;
    assert_int_equal(tally_formula_parse(&formula, text, symbols, 3), 0);
    assert_int_equal(tally_formula_evaluate(&formula, symbols, operands, &value), 0);
    return value;
}

static void refuses(const char *text, const char *why)
{
    struct tally_formula formula;
    assert_true(tally_formula_parse(&formula, text, symbols, 3) < 0);
    if (!strstr(tally_error_text(), why))
        fail_msg("\"%s\" is refused with: %s", text, tally_error_text());
}

static void test_arithmetic(void **state)
{
    (void)state;
    assert_float_equal(value_of("a + 2 * b", 3, 5, 0), 13, 0);
    assert_float_equal(value_of("(a + b) / a", 4, 6, 0), 2.5, 0);
    assert_float_equal(value_of("a - b - a", 10, 3, 0), -3, 0);
    assert_float_equal(value_of("1 - a / b / 2", 8, 2, 0), -1, 0);
    assert_float_equal(value_of("-a + b", 1, 3, 0), 2, 0);
    assert_float_equal(value_of("max(a, b, 2 * a)", 4, 5, 0), 8, 0);
    assert_float_equal(value_of("min(a, b)", 4, 5, 0), 4, 0);
}

static void test_base_units(void **state)
{
    (void)state;
    assert_float_equal(value_of("a / time", 500, 0, 2e9), 250, 1e-9);
    assert_float_equal(value_of("64[B/count] * a / time", 1000, 0, 1e9), 64000, 1e-9);
}

static void test_units(void **state)
{
    struct tally_quantity unit;
    (void)state;
    assert_int_equal(tally_quantity_parse(&unit, "GB/s", 4), 0);
    assert_float_equal(unit.scale, 1e9, 0);
    assert_string_equal(tally_dimension_text(unit.dimension), "B/s");
    assert_int_equal(tally_quantity_parse(&unit, "GHz", 3), 0);
    assert_string_equal(tally_dimension_text(unit.dimension), "count/s");
    assert_int_equal(tally_quantity_parse(&unit, "1/1000", 6), 0);
    assert_float_equal(unit.scale, 0.001, 1e-18);
    assert_true(tally_quantity_parse(&unit, "furlong", 7) < 0);
    assert_true(tally_quantity_parse(&unit, "0", 1) < 0);
    assert_true(tally_quantity_parse(&unit, "", 0) < 0);
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("a + time", "count and s cannot be added");
    refuses("1 - a", "cannot be subtracted");
    refuses("max(a, time)", "cannot be compared");
    refuses("a + c", "no event \"c\"");
    refuses("a b", "not expected");
    refuses("(a", "ends too early");
    refuses("a +", "ends too early");
    refuses("", "ends too early");
    refuses("5[furlong] * a", "no unit \"furlong\"");
    refuses("5[B * a", "\"]\" is missing");
    refuses("((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))", "nested");
}

static void test_what_is_missing(void **state)
{
    struct tally_formula formula;
    double value = 7;
    const struct tally_operand zero[] = {{.value = 1}, {.value = 0}, {.value = 0}};
    const struct tally_operand none[] = {{.value = 1}, {.missing = "no PMU"}, {.value = 0}};
    (void)state;
    assert_int_equal(tally_formula_parse(&formula, "a / (b + b)", symbols, 3), 0);
    assert_true(tally_formula_evaluate(&formula, symbols, zero, &value) < 0);
    assert_string_equal(tally_error_text(), "its divisor, (b + b), is 0.");
    assert_true(tally_formula_evaluate(&formula, symbols, none, &value) < 0);
    assert_string_equal(tally_error_text(), "no PMU");
    assert_float_equal(value, 7, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),      cmocka_unit_test(test_base_units),
        cmocka_unit_test(test_units),           cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_is_missing),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
