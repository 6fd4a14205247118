/*
 * Preloaded, it plays a processor with a PMU: hardware cycles are really time, all other hardware
 * events page faults. So PAPI can be tested, attached and inherited, where no PMU is.
 */
#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS = 6 };

static struct perf_event_attr played(const struct perf_event_attr *asked)
{
    struct perf_event_attr attr = *asked;
    if (attr.type != PERF_TYPE_HARDWARE && attr.type != PERF_TYPE_HW_CACHE &&
        attr.type != PERF_TYPE_RAW)
        return attr;
    bool is_cycles = attr.type == PERF_TYPE_HARDWARE && attr.config == PERF_COUNT_HW_CPU_CYCLES;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = is_cycles ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_PAGE_FAULTS;
    return attr;
}

/* libc's takes up to six arguments in registers, whether they were passed or not. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long arguments[ARGUMENTS];
    struct perf_event_attr attr;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < ARGUMENTS; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_perf_event_open) {
        attr = played((const struct perf_event_attr *)arguments[0]);
        arguments[0] = (long)&attr;
    }
    return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}
