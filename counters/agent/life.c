/*
 * A thread's accounts at its begin and end, from the kernel: time on a CPU, and time it was ready
 * to run but had none. Without them a thread that lives for a millisecond would pass unseen by the
 * watcher.
 */
#include "agent/agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The text of a thread's file in /proc; TID 0 is the calling one, which /proc may know by a number
 * of another PID namespace. False where there is no /proc.
 */
static bool read_task(uint32_t tid, const char *name, char *text, size_t room)
{
    char path[64];
    if (tid)
        snprintf(path, sizeof(path), "/proc/self/task/%u/%s", tid, name);
    else
        snprintf(path, sizeof(path), "/proc/thread-self/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, room - 1);
    syscall(SYS_close, fd);
    text[size > 0 ? size : 0] = '\0';
    return size > 0;
}

/* "CPU DELAY SLICES", in ns; all 0 where the kernel keeps none. */
static bool read_schedstat(uint32_t tid, struct tally_life *life)
{
    char text[96];
    unsigned long long cpu, delay, slices;
    if (!read_task(tid, "schedstat", text, sizeof(text)) ||
        sscanf(text, "%llu %llu %llu", &cpu, &delay, &slices) != 3 || !slices)
        return false;
    life->cpu_ns = cpu;
    life->delay_ns = delay;
    return true;
}

static uint64_t usage_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static void read_own(struct tally_life *life)
{
    struct rusage usage = {0};
    struct timespec cpu = {0};
    getrusage(RUSAGE_THREAD, &usage);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    life->user_ns = usage_ns(&usage.ru_utime);
    life->system_ns = usage_ns(&usage.ru_stime);
    life->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
}

/* Another thread: the times are the 14th and 15th field of stat, in ticks. */
static void read_other(struct tally_life *life)
{
    char text[512];
    unsigned long long user, system;
    const char *at = NULL;
    if (read_task(life->tid, "stat", text, sizeof(text)))
        at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                      &system) != 2)
        return;
    uint64_t tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    life->user_ns = user * tick_ns;
    life->system_ns = system * tick_ns;
    life->cpu_ns = life->user_ns + life->system_ns;
}

void life_write(struct slot *slot, const struct slot *of, bool is_end)
{
    struct tally_life life = {.type = TALLY_RECORD_LIFE,
                              .is_end = is_end,
                              .tid = of->tid,
                              .slot = of->number,
                              .life = of->life,
                              .time_ns = agent_now(),
                              .delay_ns = UINT64_MAX};
    if (slot != of)
        read_other(&life);
    bool is_told = read_schedstat(slot == of ? 0 : of->tid, &life);
    if (slot == of)
        read_own(&life);
    else if (!is_told)
        return;
    struct tally_life *record = stream_reserve(slot, sizeof(*record));
    if (!record)
        return;
    *record = life;
    stream_commit(slot, sizeof(*record));
}
