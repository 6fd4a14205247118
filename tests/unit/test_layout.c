/* Which interpreters are taken for known, and what is said of the others. */
#include "python/layout.h"
#include "recorded_memory.h"
#include "unit.h"

#include <string.h>

enum { COOKIE = 0, VERSION = 1, FREE_THREADED = 2 };

static void test_real_builds(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    char reason[PY_REASON_SIZE] = "";
    const struct py_layout *layout =
        py_layout_find(recorded->version, recorded->runtime, sizeof(recorded->runtime), reason);
    assert_non_null(layout);
    assert_string_equal(reason, "");
    assert_int_equal(layout->version, recorded->version >> 16);
    assert_ptr_equal(layout, py_layout_find(recorded->version, NULL, 0, reason));
    recorded_release(recorded);
}

static void assert_refused(struct recorded_memory *recorded, size_t size, const char *why)
{
    char reason[PY_REASON_SIZE] = "";
    assert_null(py_layout_find(recorded->version, recorded->runtime, size, reason));
    assert_non_null(strstr(reason, why));
}

static void test_tables_that_differ(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    char reason[PY_REASON_SIZE];
    size_t size = sizeof(recorded->runtime), needed = size;
    const uint32_t version = recorded->version;
    uint64_t *words = recorded->runtime;
    while (py_layout_find(version, words, needed - 1, reason))
        needed--;
    assert_true(needed > 8 * sizeof(*words) && needed < size);
    for (size_t less = 0; less < needed; less++)
        assert_refused(recorded, less, "has no table of offsets");

    uint64_t cookie = words[COOKIE];
    words[COOKIE] ^= 1;
    assert_refused(recorded, size, "has no table of offsets");
    words[COOKIE] = cookie;
    words[VERSION] ^= 0x100; /* another micro release's table */
    assert_refused(recorded, size, "has no table of offsets");
    words[VERSION] = version;
    words[FREE_THREADED] = 1;
    assert_refused(recorded, size, "free-threaded");
    words[FREE_THREADED] = 0;
    assert_non_null(py_layout_find(version, words, size, reason));
    recorded_release(recorded);
}

/* What the table says of threads (2), frames (4) and code objects (5) and the walker goes by. */
static void test_every_offset_matters(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    char reason[PY_REASON_SIZE];
    size_t size = sizeof(recorded->runtime);
    int refused = 0;
    for (size_t i = FREE_THREADED + 1; i < RECORDED_RUNTIME; i++) {
        recorded->runtime[i] += 8;
        if (!py_layout_find(recorded->version, recorded->runtime, size, reason)) {
            assert_non_null(strstr(reason, "has an unknown layout"));
            refused++;
        }
        recorded->runtime[i] -= 8;
    }
    assert_int_equal(refused, 2 + 4 + 5);
    recorded_release(recorded);
}

static void test_unknown_versions(void **state)
{
    static const struct {
        uint32_t version;
        const char *reason;
    } cases[] = {
        {0x030a0df0, "Python 3.10 is not supported"},
        {0x031000f0, "Python 3.16 is not supported"},
        {0x02071200, "Python 2.7 is not supported"},
        {0x040000f0, "Python 4.0 is not supported"},
        {0, "Python 0.0 is not supported"},
        {UINT32_MAX, "Python 255.255 is not supported"},
    };
    uint64_t words[RECORDED_RUNTIME] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char reason[PY_REASON_SIZE] = "";
        assert_null(py_layout_find(cases[i].version, words, sizeof(words), reason));
        assert_string_equal(reason, cases[i].reason);
    }
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; recorded_versions[i]; i++) {
        void *with = (void *)(uintptr_t)recorded_versions[i];
        const struct CMUnitTest all[] = {cmocka_unit_test_prestate(test_real_builds, with)};
        const struct CMUnitTest with_table[] = {
            cmocka_unit_test_prestate(test_tables_that_differ, with),
            cmocka_unit_test_prestate(test_every_offset_matters, with),
        };
        failed += cmocka_run_group_tests_name(recorded_versions[i], all, NULL, NULL);
        if (strcmp(recorded_versions[i], "3.13") >= 0)
            failed += cmocka_run_group_tests_name(recorded_versions[i], with_table, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unknown_versions)};
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
