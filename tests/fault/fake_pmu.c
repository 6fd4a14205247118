/*
 * Preloaded, it plays a processor with a PMU: hardware cycles are really time, all other hardware
 * events page faults. So PAPI can be tested, attached and inherited, where no PMU is. By variables
 * of the environment it becomes another one:
 *
 *   FAKE_PMU=dead    all events open and stay 0, as on some virtual machines
 *   FAKE_COUNTERS=N  a group of more events is refused, and what is not in a group takes turns
 *   FAKE_PRECISE=N   sampling more precise than level N is refused
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

long syscall(long number, long a, long b, long c, long d, long e, long f);
ssize_t read(int fd, void *buffer, size_t size);
int close(int fd);

enum { DESCRIPTORS = 1024 };
static int group_size[DESCRIPTORS];   /* of the leader's descriptor */
static bool takes_turns[DESCRIPTORS]; /* a workload's event that is in no group */

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static bool is_hardware(const struct perf_event_attr *attr)
{
    return attr->type == PERF_TYPE_HARDWARE || attr->type == PERF_TYPE_HW_CACHE ||
           attr->type == PERF_TYPE_RAW;
}

static struct perf_event_attr played(const struct perf_event_attr *asked)
{
    struct perf_event_attr attr = *asked;
    bool is_cycles = attr.type == PERF_TYPE_HARDWARE && attr.config == PERF_COUNT_HW_CPU_CYCLES;
    const char *kind = getenv("FAKE_PMU");
    attr.type = PERF_TYPE_SOFTWARE;
    attr.precise_ip = 0;
    if (kind && !strcmp(kind, "dead"))
        attr.config = PERF_COUNT_SW_DUMMY;
    else
        attr.config = is_cycles ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_PAGE_FAULTS;
    return attr;
}

/* libc's takes what it needs of six arguments in registers, so they can as well be all fixed. */
static long real_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    static long (*real)(long, long, long, long, long, long, long);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, a, b, c, d, e, f);
}

static int refusal(const struct perf_event_attr *asked, int leader)
{
    if (asked->precise_ip > setting("FAKE_PRECISE", 3))
        return EOPNOTSUPP;
    if (leader >= 0 && leader < DESCRIPTORS &&
        group_size[leader] >= setting("FAKE_COUNTERS", DESCRIPTORS))
        return EINVAL;
    return 0;
}

long syscall(long number, long a, long b, long c, long d, long e, long f)
{
    const struct perf_event_attr *asked = (const struct perf_event_attr *)a;
    if (number != SYS_perf_event_open || !is_hardware(asked))
        return real_syscall(number, a, b, c, d, e, f);
    int leader = (int)d, error = refusal(asked, leader);
    if (error) {
        errno = error;
        return -1;
    }
    struct perf_event_attr attr = played(asked);
    long fd = real_syscall(number, (long)&attr, b, c, d, e, f);
    if (fd >= 0 && fd < DESCRIPTORS) {
        group_size[fd] = 1;
        takes_turns[fd] = leader < 0 && asked->inherit && !asked->pinned;
        if (leader >= 0 && leader < DESCRIPTORS)
            group_size[leader]++;
    }
    return fd;
}

/* Each of those that take turns ran for the same share of the time. */
ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t got = real_syscall(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
    unsigned long long *values = buffer; /* count, time enabled, time running */
    int waiting = 0, counters = setting("FAKE_COUNTERS", DESCRIPTORS);
    if (fd < 0 || fd >= DESCRIPTORS || !takes_turns[fd] || got < (ssize_t)(3 * sizeof(*values)))
        return got;
    for (int i = 0; i < DESCRIPTORS; i++)
        waiting += takes_turns[i];
    if (waiting > counters) {
        values[0] = values[0] * (unsigned)counters / (unsigned)waiting;
        values[2] = values[1] * (unsigned)counters / (unsigned)waiting;
    }
    return got;
}

int close(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        takes_turns[fd] = false;
    return (int)real_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}
