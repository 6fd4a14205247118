/* Wall-clock accounts of a profile made by hand: they close, and divide as they should. */
#include "base/error.h"
#include "profile/accounts.h"
#include "profile/view.h"
#include "unit.h"

#include <math.h>
#include <string.h>

enum {
    NOBODY,
    RESULTS,
    TENDS,
    ASLEEP,
    SOCKET,
    POPEN,
    RECEIVE,
    FORKS,
    TICKS,
    WORKER,
    UNSEEN,
    READY,
    UNSAMPLED,
    PATHS
};

static struct tally_function functions[PATHS] = {
    [NOBODY] = {"", "[all]", "", 0},
    [ASLEEP] = {"__main__", "asleep", "/program.py", 1},
    [SOCKET] = {"__main__", "ask", "/program.py", 5},
    [POPEN] = {"subprocess", "Popen.communicate", "/usr/lib/python3.11/subprocess.py", 9},
    [RESULTS] = {"multiprocessing.pool", "Pool._handle_results", "/usr/lib/pool.py", 570},
    [RECEIVE] = {"multiprocessing.connection", "Connection._recv", "/usr/lib/connection.py", 380},
    [TENDS] = {"multiprocessing.pool", "Pool._handle_workers", "/usr/lib/pool.py", 506},
    [FORKS] = {"multiprocessing.pool", "Pool._wait_for_updates", "/usr/lib/pool.py", 500},
    [TICKS] = {"multiprocessing.pool", "ThreadPool._wait_for_updates", "/usr/lib/pool.py", 955},
    [WORKER] = {"multiprocessing.pool", "worker", "/usr/lib/pool.py", 97},
    [UNSEEN] = {"", "[not looked at]", "", 0},
    [READY] = {"", "[ready, no CPU]", "", 0},
    [UNSAMPLED] = {"", "[on CPU, not sampled]", "", 0},
};
static struct tally_path paths[PATHS];
static struct tally_process process = {.pid = 10};
static struct tally_profile_thread thread = {.tid = 10};
static struct tally_run run;
static struct tally_life begin, end;
static struct tally_lifetime lifetime = {.begin = &begin, .end = &end};
static struct tally_value totals[1];
static struct tally_look looks[8];
static struct tally_profile profile;

/* A thread of 1000 ns, 200 on a CPU (a quarter of it in the kernel) and 100 ready. */
static void make(size_t look_count)
{
    for (uint32_t i = 0; i < PATHS; i++)
        paths[i] = (struct tally_path){.function = i};
    begin = (struct tally_life){.time_ns = 5000, .cpu_ns = 50, .user_ns = 40, .delay_ns = 7};
    end = (struct tally_life){.time_ns = 6000,
                              .cpu_ns = 250,
                              .user_ns = 190,
                              .system_ns = 50,
                              .delay_ns = 107,
                              .is_end = 1};
    profile = (struct tally_profile){.run = &run,
                                     .event_count = 1,
                                     .function_count = PATHS,
                                     .functions = functions,
                                     .path_count = PATHS,
                                     .paths = paths,
                                     .process_count = 1,
                                     .processes = &process,
                                     .thread_count = 1,
                                     .threads = &thread,
                                     .totals = totals,
                                     .lifetime_count = 1,
                                     .lifetimes = &lifetime,
                                     .look_count = look_count,
                                     .looks = looks,
                                     .unseen_path = UNSEEN,
                                     .ready_path = READY,
                                     .unsampled_path = UNSAMPLED};
}

static void look(size_t index, uint32_t path, enum tally_state state, bool is_whole,
                 uint64_t duration)
{
    looks[index] = (struct tally_look){
        .path = path, .state = state, .is_whole = is_whole, .duration_ns = duration};
}

static void assert_close(const struct tally_accounts *accounts)
{
    double sum = 0, placed = 0;
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        sum += accounts->threads[0].states[i];
    assert_true(fabs(sum - 1000) < 1e-6);
    for (size_t i = 0; i < accounts->as_profile.event_count; i++)
        placed += accounts->as_profile.totals[i].sampled + accounts->as_profile.totals[i].exact;
    assert_true(fabs(placed - 1000) < 1e-6);
}

static double state_of(const struct tally_accounts *accounts, int account)
{
    return accounts->threads[0].states[account];
}

/* Whole waits are taken as they are; the rest is divided as the other looks are. */
static void test_division(void **state)
{
    (void)state;
    make(4);
    look(0, ASLEEP, TALLY_STATE_SLEEP, true, 400);
    look(1, ASLEEP, TALLY_STATE_SLEEP, false, 100);
    look(2, SOCKET, TALLY_STATE_SOCKET, false, 300);
    look(3, NOBODY, TALLY_STATE_RUNNING, false, 200);
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(accounts->threads[0].has_split && accounts->threads[0].has_delay);
    assert_true(fabs(accounts->threads[0].user_ns - 150) < 1e-6);
    assert_true(fabs(accounts->threads[0].system_ns - 50) < 1e-6);
    assert_true(state_of(accounts, TALLY_STATE_RUNNING) == 200);
    assert_true(state_of(accounts, TALLY_STATE_RUNNABLE) == 100);
    assert_true(fabs(state_of(accounts, TALLY_STATE_SLEEP) - (400 + 75)) < 1e-6);
    assert_true(fabs(state_of(accounts, TALLY_STATE_SOCKET) - 225) < 1e-6);
    assert_true(state_of(accounts, TALLY_ACCOUNT_UNSEEN) == 0);
    tally_accounts_free(accounts);
}

/* What is not known of one wait may be another's, also of the only one of its kind. */
static void test_intervals(void **state)
{
    (void)state;
    make(8);
    look(0, ASLEEP, TALLY_STATE_SLEEP, true, 400);
    for (size_t i = 1; i < 7; i++)
        look(i, i < 3 ? ASLEEP : SOCKET, i < 3 ? TALLY_STATE_SLEEP : TALLY_STATE_SOCKET, false, 40);
    look(7, NOBODY, TALLY_STATE_RUNNING, false, 360);
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    int asleep = accounts->event_of[TALLY_STATE_SLEEP];
    int ask = accounts->event_of[TALLY_STATE_SOCKET];
    struct tally_row_value sleep = {0}, socket = {0};
    struct tally_view view;
    tally_view_make(&view, TALLY_VIEW_FUNCTION, &accounts->as_profile, NULL, asleep);
    for (size_t i = 0; i < view.row_count; i++) {
        if (!strcmp(view.rows[i].function, "asleep"))
            sleep = view.rows[i].values[asleep];
        if (!strcmp(view.rows[i].function, "ask"))
            socket = view.rows[i].values[ask];
    }
    assert_true(fabs(sleep.self - 500) < 1e-6 && fabs(socket.self - 200) < 1e-6);
    assert_true(sleep.low > 400 && sleep.low < 490 && sleep.high > 510);
    assert_true(fabs(sleep.low + socket.high - 700) < 1e-6);
    assert_true(fabs(sleep.high + socket.low - 700) < 1e-6);
    tally_view_release(&view);
    tally_accounts_free(accounts);
}

/* A wait in subprocess is for the child, whatever it is done with. */
static void test_child(void **state)
{
    (void)state;
    make(1);
    look(0, POPEN, TALLY_STATE_POLL, true, 700);
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(state_of(accounts, TALLY_STATE_CHILD) == 700);
    assert_true(state_of(accounts, TALLY_STATE_POLL) == 0);
    tally_accounts_free(accounts);
}

/* The threads of a pool wait for children if these are its workers; their callbacks do not. */
static void test_pools(void **state)
{
    static const struct {
        uint32_t caller, path;
        enum tally_state seen, is;
    } cases[] = {
        {NOBODY, RESULTS, TALLY_STATE_LOCK, TALLY_STATE_LOCK},
        {RESULTS, RECEIVE, TALLY_STATE_PIPE, TALLY_STATE_CHILD},
        {RESULTS, ASLEEP, TALLY_STATE_SLEEP, TALLY_STATE_SLEEP},
        {TENDS, FORKS, TALLY_STATE_POLL, TALLY_STATE_CHILD},
        {TENDS, TICKS, TALLY_STATE_SLEEP, TALLY_STATE_SLEEP},
        {NOBODY, RECEIVE, TALLY_STATE_PIPE, TALLY_STATE_PIPE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make(1);
        paths[cases[i].path].parent = cases[i].caller;
        look(0, cases[i].path, cases[i].seen, true, 700);
        struct tally_accounts *accounts = tally_accounts_new(&profile);
        assert_close(accounts);
        assert_true(state_of(accounts, (int)cases[i].is) == 700);
        tally_accounts_free(accounts);
    }
    make(0);
    paths[TICKS].parent = TENDS;
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_int_equal(accounts->path_flags[TICKS], TALLY_PATH_TENDS);
    assert_int_equal(accounts->path_flags[WORKER], TALLY_PATH_JOIN);
    tally_accounts_free(accounts);
}

/* How much of an event loop's time no timer ended. */
static void test_untimed(void **state)
{
    (void)state;
    make(3);
    look(0, ASLEEP, TALLY_STATE_POLL, true, 400);
    look(1, ASLEEP, TALLY_STATE_POLL, true, 200);
    look(2, POPEN, TALLY_STATE_POLL, true, 100);
    looks[1].waker = TALLY_WAKER_OWN;
    looks[2].waker = TALLY_WAKER_NONE;
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(state_of(accounts, TALLY_STATE_POLL) == 600);
    assert_true(accounts->threads[0].untimed_ns == 200);
    tally_accounts_free(accounts);
}

/* What was looked at for a tenth of the time says little of the rest. */
static void test_unseen(void **state)
{
    (void)state;
    make(0);
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(state_of(accounts, TALLY_ACCOUNT_UNSEEN) == 700);
    tally_accounts_free(accounts);
    make(1);
    look(0, SOCKET, TALLY_STATE_SOCKET, false, 100);
    accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(fabs(state_of(accounts, TALLY_STATE_SOCKET) - 70) < 1e-6);
    assert_true(fabs(state_of(accounts, TALLY_ACCOUNT_UNSEEN) - 630) < 1e-6);
    tally_accounts_free(accounts);
}

/* More seen waiting than the kernel has time for: the kernel is right. */
static void test_too_much_seen(void **state)
{
    (void)state;
    make(2);
    look(0, ASLEEP, TALLY_STATE_SLEEP, true, 600);
    look(1, SOCKET, TALLY_STATE_SOCKET, true, 800);
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_true(fabs(state_of(accounts, TALLY_STATE_SLEEP) - 300) < 1e-6);
    assert_true(fabs(state_of(accounts, TALLY_STATE_SOCKET) - 400) < 1e-6);
    tally_accounts_free(accounts);
}

/* Parts of one wait are as exact as it is, unless they stand for tasks that were not looked at. */
static void test_parts(void **state)
{
    (void)state;
    for (int is_estimated = 0; is_estimated < 2; is_estimated++) {
        make(2);
        look(0, ASLEEP, TALLY_STATE_POLL, true, 525);
        look(1, SOCKET, TALLY_STATE_POLL, true, 175);
        for (size_t i = 0; i < 2; i++) {
            looks[i].is_estimated = is_estimated;
            looks[i].taken = i ? 8 : 24;
        }
        struct tally_accounts *accounts = tally_accounts_new(&profile);
        const struct tally_profile *made = &accounts->as_profile;
        int event = accounts->event_of[TALLY_STATE_POLL];
        assert_close(accounts);
        assert_true(fabs(state_of(accounts, TALLY_STATE_POLL) - 700) < 1e-6);
        const struct tally_value *total = &made->totals[event];
        assert_true(fabs(total->exact - (is_estimated ? 0 : 700)) < 1e-6);
        /* Of 32 draws each is a thirty-second part. */
        double squares = 32 * (700.0 / 32) * (700.0 / 32);
        assert_true(fabs(total->squares - (is_estimated ? squares : 0)) < 1e-6);
        tally_accounts_free(accounts);
    }
}

/* A kernel that does not tell how long a thread was ready: that time is waiting, and said so. */
static void test_no_delay(void **state)
{
    (void)state;
    make(0);
    end.delay_ns = UINT64_MAX;
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_close(accounts);
    assert_false(accounts->threads[0].has_delay);
    assert_true(state_of(accounts, TALLY_ACCOUNT_UNSEEN) == 800);
    tally_accounts_free(accounts);
}

/* A thread whose end nobody saw has no accounts, rather than wrong ones. */
static void test_no_end(void **state)
{
    (void)state;
    make(1);
    look(0, ASLEEP, TALLY_STATE_SLEEP, true, 600);
    lifetime.end = NULL;
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_true(accounts->threads[0].wall_ns == 0);
    assert_int_equal(accounts->as_profile.event_count, 0);
    tally_accounts_free(accounts);
    lifetime.end = &end;
}

/* The thread was another program first, for a moment, which the agent told of. */
static struct tally_life first_begin, first_end;
static struct tally_lifetime lifetimes[2];
static struct tally_image_span images[2] = {{0, 100}, {0, 1000}};

static void make_exec(bool is_watched)
{
    make(0);
    first_begin = (struct tally_life){.time_ns = 4000, .cpu_ns = 10};
    first_end = (struct tally_life){.time_ns = 4010, .cpu_ns = 20};
    lifetimes[0] = (struct tally_lifetime){.begin = &first_begin, .end = &first_end};
    lifetimes[1] = lifetime;
    lifetimes[1].image = 1;
    lifetimes[1].is_watched = is_watched;
    profile.lifetimes = lifetimes;
    profile.lifetime_count = profile.image_count = 2;
    profile.images = images;
}

/* What the agent could not write of the second program, the watcher did. */
static void test_exec(void **state)
{
    (void)state;
    for (int is_watched = 0; is_watched < 2; is_watched++) {
        make_exec(is_watched);
        struct tally_accounts *accounts = tally_accounts_new(&profile);
        assert_true(accounts->threads[0].wall_ns == 1010);
        assert_true(state_of(accounts, TALLY_STATE_RUNNING) == 210);
        assert_int_equal(accounts->span_count, 2);
        tally_accounts_free(accounts);
    }
}

/* Nobody did: the first program's moment is not the thread's account. */
static void test_half_told(void **state)
{
    (void)state;
    make_exec(true);
    profile.lifetime_count = 1;
    struct tally_accounts *accounts = tally_accounts_new(&profile);
    assert_true(accounts->threads[0].wall_ns == 0);
    assert_int_equal(accounts->span_count, 0);
    assert_int_equal(accounts->as_profile.event_count, 0);
    run.stopped = 1;
    tally_accounts_refuse(accounts);
    assert_non_null(strstr(tally_error_text(), "ended early"));
    run.stopped = 0;
    tally_accounts_free(accounts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division),      cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_child),         cmocka_unit_test(test_pools),
        cmocka_unit_test(test_untimed),       cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_too_much_seen), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_no_delay),      cmocka_unit_test(test_no_end),
        cmocka_unit_test(test_exec),          cmocka_unit_test(test_half_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
