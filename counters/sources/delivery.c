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

static volatile sig_atomic_t delivered;

static void count(int signal)
{
    (void)signal;
    delivered++;
}

static double spin(void)
{
    enum { TURNS = 300000 }; /* about half a millisecond */
    double start = now_ns();
    for (volatile int i = 0; i < TURNS; i++)
        continue;
    return now_ns() - start;
}

static int open_own(uint64_t config, uint64_t period)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = config,
        .sample_period = period,
        .sigtrap = 1,
        .remove_on_exec = 1,
        .exclude_hv = 1,
        .disabled = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* A timer's interrupt comes with it, which costs most of it in virtual machines. */
static double cost_of_clock(void)
{
    enum { PERIOD_NS = 50000, TRIES = 3 };
    double without = spin(), with = 0, samples = 0;
    int fd = open_own(PERF_COUNT_SW_TASK_CLOCK, PERIOD_NS);
    if (fd < 0)
        return cost_of_raising();
    for (int i = 0; i < TRIES; i++) {
        double plain = spin();
        without = plain < without ? plain : without;
    }
    delivered = 0;
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    for (int i = 0; i < TRIES; i++) {
        with += spin();
        samples = delivered;
    }
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    close(fd);
    double cost = with - TRIES * without;
    return samples > 0 && cost > 0 ? cost / samples : 0;
}

static double cost_of_fault(void)
{
    int fd = open_own(PERF_COUNT_SW_PAGE_FAULTS, 1);
    if (fd < 0)
        return cost_of_raising();
    double without = touch_pages();
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    double with = touch_pages();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    close(fd);
    return with > without ? (with - without) / ROUNDS : 0;
}

double tally_delivery_cost(enum tally_delivery kind)
{
    struct sigaction action = {.sa_handler = count}, saved;
    sigset_t trap, saved_mask;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    sigaction(SIGTRAP, &action, &saved);
    sigprocmask(SIG_UNBLOCK, &trap, &saved_mask);
    double cost = kind == TALLY_DELIVERY_TIMER   ? cost_of_raising()
                  : kind == TALLY_DELIVERY_CLOCK ? cost_of_clock()
                                                 : cost_of_fault();
    sigprocmask(SIG_SETMASK, &saved_mask, NULL);
    sigaction(SIGTRAP, &saved, NULL);
    return cost;
}
