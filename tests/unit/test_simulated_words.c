/* What is told of Valgrind's words: the instruction it does not know, and why it gave up. */
#include "sources/simulated_words.h"
#include "unit.h"

static void unknown(void **state)
{
    char text[64];
    (void)state;
    tally_words_of_unknown("==12== Warning: noted but unhandled ioctl 0x5422\n"
                           "tallystack: unknown instruction 62 f1 in main (/bin/x)\n"
                           "tallystack: unknown instruction c5 in other (/bin/y)\n",
                           text, sizeof(text));
    assert_string_equal(text, "the instruction 62 f1 in main (/bin/x)");
    tally_words_of_unknown("", text, sizeof(text));
    assert_string_equal(text, "an instruction of the program");
}

static void failure(void **state)
{
    char text[128];
    (void)state;
    assert_true(tally_words_of_failure("\nvalgrind: the 'impossible' happened:\n"
                                       "   Max number of threads is too low\n\nhost stacktrace:\n",
                                       text, sizeof(text)));
    assert_string_equal(text, "the 'impossible' happened: Max number of threads is too low");
    assert_true(tally_words_of_failure("==7== Valgrind: FATAL: cannot map memory.\n==7== more\n",
                                       text, sizeof(text)));
    assert_string_equal(text, "Valgrind: FATAL: cannot map memory");
    assert_true(tally_words_of_failure("valgrind: it ends here:", text, sizeof(text)));
    assert_string_equal(text, "it ends here:");
}

static void no_failure(void **state)
{
    char text[128];
    (void)state;
    assert_false(tally_words_of_failure("==7== Process terminating with default action of signal\n"
                                        "==7== (valgrind is not meant)\n",
                                        text, sizeof(text)));
    assert_false(tally_words_of_failure("", text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown),
        cmocka_unit_test(failure),
        cmocka_unit_test(no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
