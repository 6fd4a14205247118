/* Files of metric groups, and their formulas on published counts. */
#include "unit.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/group.h"
#include "events/kernel_names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tally_group *load(const char *name)
{
    char path[512];
    struct tally_group *group = NULL;
    snprintf(path, sizeof(path), "%s/%s.group", TALLY_GROUPS, name);
    if (tally_group_load(&group, path) < 0)
        fail_msg("%s", tally_error_text());
    return group;
}

static const struct tally_variant *variant_for(const struct tally_group *group, const char *name)
{
    for (int i = 0; i < group->variant_count; i++)
        if (strstr(group->variants[i]->processors, name))
            return group->variants[i];
    fail_msg("%s has nothing for %s", group->name, name);
    return NULL;
}

struct count {
    const char *symbol;
    double value;
};

/* The metric of a variant where its events have these counts, in the metric's unit. */
static double metric(const struct tally_variant *variant, const char *name,
                     const struct count *counts)
{
    struct tally_operand operands[TALLY_MAX_EVENTS + 1];
    double value = 0;
    for (int i = 0; i <= variant->event_count; i++)
        operands[i] = (struct tally_operand){.missing = "not given"};
    for (; counts->symbol; counts++)
        for (int i = 0; i <= variant->event_count; i++)
            if (!strcmp(variant->symbols[i].name, counts->symbol))
                operands[i] = (struct tally_operand){.value = counts->value};
    for (int i = 0; i < variant->metric_count; i++) {
        if (strcmp(variant->metrics[i].name, name) != 0)
            continue;
        if (tally_metric_evaluate(variant, &variant->metrics[i], operands, &value) < 0)
            fail_msg("%s: %s", name, tally_error_text());
        return value;
    }
    fail_msg("there is no metric \"%s\"", name);
    return 0;
}

/* A published value has so many decimals: ours must round to it. */
static void rounds_to(double value, double published, int decimals)
{
    double step = pow(10, -decimals);
    if (fabs(value - published) > step / 2 * 1.000001)
        fail_msg("%.6f is not %.*f", value, decimals, published);
}

/* perf wiki, "Top-down analysis with the perf tool", output of "perf stat -M TopdownL1 perf bench
 * mem memcpy" (https://perfwiki.github.io, docs/top-down-analysis.md). */
static void test_topdown_ice_lake(void **state)
{
    static const struct count counts[] = {{"slots", 72813380},   {"retired", 18560273},
                                          {"bad", 4568682},      {"frontend", 17703645},
                                          {"backend", 31980778}, {NULL, 0}};
    struct tally_group *group = load("topdown");
    const struct tally_variant *variant = variant_for(group, "cpu/topdown-retiring/");
    (void)state;
    rounds_to(metric(variant, "retiring", counts), 25.5, 1);
    rounds_to(metric(variant, "bad speculation", counts), 6.3, 1);
    rounds_to(metric(variant, "frontend bound", counts), 24.3, 1);
    rounds_to(metric(variant, "backend bound", counts), 43.9, 1);
    tally_group_free(group);
}

/* Arm Learning Paths, "Measure cross-platform performance with topdown-tool and Perf PMU counters",
 * output of "perf stat -M topdownl1" for core-bound-div-chain on an Intel processor (each metric
 * there has counts of its own, which took turns). */
static void test_topdown_older_intel(void **state)
{
    static const struct count first[] = {{"issued", 7030153262},
                                         {"cycles", 19206823557},
                                         {"retired", 7026625438},
                                         {"recovering", 1111503},
                                         {NULL, 0}};
    static const struct count second[] = {{"issued", 7017115812},
                                          {"bubbles", 31942584},
                                          {"recovering", 704834},
                                          {"cycles", 19201754818},
                                          {NULL, 0}};
    static const struct count third[] = {{"bubbles", 26956040}, {"cycles", 19203260401}, {NULL, 0}};
    struct tally_group *group = load("topdown");
    const struct tally_variant *variant = variant_for(group, "skl");
    (void)state;
    rounds_to(metric(variant, "retiring", first) / 100, 0.09, 2);
    rounds_to(metric(variant, "bad speculation", first) / 100, 0.00, 2);
    rounds_to(metric(variant, "backend bound", second) / 100, 0.91, 2);
    rounds_to(metric(variant, "frontend bound", third) / 100, 0.00, 2);
    tally_group_free(group);
}

/* Arm Learning Paths, "Gather performance metrics" (top-down-n1), the program "stride": perf stat's
 * instructions and cycles, then stalled cycles. */
static void test_neoverse_n1(void **state)
{
    static const struct count stalls[] = {
        {"cycles", 44847565198}, {"backend", 37845044034}, {"frontend", 706422}, {NULL, 0}};
    static const struct count ipc[] = {
        {"instructions", 10002762164}, {"cycles", 45157063927}, {NULL, 0}};
    struct tally_group *topdown = load("topdown"), *group = load("ipc");
    (void)state;
    rounds_to(metric(variant_for(topdown, "arm_n1"), "backend stalled cycles", stalls), 84.39, 2);
    rounds_to(metric(variant_for(topdown, "arm_n1"), "frontend stalled cycles", stalls), 0.00, 2);
    rounds_to(metric(group->variants[0], "instructions per cycle", ipc), 0.22, 2);
    tally_group_free(topdown);
    tally_group_free(group);
}

/* perf wiki, same page: "perf stat perf bench mem memcpy" with its default events. */
static void test_clock_and_branches(void **state)
{
    static const struct count counts[] = {{"cycles", 94684914}, {"instructions", 117788965},
                                          {"busy", 21.38e6},    {"branches", 25949650},
                                          {"missed", 252622},   {NULL, 0}};
    struct tally_group *ipc = load("ipc"), *branches = load("branches");
    (void)state;
    rounds_to(metric(ipc->variants[0], "instructions per cycle", counts), 1.24, 2);
    rounds_to(metric(ipc->variants[0], "clock rate", counts), 4.429, 3);
    rounds_to(metric(branches->variants[0], "branches mispredicted", counts), 0.97, 2);
    tally_group_free(ipc);
    tally_group_free(branches);
}

static void refuses(const char *text, const char *why)
{
    char path[] = "/tmp/group-XXXXXX";
    struct tally_group *group = NULL;
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs(text, file);
    fclose(file);
    int result = tally_group_load(&group, path);
    unlink(path);
    tally_group_free(group);
    assert_true(result < 0);
    if (strncmp(tally_error_text(), path, strlen(path)) != 0 || !strstr(tally_error_text(), why))
        fail_msg("refused with: %s", tally_error_text());
}

#define EVENTS "SHORT x\nEVENTS\n a = PAPI_TOT_CYC\n t = task-clock [ns]\nMETRICS\n"

static void test_file_errors(void **state)
{
    (void)state;
    refuses("", "SHORT is missing");
    refuses("SHORT x\nLONG\ny\n", "EVENTS and METRICS are missing");
    refuses(EVENTS " m [1] = a / a\n n [s] = t\n", "LONG is missing");
    refuses(EVENTS " m [GHz] = t / a\n", ":6: the formula of \"m\" is in s/count");
    refuses(EVENTS " m [1] = a / b\n", ":6: there is no event \"b\"");
    refuses(EVENTS " m [1] = a / a\nLONG\ny\n", ":4: no metric uses \"t\"");
    refuses(EVENTS " m = a\n", "a [UNIT] must stand");
    refuses(EVENTS " m [1] = a / a\n m [1] = a / a\n", ":7: the metric \"m\" is there twice");
    refuses("SHORT x\nEVENTS\n a = b\n a = c\n", ":4: the symbol \"a\" is there twice");
    refuses("SHORT x\nEVENTS\n min = b\n", ":3: \"min\" has a meaning");
    refuses("SHORT x\nFOR skl\nLONG\ny\n", ":2: EVENTS and METRICS must both follow");
    refuses("NONSENSE\n", ":1: \"NONSENSE\" is not expected here");
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A hybrid processor as the kernel describes it. */
static void test_kernel_names(void **state)
{
    char folder[] = "/tmp/devices-XXXXXX", command[64];
    struct tally_term term;
    (void)state;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "cpu_core/type", "4\n");
    write_file(folder, "cpu_core/events/slots", "event=0x00,umask=0x4\n");
    write_file(folder, "cpu_core/format/event", "config:0-7\n");
    write_file(folder, "cpu_core/format/umask", "config:8-15\n");
    write_file(folder, "cpu_atom/type", "10\n");
    write_file(folder, "cpu_atom/events/odd", "event=0x1ff\n");
    write_file(folder, "cpu_atom/format/event", "config:0-7,32-35\n");
    write_file(folder, "software/type", "1\n");
    tally_kernel_names_from(folder);
    assert_int_equal(tally_cores()->count, 2);
    assert_string_equal(tally_cores()->cores[0].name, "cpu_atom");
    assert_int_equal(tally_cores()->cores[0].type, 10);
    assert_string_equal(tally_cores()->cores[1].name, "cpu_core");
    assert_true(tally_kernel_name_exists("cpu_core/slots/"));
    assert_false(tally_kernel_name_exists("cpu_atom/slots/"));
    assert_int_equal(tally_kernel_name_encode("cpu_core/slots/", true, false, &term), 0);
    assert_int_equal(term.type, 4);
    assert_int_equal(term.config, 0x400);
    assert_true(term.exclude_kernel);
    assert_int_equal(tally_kernel_name_encode("cpu_atom/odd/", true, true, &term), 0);
    assert_true(term.config == 0x1000000ffULL);
    assert_int_equal(tally_kernel_name_encode("cpu/slots/", true, true, &term), TALLY_NOT_FOUND);
    tally_kernel_names_from(NULL);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topdown_ice_lake), cmocka_unit_test(test_topdown_older_intel),
        cmocka_unit_test(test_neoverse_n1),      cmocka_unit_test(test_clock_and_branches),
        cmocka_unit_test(test_file_errors),      cmocka_unit_test(test_kernel_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
