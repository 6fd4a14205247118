/* Module names from files, and which file or module a command line runs. */
#include "profile/module.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_where_interpreters_put_things(void **state)
{
    static const struct {
        const char *file, *module;
    } cases[] = {
        {"/usr/lib/python3.11/json/decoder.py", "json.decoder"},
        {"/usr/lib/python3.11/json/__init__.py", "json"},
        {"/usr/lib/python3.11/os.py", "os"},
        {"/opt/python3.9/lib/python3.12/asyncio/base_events.py", "asyncio.base_events"},
        {"/usr/lib64/python3.13/email/message.py", "email.message"},
        {"/home/user/python3.11/program.py", "program"},
        {"/usr/lib/python3/dist-packages/yaml/loader.py", "yaml.loader"},
        {"/venv/lib/python3.13/site-packages/numpy/core/__init__.py", "numpy.core"},
        {"/venv/lib/python3.13/site-packages/six.py", "six"},
        {"/usr/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so", "_json"},
        {"/nowhere/at all/program.py", "program"},
        {"/nowhere/größe.py", "größe"},
        {"<frozen importlib._bootstrap>", "importlib._bootstrap"},
        {"<frozen os", "os"},
        {"<string>", ""},
        {"<stdin>", ""},
        {"", ""},
        {"/", ""},
        {"program.py", "program"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *module = tally_module_of(cases[i].file);
        assert_string_equal(module, cases[i].module);
        free(module);
    }
}

static void make_file(const char *root, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fclose(out);
}

static void make_folder(const char *root, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void assert_module(const char *root, const char *name, const char *expected)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    char *module = tally_module_of(path);
    assert_string_equal(module, expected);
    free(module);
}

static void test_packages_elsewhere(void **state)
{
    static const char *const things[] = {
        "src/tools/inner/part.py",
        "src/tools/inner/__init__.py",
        "src/tools/__init__.py",
        "src/tools/inner",
        "src/tools",
        "src",
    };
    char root[] = "/tmp/modules-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(root));
    make_folder(root, "src");
    make_folder(root, "src/tools");
    make_folder(root, "src/tools/inner");
    for (size_t i = 0; i < 3; i++)
        make_file(root, things[i]);
    assert_module(root, "src/tools/inner/part.py", "tools.inner.part");
    assert_module(root, "src/tools/inner/__init__.py", "tools.inner");
    assert_module(root, "src/main.py", "main");
    assert_module(root, "src/tools/gone.py", "tools.gone");
    for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", root, things[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(rmdir(root), 0);
}

/* As zipimport names it. */
static void test_archives(void **state)
{
    char root[] = "/tmp/modules-XXXXXX", path[512];
    (void)state;
    assert_non_null(mkdtemp(root));
    make_file(root, "program.pyz");
    assert_module(root, "program.pyz/tools/inner/part.py", "tools.inner.part");
    assert_module(root, "program.pyz/tools/__init__.py", "tools");
    assert_module(root, "program.pyz/__main__.py", "__main__");
    assert_module(root, "gone.pyz/tools/part.py", "part");
    snprintf(path, sizeof(path), "%s/program.pyz", root);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(root), 0);
}

static void test_programs(void **state)
{
    static const struct {
        const char *arguments, *file, *module;
    } cases[] = {
        {"python3\nprogram.py\n-m\nx", "/dir/program.py", NULL},
        {"python3\n./a b/program.py", "/dir/a b/program.py", NULL},
        {"python3\n/abs/program.py", "/abs/program.py", NULL},
        {"python3\n-u\n-B\nprogram.py", "/dir/program.py", NULL},
        {"python3\n-W\nignore\nprogram.py", "/dir/program.py", NULL},
        {"python3\n-Wignore\nprogram.py", "/dir/program.py", NULL},
        {"python3\n-X\ndev\n-X\nutf8\nprogram.py", "/dir/program.py", NULL},
        {"python3\n-uX\ndev\nprogram.py", "/dir/program.py", NULL},
        {"python3\n--check-hash-based-pycs\nalways\nprogram.py", "/dir/program.py", NULL},
        {"python3\n-m\njson.tool\nfile", NULL, "json.tool"},
        {"python3\n-mjson.tool", NULL, "json.tool"},
        {"python3\n-um\njson.tool", NULL, "json.tool"},
        {"python3\n-m", NULL, ""},
        {"python3\n-c\nprint(1)", "<string>", NULL},
        {"python3\n-uc\nprint(1)", "<string>", NULL},
        {"python3\n-", "<stdin>", NULL},
        {"python3", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *file, *module;
        tally_module_of_program(cases[i].arguments, "/dir", &file, &module);
        if (cases[i].file)
            assert_string_equal(file, cases[i].file);
        else
            assert_null(file);
        if (cases[i].module)
            assert_string_equal(module, cases[i].module);
        else
            assert_null(module);
        free(file);
        free(module);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_interpreters_put_things),
        cmocka_unit_test(test_packages_elsewhere),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
