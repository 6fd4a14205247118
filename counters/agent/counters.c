/*
 * Kernel counters of a thread, in one group led by the first; on a hybrid processor in a group per
 * core type, since the kernel never runs a group that has events of several.
 *
 * Only a leader's descriptor is kept, for reading its group: the others are held by a mapping
 * instead, which no program closes by accident and which costs none of its descriptors. Where
 * perf_event_open is refused, one CPU timer per thread does the sampling and the kernel's accounts
 * stand in for what can be read along.
 */
#include "agent/agent.h"
#include "agent/attr.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t shortest_clock_period_ns = 50000; /* well above what one overflow costs */

static uint32_t counter_count(void)
{
    return agent.control->counter_count;
}

static bool leads(uint32_t index)
{
    return agent.control->counters[index].leader == index;
}

static uint64_t first_period(const struct slot *slot, uint32_t index)
{
    const struct tally_counter *counter = &agent.control->counters[index];
    uint64_t left = counter->period - slot->carry[index] % counter->period;
    if (counter->clock_kind == TALLY_CLOCK_CPU && left < shortest_clock_period_ns)
        left = shortest_clock_period_ns;
    return left < counter->period ? left : counter->period;
}

static int open_counter(struct slot *slot, uint32_t index)
{
    const struct tally_counter *counter = &agent.control->counters[index];
    struct perf_event_attr attr;
    /* Only the leader's period can be changed later: the others' descriptors are given up. */
    uint64_t period = index == 0 && counter->period ? first_period(slot, 0) : counter->period;
    tally_counter_attr(counter, index, period, &attr);
    if (index == 0)
        slot->period = period;
    int leader = leads(index) ? -1 : slot->fds[counter->leader];
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        fd = agent_ask_counter(index, leader);
    return fd;
}

static bool control_groups(const struct slot *slot, unsigned long request)
{
    bool fine = true;
    for (uint32_t i = 0; i < counter_count(); i++)
        if (leads(i) && slot->fds[i] >= 0)
            fine &= ioctl(slot->fds[i], request, 0) == 0;
    return fine;
}

static bool start_events(struct slot *slot)
{
    for (uint32_t i = 0; i < counter_count(); i++) {
        int fd = open_counter(slot, i);
        if (fd < 0)
            return false;
        void *page = leads(i) ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED) {
            slot->fds[i] = agent_move_high(fd);
        } else {
            slot->pages[i] = page;
            syscall(SYS_close, fd);
        }
    }
    return control_groups(slot, PERF_EVENT_IOC_ENABLE);
}

static void set_timer(struct slot *slot, uint64_t first, uint64_t period)
{
    struct itimerspec times = {
        .it_value = {(time_t)(first / 1000000000u), (long)(first % 1000000000u)},
        .it_interval = {(time_t)(period / 1000000000u), (long)(period % 1000000000u)},
    };
    timer_settime(slot->timer, 0, &times, NULL);
}

static bool start_timer(struct slot *slot)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGTRAP};
    event.sigev_value.sival_ptr = &agent; /* tells our timers from the program's */
    event._sigev_un._tid = (pid_t)slot->tid;
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &slot->timer) < 0)
        return false;
    slot->has_timer = true;
    slot->period = agent.control->counters[0].period;
    counters_read(slot, slot->read); /* earlier life of the main thread is not counted */
    set_timer(slot, first_period(slot, 0), slot->period);
    return true;
}

bool counters_start(struct slot *slot)
{
    for (uint32_t i = 0; i < TALLY_MAX_COUNTERS; i++) {
        slot->fds[i] = -1;
        slot->pages[i] = NULL;
        slot->read[i] = slot->nested[i] = 0;
    }
    slot->random = agent_now() << 20 | slot->tid | 1;
    slot->since_varied = 0;
    if (agent.control->is_clock)
        return start_timer(slot);
    if (start_events(slot))
        return true;
    counters_stop(slot);
    return false;
}

void counters_pause(struct slot *slot)
{
    const struct itimerspec never = {0};
    control_groups(slot, PERF_EVENT_IOC_DISABLE);
    if (slot->has_timer)
        timer_settime(slot->timer, 0, &never, NULL);
}

void counters_resume(struct slot *slot)
{
    control_groups(slot, PERF_EVENT_IOC_ENABLE);
    if (slot->has_timer)
        set_timer(slot, slot->period, slot->period);
}

/* Up to a half shorter or longer, where that is long enough. */
void counters_vary_period(struct slot *slot)
{
    uint64_t period = slot->period, spread = period;
    if (period < 2 * shortest_clock_period_ns)
        spread = period > shortest_clock_period_ns ? 2 * (period - shortest_clock_period_ns) : 0;
    slot->random ^= slot->random << 13;
    slot->random ^= slot->random >> 7;
    slot->random ^= slot->random << 17;
    period += slot->random % (spread + 1) - spread / 2;
    slot->since_varied = 0;
    if (slot->has_timer)
        set_timer(slot, period, period);
    else
        ioctl(slot->fds[0], PERF_EVENT_IOC_PERIOD, &period);
}

void counters_set_period(struct slot *slot, uint64_t period)
{
    slot->period = period;
    if (period > agent.control->counters[0].period)
        agent_raise(&agent.image->longest_period_us, period / 1000 + 1);
    counters_vary_period(slot);
}

void counters_stop(struct slot *slot)
{
    for (uint32_t i = 0; i < counter_count(); i++) {
        if (slot->pages[i])
            munmap(slot->pages[i], 4096);
        if (slot->fds[i] >= 0)
            syscall(SYS_close, slot->fds[i]);
        slot->pages[i] = NULL;
        slot->fds[i] = -1;
    }
    if (slot->has_timer)
        timer_delete(slot->timer);
    slot->has_timer = false;
}

static void counts_of_usage(const struct rusage *usage, uint64_t cpu_ns, uint64_t *counts)
{
    for (uint32_t i = 0; i < counter_count(); i++) {
        switch (agent.control->counters[i].clock_kind) {
        case TALLY_CLOCK_CPU:
            counts[i] = cpu_ns;
            break;
        case TALLY_CLOCK_FAULTS:
            counts[i] = (uint64_t)(usage->ru_minflt + usage->ru_majflt);
            break;
        case TALLY_CLOCK_MINOR_FAULTS:
            counts[i] = (uint64_t)usage->ru_minflt;
            break;
        case TALLY_CLOCK_MAJOR_FAULTS:
            counts[i] = (uint64_t)usage->ru_majflt;
            break;
        case TALLY_CLOCK_SWITCHES:
            counts[i] = (uint64_t)(usage->ru_nvcsw + usage->ru_nivcsw);
            break;
        default:
            counts[i] = 0;
        }
    }
}

void counters_thread_accounts(uint64_t *counts)
{
    struct rusage usage = {0};
    if (counter_count() > 1 || agent.control->counters[0].clock_kind != TALLY_CLOCK_CPU)
        getrusage(RUSAGE_THREAD, &usage);
    counts_of_usage(&usage, agent_clock_ns(CLOCK_THREAD_CPUTIME_ID), counts);
}

static bool read_group(struct slot *slot, uint32_t leader, uint64_t *counts)
{
    uint64_t values[3 + TALLY_MAX_COUNTERS]; /* how many, time enabled, time running, values */
    uint32_t members[TALLY_MAX_COUNTERS], count = 0;
    if (slot->fds[leader] < 0)
        return false;
    for (uint32_t i = leader; i < counter_count(); i++)
        if (agent.control->counters[i].leader == leader)
            members[count++] = i;
    size_t size = (3 + count) * sizeof(*values);
    /* The program may have closed the descriptor behind our back, and it may be a file by now. */
    if (syscall(SYS_read, slot->fds[leader], values, size) != (long)size || values[0] != count)
        return false;
    /* Of several groups, for types of cores, each stands still while the thread is on the others.
     */
    if (values[2] < values[1] && count == counter_count() && agent_may_write())
        agent.image->has_waited = 1;
    for (uint32_t i = 0; i < count; i++)
        counts[members[i]] = values[3 + i];
    return true;
}

bool counters_read(struct slot *slot, uint64_t *counts)
{
    if (agent.control->is_clock) {
        if (slot != agent_slot)
            return false; /* only a thread itself can ask for its accounts */
        counters_thread_accounts(counts);
        return true;
    }
    for (uint32_t i = 0; i < counter_count(); i++)
        if (leads(i) && !read_group(slot, i, counts))
            return false;
    return true;
}

void counters_accounts(uint64_t *counts)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    counts_of_usage(&usage, agent_clock_ns(CLOCK_PROCESS_CPUTIME_ID), counts);
}
