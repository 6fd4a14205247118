/* Whether samples arrive as synchronous SIGTRAP: asked of the kernel by taking one. */
#include "base/error.h"
#include "events/event.h"
#include "events/machine.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t arrived;

static void on_trap(int signal, siginfo_t *info, void *context)
{
    enum { FROM_PERF = 6 }; /* TRAP_PERF */
    (void)signal;
    (void)context;
    if (info->si_code == FROM_PERF)
        arrived = 1;
}

static bool is_kernel_at_least(int major, int minor, struct utsname *kernel)
{
    int its_major = 0, its_minor = 0;
    if (uname(kernel) < 0 || sscanf(kernel->release, "%d.%d", &its_major, &its_minor) != 2)
        return false;
    return its_major > major || (its_major == major && its_minor >= minor);
}

/* Before 5.18 a thread that blocks SIGTRAP while one is due is killed. */
static int check_release(void)
{
    struct utsname kernel;
    if (is_kernel_at_least(5, 18, &kernel))
        return 0;
    return tally_error("kernel %s is older than 5.18, the first that delivers samples safely.",
                       kernel.release);
}

bool tally_sigtrap_interrupts(void)
{
    struct utsname kernel;
    return !is_kernel_at_least(6, 11, &kernel);
}

static void spin_until_it_arrives(void)
{
    enum { LIMIT_NS = 200000000 };
    struct timespec now;
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (!arrived && now.tv_sec == 0 ? now.tv_nsec < LIMIT_NS : false);
}

static int take_one(int fd)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO}, saved;
    sigset_t trap, saved_mask;
    sigemptyset(&trap);
    sigaddset(&trap, SIGTRAP);
    arrived = 0;
    if (sigaction(SIGTRAP, &action, &saved) < 0)
        return tally_error("cannot handle SIGTRAP: %s.", strerror(errno));
    pthread_sigmask(SIG_UNBLOCK, &trap, &saved_mask);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    spin_until_it_arrives();
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    pthread_sigmask(SIG_SETMASK, &saved_mask, NULL);
    sigaction(SIGTRAP, &saved, NULL);
    if (!arrived)
        return tally_error("the kernel accepted sampling by SIGTRAP, but no sample arrived.");
    return 0;
}

int tally_sigtrap_probe(void)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_SOFTWARE,
        .config = PERF_COUNT_SW_TASK_CLOCK,
        .sample_period = 100000,
        .exclude_kernel = 1,
        .exclude_hv = 1,
        .disabled = 1,
        .sigtrap = 1,
        .remove_on_exec = 1,
    };
    const char *cause, *command;
    if (check_release() < 0)
        return TALLY_ERROR;
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0) {
        int result = take_one(fd);
        close(fd);
        return result;
    }
    int error = errno;
    if (error != EACCES && error != EPERM && error != ENOSYS)
        return tally_error("the kernel cannot sample by SIGTRAP: %s.", strerror(error));
    tally_machine_refusal(error, &cause, &command);
    return tally_error_code(TALLY_NOT_ALLOWED, "samples may not be taken: %s%s%s%s.", cause,
                            command[0] ? "; \"" : "", command, command[0] ? "\" allows it" : "");
}
