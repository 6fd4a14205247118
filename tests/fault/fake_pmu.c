/*
 * Preloaded, it plays a processor with a PMU: hardware cycles are really time, all other hardware
 * events page faults. So PAPI can be tested, attached and inherited, where no PMU is. By variables
 * of the environment it becomes another one:
 *
 *   FAKE_PMU=dead      all events open and stay 0, as on some virtual machines
 *   FAKE_COUNTERS=N    a group of more events is refused, and what is not in a group takes turns
 *   FAKE_PRECISE=N     sampling more precise than level N is refused
 *   FAKE_DEVICES=PATH  the kernel's folder of PMUs, /sys/bus/event_source/devices, is another one
 *   FAKE_HYBRID=1      two core types, PMU types 4 and 10. A thread is on the first for all user
 *                      code and 3/4 of the time, on the second for the kernel's: each counts the
 *                      page faults of its own; a group of both is refused
 *   FAKE_LOG=PATH      a line for each event that is opened for a workload, "TYPE CONFIG" and, in a
 *                      group, "TYPE CONFIG" of its leader, in hexadecimal
 *
 * Events 0x8000 to 0x8700 are Intel's PERF_METRICS: refused but in a group that event 0x400 leads.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>

long syscall(long number, long a, long b, long c, long d, long e, long f);
ssize_t read(int fd, void *buffer, size_t size);
int close(int fd);

enum { DESCRIPTORS = 1024, CORE = PERF_TYPE_RAW, ATOM = 10, SLOTS = 0x400 };

static struct counter {
    int size;         /* of the group that it leads */
    bool takes_turns; /* a workload's event that is in no group */
    unsigned core;    /* core type of the group; 0: none yet */
    unsigned own;     /* core type of this one */
    bool is_sampled;
    unsigned type;
    unsigned long long config;
} counters[DESCRIPTORS];

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

static bool is_hardware(const struct perf_event_attr *attr)
{
    return attr->type == PERF_TYPE_HARDWARE || attr->type == PERF_TYPE_HW_CACHE ||
           attr->type == PERF_TYPE_RAW || (getenv("FAKE_HYBRID") && attr->type == ATOM);
}

static bool is_generic(const struct perf_event_attr *attr)
{
    return attr->type == PERF_TYPE_HARDWARE || attr->type == PERF_TYPE_HW_CACHE;
}

static unsigned core_of(const struct perf_event_attr *attr)
{
    unsigned extended = (unsigned)(attr->config >> 32);
    return !is_generic(attr) ? attr->type : extended ? extended : CORE;
}

static bool is_part(const struct perf_event_attr *attr)
{
    return attr->type == PERF_TYPE_RAW && attr->config >= 0x8000 && attr->config <= 0x8700 &&
           !(attr->config & 0xff);
}

static struct perf_event_attr played(const struct perf_event_attr *asked)
{
    struct perf_event_attr attr = *asked;
    bool is_cycles = attr.type == PERF_TYPE_HARDWARE && attr.config == PERF_COUNT_HW_CPU_CYCLES;
    const char *kind = getenv("FAKE_PMU");
    bool is_dead = kind && !strcmp(kind, "dead");
    attr.type = PERF_TYPE_SOFTWARE;
    attr.precise_ip = 0;
    attr.config = is_cycles ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_PAGE_FAULTS;
    attr.config1 = attr.config2 = 0;
    if (is_dead)
        attr.config = PERF_COUNT_SW_DUMMY;
    if (getenv("FAKE_HYBRID") && core_of(asked) == CORE)
        attr.exclude_kernel = 1;
    if (core_of(asked) == ATOM)
        attr.exclude_user = 1;
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

static int refusal(const struct perf_event_attr *asked, const struct counter *leader)
{
    if (asked->precise_ip > setting("FAKE_PRECISE", 3))
        return EOPNOTSUPP;
    if (getenv("FAKE_HYBRID") && core_of(asked) != CORE && core_of(asked) != ATOM)
        return ENOENT;
    if (is_part(asked) && (!leader || leader->config != SLOTS || leader->type != asked->type ||
                           leader->is_sampled || asked->sample_period))
        return EINVAL;
    if (leader && leader->core && leader->core != core_of(asked))
        return EINVAL;
    if (leader && leader->size >= setting("FAKE_COUNTERS", DESCRIPTORS))
        return EINVAL;
    return 0;
}

static void log_event(const struct perf_event_attr *asked, const struct counter *leader)
{
    char line[160];
    const char *path = getenv("FAKE_LOG");
    int fd = path && !asked->pinned ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    int size = snprintf(line, sizeof(line), "%x %llx", asked->type, asked->config);
    if (leader)
        size += snprintf(line + size, sizeof(line) - (size_t)size, " %x %llx", leader->type,
                         leader->config);
    line[size++] = '\n';
    if (fd >= 0 && real_syscall(SYS_write, fd, (long)line, size, 0, 0, 0) < 0)
        abort();
    if (fd >= 0)
        real_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

static struct counter *counter_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS ? &counters[fd] : NULL;
}

long syscall(long number, long a, long b, long c, long d, long e, long f)
{
    const struct perf_event_attr *asked = (const struct perf_event_attr *)a;
    if (number != SYS_perf_event_open)
        return real_syscall(number, a, b, c, d, e, f);
    struct counter *leader = counter_of((int)d);
    int error = is_hardware(asked) ? refusal(asked, leader) : 0;
    if (error) {
        errno = error;
        return -1;
    }
    struct perf_event_attr attr = is_hardware(asked) ? played(asked) : *asked;
    long fd = real_syscall(number, (long)&attr, b, c, d, e, f);
    struct counter *opened = counter_of((int)fd);
    if (!opened)
        return fd;
    *opened = (struct counter){
        .size = is_hardware(asked),
        .type = asked->type,
        .config = asked->config,
        .is_sampled = asked->sample_period != 0,
    };
    if (!is_hardware(asked))
        return fd;
    opened->core = opened->own = core_of(asked);
    opened->takes_turns = !leader && asked->inherit && !asked->pinned;
    if (leader) {
        leader->size++;
        leader->core = core_of(asked);
    }
    if (asked->inherit || asked->sigtrap)
        log_event(asked, leader);
    return fd;
}

/* Each of those that take turns ran for the same share of the time. */
ssize_t read(int fd, void *buffer, size_t size)
{
    ssize_t got = real_syscall(SYS_read, fd, (long)buffer, (long)size, 0, 0, 0);
    unsigned long long *values = buffer; /* count, time enabled, time running */
    int waiting = 0, room = setting("FAKE_COUNTERS", DESCRIPTORS);
    const struct counter *counter = counter_of(fd);
    if (!counter || !counter->own || got != (ssize_t)(3 * sizeof(*values)))
        return got;
    for (int i = 0; i < DESCRIPTORS; i++)
        waiting += counters[i].takes_turns;
    if (getenv("FAKE_HYBRID")) {
        unsigned long long first = values[1] / 4 * 3;
        values[2] = counter->own == CORE ? first : values[1] - first;
    } else if (counter->takes_turns && waiting > room) {
        values[0] = values[0] * (unsigned)room / (unsigned)waiting;
        values[2] = values[1] * (unsigned)room / (unsigned)waiting;
    }
    return got;
}

int close(int fd)
{
    struct counter *counter = counter_of(fd);
    if (counter)
        *counter = (struct counter){0};
    return (int)real_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* The kernel's folder of PMUs */

static const char *moved(const char *path, char *room, size_t size)
{
    static const char devices[] = "/sys/bus/event_source/devices";
    const char *folder = getenv("FAKE_DEVICES");
    if (!folder || strncmp(path, devices, sizeof(devices) - 1) != 0)
        return path;
    snprintf(room, size, "%s%s", folder, path + sizeof(devices) - 1);
    return room;
}

FILE *fopen(const char *path, const char *mode)
{
    char room[4096];
    static FILE *(*real)(const char *, const char *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fopen");
    return real(moved(path, room, sizeof(room)), mode);
}

DIR *opendir(const char *path)
{
    char room[4096];
    static DIR *(*real)(const char *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    return real(moved(path, room, sizeof(room)));
}

int scandir(const char *path, struct dirent ***entries, int (*choose)(const struct dirent *),
            int (*compare)(const struct dirent **, const struct dirent **))
{
    char room[4096];
    static int (*real)(const char *, struct dirent ***, int (*)(const struct dirent *),
                       int (*)(const struct dirent **, const struct dirent **));
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "scandir");
    return real(moved(path, room, sizeof(room)), entries, choose, compare);
}
