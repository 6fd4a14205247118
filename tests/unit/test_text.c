/* Text that JSON, CSV and terminals can take; buffers; CSV fields. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "output/csv.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_clean(const char *bytes, size_t size, const char *expected)
{
    char *text = tally_text_clean(bytes, size);
    assert_string_equal(text, expected);
    free(text);
}

#define ASSERT_CLEAN(bytes, expected) assert_clean(bytes, sizeof(bytes) - 1, expected)

static void test_well_formed(void **state)
{
    (void)state;
    ASSERT_CLEAN("", "");
    ASSERT_CLEAN("plain ~", "plain ~");
    ASSERT_CLEAN("größe 計測 𠮷 \xf4\x8f\xbf\xbf", "größe 計測 𠮷 \xf4\x8f\xbf\xbf");
    ASSERT_CLEAN("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80",
                 "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80");
}

static void test_short_paths(void **state)
{
    (void)state;
    assert_string_equal(tally_text_short_path("/usr/lib/python3/json/encoder.py"), "encoder.py");
    assert_string_equal(tally_text_short_path("/usr/lib/json/__init__.py"), "json/__init__.py");
    assert_string_equal(tally_text_short_path("/tool/__main__.py"), "tool/__main__.py");
    assert_string_equal(tally_text_short_path("/__init__.py"), "/__init__.py");
    assert_string_equal(tally_text_short_path("a/__init__.py"), "a/__init__.py");
    assert_string_equal(tally_text_short_path("__init__.py"), "__init__.py");
    assert_string_equal(tally_text_short_path("<frozen os>"), "<frozen os>");
    assert_string_equal(tally_text_short_path(""), "");
}

static void test_control_characters(void **state)
{
    (void)state;
    ASSERT_CLEAN("a\tb\nc\x1b[1m\x7f", "a\\x09b\\x0ac\\x1b[1m\\x7f");
    ASSERT_CLEAN("a\0b", "a\\x00b");
    char *line = tally_text_clean_line("\f\tcaf\xe9\x1b\0", 8);
    assert_string_equal(line, "\f\tcaf\\xe9\\x1b\\x00");
    free(line);
}

/* Everything that RFC 3629 excludes. */
static void test_malformed(void **state)
{
    (void)state;
    ASSERT_CLEAN("\x80", "\\x80");
    ASSERT_CLEAN("\xff\xfe", "\\xff\\xfe");
    ASSERT_CLEAN("\xc0\x80", "\\xc0\\x80");                   /* too long for U+0000 */
    ASSERT_CLEAN("\xe0\x80\x80", "\\xe0\\x80\\x80");          /* too long */
    ASSERT_CLEAN("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"); /* too long */
    ASSERT_CLEAN("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
    ASSERT_CLEAN("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    ASSERT_CLEAN("\xe2\x82", "\\xe2\\x82");                   /* cut */
    ASSERT_CLEAN("\xe2\x82z", "\\xe2\\x82z");
    ASSERT_CLEAN("\xe2", "\\xe2");
}

static void test_commands(void **state)
{
    char *const argv[] = {(char[]){"python3"},      (char[]){"-c"},
                          (char[]){"print('a b')"}, (char[]){""},
                          (char[]){"größe"},        (char[]){"x=1,y:/%^@+._-"},
                          (char[]){"$HOME"},        NULL};
    static char *const none[] = {NULL};
    (void)state;
    char *text = tally_text_command(argv);
    assert_string_equal(text,
                        "python3 -c 'print('\\''a b'\\'')' '' 'größe' x=1,y:/%^@+._- '$HOME'");
    free(text);
    text = tally_text_command(none);
    assert_string_equal(text, "");
    free(text);
}

static void test_buffers(void **state)
{
    struct tally_buffer buffer = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        tally_buffer_printf(&buffer, "%d,", i);
    assert_int_equal(buffer.size, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(buffer.data), buffer.size);
    assert_memory_equal(buffer.data, "0,1,2,", 6);
    tally_buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    tally_buffer_append(&buffer, "a\0b", 3);
    assert_int_equal(buffer.size, 3);
    tally_buffer_release(&buffer);
    assert_null(buffer.data);
}

static void test_errors(void **state)
{
    (void)state;
    assert_int_equal(tally_error("one %d", 1), TALLY_ERROR);
    assert_int_equal(tally_error_code(TALLY_DAMAGED, "again: %s", tally_error_text()),
                     TALLY_DAMAGED);
    assert_string_equal(tally_error_text(), "again: one 1");
}

static void assert_field(const char *text, const char *expected)
{
    char *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    tally_csv_field(stream, text);
    fclose(stream);
    assert_string_equal(out, expected);
    free(out);
}

static void test_csv_fields(void **state)
{
    (void)state;
    assert_field("plain <locals>.f", "plain <locals>.f");
    assert_field("", "");
    assert_field("a,b", "\"a,b\"");
    assert_field("say \"it\"", "\"say \"\"it\"\"\"");
    assert_field("two\nlines", "\"two\nlines\"");
    assert_field("größe", "größe");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_short_paths),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_csv_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
