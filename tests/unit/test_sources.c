/*
 * The contract of sources.h, held by every source that can count here. The workload is this program
 * itself, which touches pages in a child and in a grandchild.
 */
#include "base/error.h"
#include "base/launch.h"
#include "sources/source.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGES = 4000, EXIT_STATUS = 7 };

struct contract {
    enum tally_source_kind kind;
    const char *events;
    int moves;    /* the first events, of which each must move */
    double below; /* pages that the first event must at least have seen */
};

static const struct contract contracts[] = {
    {TALLY_SOURCE_SOFTWARE, "page-faults,task-clock,context-switches,cycles,task-clock:u", 3,
     PAGES},
    {TALLY_SOURCE_CLOCK, "page-faults,task-clock,minor-faults,task-clock:u,cpu-migrations", 3,
     PAGES},
    {TALLY_SOURCE_HARDWARE, "cycles,instructions:u,instructions", 2, PAGES},
};

static void touch_pages(int pages)
{
    size_t size = (size_t)pages * 4096;
    volatile char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    madvise((void *)(uintptr_t)memory, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
}

/* With "idle" as its word it touches nothing. */
static int be_the_workload(const char *word)
{
    if (!strcmp(word, "idle"))
        return EXIT_STATUS;
    touch_pages(PAGES / 4);
    pid_t child = fork();
    if (child == 0) {
        touch_pages(PAGES / 4);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            touch_pages(PAGES / 2);
            usleep(1000);
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return EXIT_STATUS;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static bool can_count(const struct tally_event_list *list, int moves)
{
    for (int i = 0; i < moves; i++) {
        struct tally_event event = list->events[i];
        if (tally_event_probe(&event, NULL, NULL) != TALLY_AVAILABLE_YES)
            return false;
    }
    return true;
}

static void count_program(const struct tally_source *source, const struct tally_event_list *list,
                          char *word, struct tally_count *counts)
{
    static char self[] = "/proc/self/exe";
    char *argv[] = {self, word, NULL};
    struct tally_launch launch;
    struct tally_source_context *context = NULL;
    int status = 0;
    assert_int_equal(tally_launch_prepare(&launch, argv, NULL), 0);
    assert_int_equal(source->open(&context, list->events, list->count, launch.pid), 0);
    assert_int_equal(source->read(context, counts), 0); /* held: nothing counted yet, no failure */
    assert_int_equal(tally_launch_go(&launch, &status), 0);
    assert_int_equal(tally_launch_wait(&launch, true, &status, NULL), 1);
    assert_int_equal(status, EXIT_STATUS);
    assert_int_equal(source->read(context, counts), 0);
    source->close(context);
    tally_launch_release(&launch);
}

static void count_workload(const struct tally_source *source, const struct tally_event_list *list,
                           struct tally_count *counts)
{
    static char word[] = "workload";
    count_program(source, list, word, counts);
}

static void test_contract(void **state)
{
    const struct contract *contract = *state;
    const struct tally_source *source = tally_source_of(contract->kind);
    struct tally_event_list list;
    struct tally_count counts[TALLY_MAX_EVENTS];
    assert_string_equal(source->name, tally_source_name(contract->kind));
    assert_int_equal(tally_events_resolve(contract->events, 1000, &list), 0);
    if (contract->kind != TALLY_SOURCE_CLOCK && !can_count(&list, contract->moves)) {
        print_message("skipped: the %s source: %s\n", source->name, tally_error_text());
        const char *required = getenv("TALLYSTACK_TEST_REQUIRE");
        assert_false(required && contract->kind == TALLY_SOURCE_HARDWARE &&
                     strstr(required, "pmu"));
        skip();
    }
    count_workload(source, &list, counts); /* what starts once, PAPI for one, stays open */
    int before = open_descriptors();
    count_workload(source, &list, counts);
    assert_int_equal(open_descriptors(), before);
    for (int i = 0; i < list.count; i++) {
        assert_true(counts[i].missing == (counts[i].why != NULL));
        if (i < contract->moves)
            assert_false(counts[i].missing);
        if (!counts[i].missing)
            assert_true(counts[i].running > 0 && counts[i].running <= 1);
        if (i < contract->moves)
            assert_true(counts[i].value > 0);
    }
    assert_true((double)counts[0].value >= contract->below);
}

/* What the pages add; the account has the way to the exec as well, which is long under TSan. */
static long long faults_of_pages(enum tally_source_kind kind, const struct tally_event_list *list)
{
    static char idle[] = "idle";
    struct tally_count with, without;
    count_workload(tally_source_of(kind), list, &with);
    count_program(tally_source_of(kind), list, idle, &without);
    assert_false(with.missing || without.missing);
    return (long long)with.value - (long long)without.value;
}

static void test_page_faults_agree(void **state)
{
    struct tally_event_list list;
    (void)state;
    assert_int_equal(tally_events_resolve("page-faults", 1000, &list), 0);
    if (!can_count(&list, 1))
        skip();
    long long exact = faults_of_pages(TALLY_SOURCE_SOFTWARE, &list);
    long long account = faults_of_pages(TALLY_SOURCE_CLOCK, &list);
    assert_true(exact >= PAGES);
    assert_true(llabs(exact - account) < PAGES / 20);
}

static void test_time_by_mode_is_never_the_whole(void **state)
{
    struct tally_event_list list;
    struct tally_count counts[3];
    (void)state;
    assert_int_equal(tally_events_resolve("task-clock,task-clock:u,task-clock:k", 1000, &list), 0);
    count_workload(tally_source_of(TALLY_SOURCE_CLOCK), &list, counts);
    assert_int_equal(counts[0].value, counts[1].value + counts[2].value);
    count_workload(tally_source_of(TALLY_SOURCE_SOFTWARE), &list, counts);
    assert_true(counts[1].missing && counts[2].missing);
}

static void test_no_such_process(void **state)
{
    const struct contract *contract = *state;
    const struct tally_source *source = tally_source_of(contract->kind);
    struct tally_event_list list;
    struct tally_source_context *context = NULL;
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    assert_int_equal(tally_events_resolve(contract->events, 1000, &list), 0);
    if (contract->kind != TALLY_SOURCE_CLOCK && !can_count(&list, contract->moves))
        skip();
    int before = open_descriptors();
    assert_true(source->open(&context, list.events, list.count, gone) < 0);
    assert_null(context);
    assert_non_null(strstr(tally_error_text(), "no process"));
    assert_int_equal(open_descriptors(), before);
}

static void test_simulated_is_refused(void **state)
{
    struct tally_source_context *context = NULL;
    (void)state;
    assert_true(tally_source_of(TALLY_SOURCE_SIMULATED)->open(&context, NULL, 0, getpid()) < 0);
    assert_null(context);
}

#define CONTRACT(test, i) cmocka_unit_test_prestate(test, (void *)(uintptr_t)&contracts[i])

int main(int argc, char **argv)
{
    if (argc > 1)
        return be_the_workload(argv[1]);
    const struct CMUnitTest tests[] = {
        CONTRACT(test_contract, 0),
        CONTRACT(test_contract, 1),
        CONTRACT(test_contract, 2),
        CONTRACT(test_no_such_process, 0),
        CONTRACT(test_no_such_process, 1),
        CONTRACT(test_no_such_process, 2),
        cmocka_unit_test(test_page_faults_agree),
        cmocka_unit_test(test_time_by_mode_is_never_the_whole),
        cmocka_unit_test(test_simulated_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
