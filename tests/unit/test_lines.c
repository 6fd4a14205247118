/*
 * Line tables: each kind of entry by hand, after CPython's InternalDocs/code_objects.md, and those
 * of real functions with what their Python says of them (line_tables.py).
 */
#include "python/lines.h"
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An entry's first byte: its kind, and how many code units it is for. */
#define HEAD(kind, units) (0x80 | (kind) << 3 | ((units)-1))

enum { ONE_LINE = 10, NO_COLUMNS = 13, LONG = 14, NONE = 15, TABLE_MOST = 8192 };

static void assert_lines(const uint8_t *table, size_t size, uint32_t first_line,
                         const uint32_t *expected, size_t count)
{
    uint32_t *lines = NULL;
    assert_int_equal(py_lines_decode(table, size, first_line, &lines), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(lines[i], expected[i]);
    free(lines);
}

#define ASSERT_LINES(table, first, ...)                                                            \
    do {                                                                                           \
        static const uint32_t expected_[] = {__VA_ARGS__};                                         \
        assert_lines(table, sizeof(table), first, expected_,                                       \
                     sizeof(expected_) / sizeof(expected_[0]));                                    \
    } while (0)

static void test_every_kind(void **state)
{
    static const uint8_t table[] = {
        HEAD(0, 2),
        0x12, /* short: same line, a byte of columns */
        HEAD(9, 1),
        0x7f, /* the last of the short ones */
        HEAD(ONE_LINE, 1),
        1,
        2, /* same line, two columns */
        HEAD(ONE_LINE + 1, 3),
        1,
        2, /* next line */
        HEAD(ONE_LINE + 2, 1),
        1,
        2, /* two on */
        HEAD(NO_COLUMNS, 1),
        2 << 1, /* two on */
        HEAD(NO_COLUMNS, 2),
        3 << 1 | 1, /* three back */
        HEAD(LONG, 1),
        5 << 1,
        1,
        0x43,
        1,
        4,             /* five on; end line and two columns, one of 2 bytes */
        HEAD(NONE, 8), /* no line: the one before holds */
        HEAD(ONE_LINE + 1, 1),
        0,
        0, /* counted from the last line there was */
    };
    (void)state;
    ASSERT_LINES(table, 10, 10, 10, 10, 10, 11, 11, 11, 13, 15, 12, 12, 17, 17, 17, 17, 17, 17, 17,
                 17, 17, 18);
}

static void test_steps_of_several_bytes(void **state)
{
    /* 100 000 zig-zag encoded is 200 000 = 0b110000_110101_000000, the lowest 6 bits first. */
    static const uint8_t table[] = {HEAD(NO_COLUMNS, 1), 0x40, 0x40 | 53, 48,
                                    HEAD(NO_COLUMNS, 1), 0x41, 0x40 | 53, 48};
    (void)state;
    ASSERT_LINES(table, 7, 100007, 7);
}

static void test_lines_that_cannot_be(void **state)
{
    /* Below 0 and above 2^32 there are none: the one before stays. */
    static const uint8_t below[] = {HEAD(NO_COLUMNS, 1), 4 << 1 | 1, HEAD(NO_COLUMNS, 1), 5 << 1};
    static const uint8_t above[] = {HEAD(NO_COLUMNS, 1), 1 << 1, HEAD(NO_COLUMNS, 1), 3 << 1 | 1};
    static const uint8_t endless[] = {HEAD(NO_COLUMNS, 1), 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f};
    uint32_t *lines = NULL;
    (void)state;
    ASSERT_LINES(below, 3, 3, 4);
    ASSERT_LINES(above, UINT32_MAX, UINT32_MAX, UINT32_MAX - 2);
    py_lines_decode(endless, sizeof(endless), 1, &lines);
    free(lines);
}

static void test_empty(void **state)
{
    uint32_t *lines = (uint32_t *)(uintptr_t)1;
    (void)state;
    assert_int_equal(py_lines_decode((const uint8_t *)"", 0, 5, &lines), 0);
    assert_null(lines);
}

struct real_table {
    char name[64];
    uint32_t first_line;
    size_t size, count;
    uint8_t table[TABLE_MOST];
    uint32_t lines[TABLE_MOST];
};

static void read_real_table(struct real_table *real, const char *text)
{
    int at = 0, step;
    unsigned byte;
    uint32_t line;
    size_t units;
    *real = (struct real_table){.size = 0};
    assert_int_equal(sscanf(text, "%63s %" SCNu32 " %n", real->name, &real->first_line, &at), 2);
    for (text += at; *text != ' ' && sscanf(text, "%2x", &byte) == 1; text += 2)
        real->table[real->size++] = (uint8_t)byte;
    for (text++; sscanf(text, "%zux%" SCNu32 "%n", &units, &line, &step) == 2; text += step) {
        while (units--)
            real->lines[real->count++] = line;
        step += text[step] == ',';
    }
    assert_true(real->size > 0 && real->count > 0);
}

/* Decoded as far as whole entries go, and never read beyond its end (ASan). */
static void assert_cut(const struct real_table *real)
{
    for (size_t size = 0; size < real->size; size++) {
        uint8_t *part = malloc(size ? size : 1);
        uint32_t *lines = NULL;
        memcpy(part, real->table, size);
        size_t count = py_lines_decode(part, size, real->first_line, &lines);
        assert_true(count < real->count);
        if (count)
            assert_memory_equal(lines, real->lines, count * sizeof(*lines));
        free(lines);
        free(part);
    }
}

static void test_real_functions(void **state)
{
    static struct real_table real;
    char path[4096], *line = NULL;
    size_t room = 0, functions = 0;
    snprintf(path, sizeof(path), "%s/lines-%s.txt", TALLY_TEST_DATA, (const char *)*state);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    while (getline(&line, &room, in) > 0) {
        if (line[0] == '#')
            continue;
        read_real_table(&real, line);
        assert_lines(real.table, real.size, real.first_line, real.lines, real.count);
        assert_cut(&real);
        functions++;
    }
    assert_true(functions > 10);
    free(line);
    fclose(in);
}

#define REAL(version) cmocka_unit_test_prestate(test_real_functions, (void *)(uintptr_t)(version))

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_steps_of_several_bytes),
        cmocka_unit_test(test_lines_that_cannot_be),
        cmocka_unit_test(test_empty),
        REAL("3.11"),
        REAL("3.12"),
        REAL("3.13"),
        REAL("3.14"),
        REAL("3.15"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
