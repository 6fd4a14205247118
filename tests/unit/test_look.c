/* What a thread waits for, as seen from beside it, and what the kernel's own functions tell. */
#include "python/remote.h"
#include "recording/look.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int pipe_fds[2], sockets[2], loop, socket_loop, mixed_loop, child_loop, pipe_loop;
static sem_t never;
static _Atomic pid_t waiting; /* TID of the thread under test */

static void wait_asleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

static void wait_pipe(void)
{
    char byte;
    (void)!read(pipe_fds[0], &byte, 1);
}

static char folder[] = "/tmp/look-XXXXXX", named_pipe[sizeof(folder) + 5];

static void wait_named_pipe(void)
{
    close(open(named_pipe, O_RDONLY | O_CLOEXEC));
}

static void wait_socket(void)
{
    char byte;
    recv(sockets[0], &byte, 1, 0);
}

static void wait_one_polled(void)
{
    struct pollfd polled = {.fd = sockets[0], .events = POLLIN};
    poll(&polled, 1, 200);
}

static void wait_several_polled(void)
{
    struct pollfd polled[] = {{.fd = sockets[0], .events = POLLIN},
                              {.fd = pipe_fds[0], .events = POLLIN}};
    poll(polled, 2, 200);
}

static void wait_selected(void)
{
    struct timeval patience = {.tv_usec = 200000};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(pipe_fds[0], &set);
    select(pipe_fds[0] + 1, &set, NULL, NULL, &patience);
}

static void wait_for_nothing_selected(void)
{
    struct timeval patience = {.tv_usec = 200000};
    select(0, NULL, NULL, NULL, &patience);
}

static void wait_in_loop(void)
{
    struct epoll_event event;
    epoll_wait(loop, &event, 1, 200);
}

static void wait_for_sockets(void)
{
    struct epoll_event event;
    epoll_wait(socket_loop, &event, 1, 200);
}

static void wait_for_a_socket_and_a_pipe(void)
{
    struct epoll_event event;
    epoll_wait(mixed_loop, &event, 1, 200);
}

/* Until the socket that each of them has is written to. */
static void wait_untimed(int epoll)
{
    struct epoll_event event;
    epoll_wait(epoll, &event, 1, -1);
    wait_socket();
}

static void wait_to_be_woken(void)
{
    wait_untimed(loop);
}

static void wait_for_a_child(void)
{
    wait_untimed(child_loop);
}

static void wait_for_a_pipe(void)
{
    wait_untimed(pipe_loop);
}

static void wait_mixed(void)
{
    wait_untimed(mixed_loop);
}

static void wait_polled_untimed(void)
{
    struct pollfd polled[] = {{.fd = sockets[0], .events = POLLIN},
                              {.fd = pipe_fds[0], .events = POLLIN}};
    poll(polled, 2, -1);
    wait_socket();
}

static bool wakes_by_socket(void (*wait)(void))
{
    return wait == wait_socket || wait == wait_to_be_woken || wait == wait_for_a_child ||
           wait == wait_for_a_pipe || wait == wait_mixed || wait == wait_polled_untimed;
}

static void wait_lock(void)
{
    sem_wait(&never);
}

static void run_on(void)
{
    struct timespec now, start;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 - start.tv_sec * 1000 -
               start.tv_nsec / 1000000 <
           200);
}

static void *run(void *argument)
{
    waiting = (pid_t)syscall(SYS_gettid);
    (*(void (**)(void))argument)();
    return NULL;
}

static struct tally_seen seen_of(void (*wait)(void), enum tally_sight most, uint64_t runtime)
{
    const struct timespec start = {.tv_nsec = 50000000};
    static struct py_remote_cache cache;
    struct py_remote remote;
    struct tally_seen seen;
    struct tally_times times;
    pthread_t thread;
    waiting = 0;
    assert_int_equal(pthread_create(&thread, NULL, run, &wait), 0);
    nanosleep(&start, NULL);
    py_remote_init(&remote, getpid(), &cache);
    struct tally_eye eye = {.pid = getpid(),
                            .tid = waiting,
                            .task = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                            .memory = &remote.memory,
                            .runtime = runtime,
                            .runtime_size = runtime ? sizeof(never) : 0};
    tally_eye_open(&eye);
    assert_true(tally_look_times(&eye, &times));
    tally_look(&eye, most, &seen);
    if (wait == wait_pipe)
        (void)!write(pipe_fds[1], "x", 1);
    if (wakes_by_socket(wait))
        (void)!write(sockets[1], "x", 1);
    if (wait == wait_lock)
        sem_post(&never);
    if (wait == wait_named_pipe)
        close(open(named_pipe, O_WRONLY | O_CLOEXEC));
    pthread_join(thread, NULL);
    /* It is gone, as soon as the kernel has put it away. */
    for (int i = 0; i < 100 && tally_look_times(&eye, &times); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_false(tally_look_times(&eye, &times));
    tally_eye_close(&eye);
    close(eye.task);
    return seen;
}

static void test_states(void **state)
{
    static const struct {
        void (*wait)(void);
        enum tally_state state;
    } cases[] = {
        {wait_asleep, TALLY_STATE_SLEEP},      {wait_pipe, TALLY_STATE_PIPE},
        {wait_named_pipe, TALLY_STATE_PIPE},   {wait_socket, TALLY_STATE_SOCKET},
        {wait_one_polled, TALLY_STATE_SOCKET}, {wait_several_polled, TALLY_STATE_POLL},
        {wait_selected, TALLY_STATE_PIPE},     {wait_for_nothing_selected, TALLY_STATE_SLEEP},
        {wait_in_loop, TALLY_STATE_POLL},      {wait_lock, TALLY_STATE_LOCK},
        {run_on, TALLY_STATE_RUNNING}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_seen seen = seen_of(cases[i].wait, TALLY_SIGHT_CALL, 0);
        if (seen.sight != TALLY_SIGHT_CALL) {
            print_message("system calls of threads may not be read here\n");
            skip();
        }
        assert_int_equal(seen.state, cases[i].state);
    }
}

/* What a loop waits for beside its timer: as long as there is but its own wake-up socket, that. */
static void test_timers(void **state)
{
    (void)state;
    struct tally_seen seen = seen_of(wait_for_sockets, TALLY_SIGHT_CALL, 0);
    if (seen.sight != TALLY_SIGHT_CALL)
        skip();
    assert_int_equal(seen.state, TALLY_STATE_POLL);
    assert_int_equal(seen.timer_ns, 200000000);
    assert_int_equal(seen.beside, TALLY_STATE_SOCKET);
    seen = seen_of(wait_in_loop, TALLY_SIGHT_CALL, 0);
    assert_int_equal(seen.timer_ns, 200000000);
    assert_int_equal(seen.beside, TALLY_STATE_POLL);
    assert_int_equal(seen.waker, TALLY_WAKER_TIMER);
    assert_int_equal(seen_of(wait_for_a_socket_and_a_pipe, TALLY_SIGHT_CALL, 0).timer_ns, 0);
    assert_int_equal(seen_of(wait_one_polled, TALLY_SIGHT_CALL, 0).timer_ns, 0);
}

static void test_loops_without_timer(void **state)
{
    static const struct {
        void (*wait)(void);
        enum tally_state state;
        enum tally_waker waker;
    } cases[] = {{wait_to_be_woken, TALLY_STATE_POLL, TALLY_WAKER_OWN},
                 {wait_for_a_child, TALLY_STATE_CHILD, TALLY_WAKER_NONE},
                 {wait_for_a_pipe, TALLY_STATE_PIPE, TALLY_WAKER_NONE},
                 {wait_mixed, TALLY_STATE_POLL, TALLY_WAKER_NONE},
                 {wait_polled_untimed, TALLY_STATE_POLL, TALLY_WAKER_NONE}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally_seen seen = seen_of(cases[i].wait, TALLY_SIGHT_CALL, 0);
        if (seen.sight != TALLY_SIGHT_CALL)
            skip();
        assert_int_equal(seen.state, cases[i].state);
        assert_int_equal(seen.waker, cases[i].waker);
        assert_int_equal(seen.timer_ns, 0);
    }
}

/* A lock inside the interpreter's own state is the GIL. */
static void test_gil(void **state)
{
    (void)state;
    struct tally_seen seen = seen_of(wait_lock, TALLY_SIGHT_CALL, (uint64_t)(uintptr_t)&never);
    if (seen.sight != TALLY_SIGHT_CALL)
        skip();
    assert_int_equal(seen.state, TALLY_STATE_GIL);
    assert_in_range(seen.waited_at, (uintptr_t)&never, (uintptr_t)(&never + 1) - 1);
}

static void test_less_sight(void **state)
{
    (void)state;
    struct tally_seen seen = seen_of(wait_pipe, TALLY_SIGHT_KERNEL, 0);
    assert_int_not_equal(seen.sight, TALLY_SIGHT_CALL);
    assert_true(seen.state ==
                (seen.sight == TALLY_SIGHT_KERNEL ? TALLY_STATE_PIPE : TALLY_STATE_OTHER));
    seen = seen_of(wait_pipe, TALLY_SIGHT_STATE, 0);
    assert_true(seen.sight == TALLY_SIGHT_STATE && seen.state == TALLY_STATE_OTHER);
    seen = seen_of(run_on, TALLY_SIGHT_STATE, 0);
    assert_int_equal(seen.state, TALLY_STATE_RUNNING);
}

static void test_kernel_functions(void **state)
{
    (void)state;
    assert_int_equal(tally_state_of_wchan("hrtimer_nanosleep"), TALLY_STATE_SLEEP);
    assert_int_equal(tally_state_of_wchan("do_epoll_wait"), TALLY_STATE_POLL);
    assert_int_equal(tally_state_of_wchan("anon_pipe_read"), TALLY_STATE_PIPE);
    assert_int_equal(tally_state_of_wchan("unix_stream_read_generic"), TALLY_STATE_SOCKET);
    assert_int_equal(tally_state_of_wchan("__skb_wait_for_more_packets"), TALLY_STATE_SOCKET);
    assert_int_equal(tally_state_of_wchan("inet_csk_accept"), TALLY_STATE_SOCKET);
    assert_int_equal(tally_state_of_wchan("sock_alloc_send_pskb"), TALLY_STATE_SOCKET);
    assert_int_equal(tally_state_of_wchan("unix_wait_for_peer"), TALLY_STATE_SOCKET);
    assert_int_equal(tally_state_of_wchan("wait_for_partner"), TALLY_STATE_PIPE);
    assert_int_equal(tally_state_of_wchan("poll_schedule_timeout.constprop.0"), TALLY_STATE_POLL);
    assert_int_equal(tally_state_of_wchan("locks_lock_inode_wait"), TALLY_STATE_LOCK);
    assert_int_equal(tally_state_of_wchan("__do_semtimedop"), TALLY_STATE_LOCK);
    assert_int_equal(tally_state_of_wchan("do_wait"), TALLY_STATE_CHILD);
    assert_int_equal(tally_state_of_wchan("do_wait_intr_irq"), TALLY_STATE_OTHER);
    assert_int_equal(tally_state_of_wchan("folio_wait_bit_common"), TALLY_STATE_FILE);
    assert_int_equal(tally_state_of_wchan("futex_wait_queue"), TALLY_STATE_OTHER);
    assert_int_equal(tally_state_of_wchan("futex_do_wait"), TALLY_STATE_OTHER);
    assert_int_equal(tally_state_of_wchan("what_is_not_known"), TALLY_STATE_OTHER);
}

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    loop = epoll_create1(EPOLL_CLOEXEC);
    socket_loop = epoll_create1(EPOLL_CLOEXEC);
    mixed_loop = epoll_create1(EPOLL_CLOEXEC);
    child_loop = epoll_create1(EPOLL_CLOEXEC);
    pipe_loop = epoll_create1(EPOLL_CLOEXEC);
    int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    sem_init(&never, 0, 0);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
        epoll_ctl(loop, EPOLL_CTL_ADD, sockets[0], &event) < 0 ||
        epoll_ctl(socket_loop, EPOLL_CTL_ADD, sockets[0], &event) < 0 ||
        epoll_ctl(socket_loop, EPOLL_CTL_ADD, sockets[1], &event) < 0 ||
        epoll_ctl(mixed_loop, EPOLL_CTL_ADD, sockets[0], &event) < 0 ||
        epoll_ctl(mixed_loop, EPOLL_CTL_ADD, sockets[1], &event) < 0 ||
        epoll_ctl(mixed_loop, EPOLL_CTL_ADD, pipe_fds[0], &event) < 0 ||
        epoll_ctl(pipe_loop, EPOLL_CTL_ADD, sockets[0], &event) < 0 ||
        epoll_ctl(pipe_loop, EPOLL_CTL_ADD, pipe_fds[0], &event) < 0 ||
        epoll_ctl(child_loop, EPOLL_CTL_ADD, sockets[0], &event) < 0 ||
        epoll_ctl(child_loop, EPOLL_CTL_ADD, pipe_fds[0], &event) < 0 ||
        epoll_ctl(child_loop, EPOLL_CTL_ADD, process, &event) < 0)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_states),
                                       cmocka_unit_test(test_timers),
                                       cmocka_unit_test(test_loops_without_timer),
                                       cmocka_unit_test(test_gil),
                                       cmocka_unit_test(test_less_sight),
                                       cmocka_unit_test(test_kernel_functions)};
    if (!mkdtemp(folder))
        return 1;
    snprintf(named_pipe, sizeof(named_pipe), "%s/pipe", folder);
    int failed = mkfifo(named_pipe, 0600) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    unlink(named_pipe);
    rmdir(folder);
    return failed;
}
