#include "sources/delivery.h"

#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 256, PAGE = 4096 };

static void do_nothing(int signal)
{
    (void)signal;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double touch_pages(void)
{
    char *pages = mmap(NULL, (size_t)ROUNDS * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return 0;
    madvise(pages, (size_t)ROUNDS * PAGE, MADV_NOHUGEPAGE);
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        *(volatile char *)(pages + (size_t)i * PAGE) = 1;
    double spent = now_ns() - start;
    munmap(pages, (size_t)ROUNDS * PAGE);
    return spent;
}

static double cost_of_raising(void)
{
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++)
        raise(SIGTRAP);
    return (now_ns() - start) / ROUNDS;
}

static double cost_of_overflow(void)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_PAGE_FAULTS,
        .sample_period = 1,
        .sigtrap = 1,
        .remove_on_exec = 1,
        .exclude_hv = 1,
        .disabled = 1,
    };
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return cost_of_raising();
    double without = touch_pages();
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    double with = touch_pages();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    close(fd);
    return with > without ? (with - without) / ROUNDS : 0;
}

double tally_delivery_cost(bool is_clock)
{
    struct sigaction action = {.sa_handler = do_nothing}, saved;
    sigset_t trap, saved_mask;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    sigaction(SIGTRAP, &action, &saved);
    sigprocmask(SIG_UNBLOCK, &trap, &saved_mask);
    double cost = is_clock ? cost_of_raising() : cost_of_overflow();
    sigprocmask(SIG_SETMASK, &saved_mask, NULL);
    sigaction(SIGTRAP, &saved, NULL);
    return cost;
}
