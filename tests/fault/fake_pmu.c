/*
 * Preloaded, it plays a processor with a PMU: hardware cycles are really time, all other hardware
 * events page faults. So PAPI can be tested, attached and inherited, where no PMU is. With
 * FAKE_PMU=dead in the environment all of them open and stay 0, as on some virtual machines.
 */
#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

long syscall(long number, long a, long b, long c, long d, long e, long f);

static struct perf_event_attr played(const struct perf_event_attr *asked)
{
    struct perf_event_attr attr = *asked;
    if (attr.type != PERF_TYPE_HARDWARE && attr.type != PERF_TYPE_HW_CACHE &&
        attr.type != PERF_TYPE_RAW)
        return attr;
    bool is_cycles = attr.type == PERF_TYPE_HARDWARE && attr.config == PERF_COUNT_HW_CPU_CYCLES;
    attr.type = PERF_TYPE_SOFTWARE;
    const char *kind = getenv("FAKE_PMU");
    if (kind && !strcmp(kind, "dead"))
        attr.config = PERF_COUNT_SW_DUMMY;
    else
        attr.config = is_cycles ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_PAGE_FAULTS;
    return attr;
}

/* libc's takes what it needs of six arguments in registers, so they can as well be all fixed. */
long syscall(long number, long a, long b, long c, long d, long e, long f)
{
    static long (*real)(long, long, long, long, long, long, long);
    struct perf_event_attr attr;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_perf_event_open) {
        attr = played((const struct perf_event_attr *)a);
        a = (long)&attr;
    }
    return real(number, a, b, c, d, e, f);
}
