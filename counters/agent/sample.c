/* The overflow handler. */
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { TRAP_PERF_CODE = 6 };

/* siginfo_t of a SIGTRAP by perf, which C libraries do not all declare yet. */
struct perf_info {
    int signo, error, code, padding;
    uint64_t address;
    uint64_t data; /* perf_event_attr.sig_data */
    uint32_t type, flags;
};

static struct sigaction program_action;

static void context_registers(const void *context, uint64_t *pc, uint64_t *sp)
{
    const ucontext_t *user = context;
#if defined(__x86_64__)
    *pc = (uint64_t)user->uc_mcontext.gregs[REG_RIP];
    *sp = (uint64_t)user->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    *pc = user->uc_mcontext.pc;
    *sp = user->uc_mcontext.sp;
#else
#error "registers of this architecture are not known"
#endif
}

/* Other threads may be in the handler: the layout, which they look at first, is stored last. */
static void adopt_interpreter(void)
{
    struct interpreter found;
    if (!link_find_interpreter(&found))
        return;
    const struct py_layout *layout = found.layout;
    found.layout = NULL;
    agent.python = found;
    link_publish(&found, agent.image);
    memcpy(agent.image->refusal, found.reason, sizeof(agent.image->refusal));
    atomic_thread_fence(memory_order_release);
    agent.python.layout = layout;
}

static bool python_is_running(void)
{
    if (!agent.python.layout && atomic_load(&agent.look_again) && !agent.native) {
        atomic_store(&agent.look_again, false);
        adopt_interpreter();
    }
    return agent.python.layout && agent.python.is_initialized();
}

static uint32_t node_now(struct slot *slot, uint64_t address, uint64_t pc, uint64_t sp)
{
    if (arena_owns(address) || arena_owns(pc))
        return TALLY_NODE_TALLYSTACK;
    if (!python_is_running())
        return agent.python.layout ? TALLY_NODE_STARTUP : TALLY_NODE_NATIVE;
    return path_node(slot, sp);
}

static void lose(uint32_t counter, uint64_t weight)
{
    if (agent_may_write())
        atomic_fetch_add((_Atomic uint64_t *)&agent.image->lost[counter], weight);
}

static bool is_clock(uint32_t counter)
{
    return agent.control->counters[counter].clock_kind == TALLY_CLOCK_CPU;
}

/* `extra` holds what read-only counters counted. */
static void write_sample(struct slot *slot, uint32_t counter, uint64_t pc, uint32_t node,
                         uint64_t weight, const uint64_t *extra, uint32_t extra_count)
{
    bool wide = weight > UINT32_MAX;
    uint32_t head = wide ? sizeof(struct tally_sample_wide) : sizeof(struct tally_sample);
    uint32_t size = head + extra_count * (uint32_t)sizeof(*extra);
    char *record = stream_reserve(slot, size);
    if (!record) {
        lose(counter, weight);
        return;
    }
    struct tally_sample sample = {
        .type = wide ? TALLY_RECORD_SAMPLE_WIDE : TALLY_RECORD_SAMPLE,
        .counter = (uint8_t)counter,
        .pc_high = (uint16_t)(pc >> 32),
        .pc_low = (uint32_t)pc,
        .node = node,
        .weight = wide ? 0 : (uint32_t)weight,
    };
    memcpy(record, &sample, sizeof(sample));
    if (wide)
        memcpy(record + sizeof(sample), &weight, sizeof(weight));
    if (extra_count)
        memcpy(record + head, extra, extra_count * sizeof(*extra));
    stream_commit(slot, size);
}

/* What the counter counted since its last sample, but for what our own handler made it count. */
static uint64_t difference(const struct slot *slot, uint32_t counter, const uint64_t *now)
{
    uint64_t own = slot->nested[counter] * agent.control->counters[counter].period;
    uint64_t known = slot->read[counter] + (is_clock(counter) ? 0 : own);
    return now[counter] > known ? now[counter] - known : 0;
}

static uint64_t take_difference(struct slot *slot, uint32_t counter, const uint64_t *now)
{
    uint64_t amount = difference(slot, counter, now) + slot->carry[counter];
    slot->read[counter] += amount - slot->carry[counter];
    slot->carry[counter] = 0;
    return amount;
}

/*
 * The kernel throttles a counter with too many overflows in a tick: it stands still until the next
 * one, and neither its count nor a signal tells. Only how fast they came does. The coarse clock
 * advances with the ticks.
 */
static void keep_pace(struct slot *slot, uint32_t counter, uint64_t weight)
{
    uint64_t tick = agent_clock_ns(CLOCK_MONOTONIC_COARSE);
    uint64_t period = agent.control->counters[counter].period;
    struct pace *pace = &slot->pace[counter];
    if (pace->tick_ns != tick)
        *pace = (struct pace){.tick_ns = tick};
    pace->overflows += period && weight > period ? weight / period : 1;
    agent_raise(&agent.image->busiest[counter], pace->overflows);
}

/* One sample of `counter`, with what was read along if it is the sample clock. */
static void record(struct slot *slot, uint32_t counter, uint64_t pc, uint32_t node, uint64_t weight,
                   const uint64_t *now)
{
    uint64_t extra[TALLY_MAX_COUNTERS];
    uint32_t count = 0;
    keep_pace(slot, counter, weight);
    for (uint32_t i = 1; counter == 0 && i < agent.control->counter_count; i++)
        if (agent.control->counters[i].weight == TALLY_WEIGHT_NONE)
            extra[count++] = now ? take_difference(slot, i, now) : 0;
    write_sample(slot, counter, pc, node, weight, extra, count);
}

/*
 * Counters that overflow before the thread is back in its own code would each send it a SIGTRAP,
 * and the kernel keeps only one. The group's counts tell which others overflowed, and it was here.
 */
static void record_coincident(struct slot *slot, uint32_t counter, const uint64_t *now, uint64_t pc,
                              uint32_t node)
{
    for (uint32_t i = 0; i < agent.control->counter_count; i++) {
        const struct tally_counter *other = &agent.control->counters[i];
        if (i != counter && other->weight == TALLY_WEIGHT_DELTA && other->period &&
            difference(slot, i, now) + slot->carry[i] >= other->period)
            record(slot, i, pc, node, take_difference(slot, i, now), now);
    }
}

/* All that was counted since the last: several overflows within one system call come as one signal.
 */
static uint64_t weigh(struct slot *slot, uint32_t counter, const uint64_t *now)
{
    const struct tally_counter *how = &agent.control->counters[counter];
    if (how->weight == TALLY_WEIGHT_PERIOD || !now)
        return how->period;
    return take_difference(slot, counter, now);
}

static void sample(struct slot *slot, uint32_t counter, uint64_t address, uint64_t pc, uint64_t sp)
{
    uint64_t counts[TALLY_MAX_COUNTERS];
    const uint64_t *now = counters_read(slot, counts) ? counts : NULL;
    uint64_t weight = weigh(slot, counter, now);
    if (!weight)
        return; /* already in the sample of another counter */
    uint32_t node = node_now(slot, address, pc, sp);
    stream_object_of(slot, pc);
    record(slot, counter, pc, node, weight, now);
    if (now)
        record_coincident(slot, counter, now, pc, node);
}

void sample_nested(struct slot *slot)
{
    uint64_t now[TALLY_MAX_COUNTERS];
    for (uint32_t i = 0; i < agent.control->counter_count; i++) {
        uint64_t weight = slot->nested[i] * agent.control->counters[i].period;
        if (!slot->nested[i])
            continue;
        if (is_clock(i) && counters_read(slot, now))
            weight = take_difference(slot, i, now);
        else
            slot->read[i] += weight;
        slot->nested[i] = 0;
        if (weight)
            record(slot, i, 0, TALLY_NODE_TALLYSTACK, weight, NULL);
    }
}

/*
 * From here on an overflow that the handler itself causes is delivered, and counted, at once. Not
 * before: where a signal's frame is larger than a page (aarch64), writing it always faults, and
 * faults that are sampled one by one would put frame upon frame and never enter the handler.
 */
static void let_traps_in(void)
{
    static const uint64_t trap = UINT64_C(1) << (SIGTRAP - 1);
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &trap, NULL, sizeof(trap));
}

/*
 * How many calls this one's CPU time stands for; 0: it is not taken. Reading it costs as much as a
 * quarter of a sample of a flat stack, and wall time would hold what others did to the CPU. So only
 * a thread's first calls are timed, those that may take long, and one in EVERY others.
 */
static uint64_t calls_told_by_this(const struct slot *slot)
{
    enum { EVERY = 8, DEEP = 100 };
    bool is_slowed = slot->period > agent.control->counters[0].period;
    if (slot->handler_calls < EVERY || slot->last_depth >= DEEP || is_slowed)
        return 1;
    return slot->handler_calls % EVERY ? 0 : EVERY;
}

/*
 * Stacks that take long to walk are sampled less often, or the program would hardly get on between
 * two samples. And a program that does things in turns must not find the samples in step with it:
 * the period varies, anew every few samples, since it costs as much as a third of one. Each weighs
 * what was counted since the last, so that the sums stay right.
 */
static void set_pace(struct slot *slot, uint64_t cost_ns)
{
    enum { LEAST_COSTS = 4 /* in a period */, VARIED_EVERY = 4 };
    const struct tally_counter *clock = &agent.control->counters[0];
    uint64_t period = clock->period;
    if (!period)
        return;
    if (!is_clock(0) || clock->weight != TALLY_WEIGHT_DELTA)
        return;
    if (period < LEAST_COSTS * cost_ns)
        period = LEAST_COSTS * cost_ns;
    if (slot->period != period)
        counters_set_period(slot, period);
    else if (++slot->since_varied >= VARIED_EVERY)
        counters_vary_period(slot);
}

static void on_overflow(uint32_t counter, uint64_t address, const void *context)
{
    struct slot *slot = agent_slot;
    if (!slot || counter >= agent.control->counter_count || !agent_may_write())
        return;
    if (slot->busy) {
        slot->nested[counter]++;
        return;
    }
    uint64_t pc, sp, calls = calls_told_by_this(slot), cost = 0;
    uint64_t start = calls ? agent_clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
    slot->busy = 1;
    atomic_signal_fence(memory_order_seq_cst);
    let_traps_in();
    context_registers(context, &pc, &sp);
    sample(slot, counter, address, pc, sp);
    sample_nested(slot);
    if (calls)
        cost = agent_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    if (counter == 0)
        set_pace(slot, cost);
    slot->handler_calls++;
    slot->handler_ns += cost * calls;
    atomic_signal_fence(memory_order_seq_cst);
    slot->busy = 0;
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
    if (program_action.sa_flags & SA_SIGINFO) {
        program_action.sa_sigaction(signal, info, context);
    } else if (program_action.sa_handler == SIG_DFL) {
        /* As without us: the default action, with this very signal. */
        struct sigaction standard = {.sa_handler = SIG_DFL};
        interpose_real_sigaction(SIGTRAP, &standard, NULL);
        syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGTRAP);
    } else if (program_action.sa_handler != SIG_IGN) {
        program_action.sa_handler(signal);
    }
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code == TRAP_PERF_CODE) {
        struct perf_info perf;
        memcpy(&perf, info, sizeof(perf));
        on_overflow((uint32_t)perf.data, perf.address, context);
    } else if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &agent) {
        on_overflow(0, 0, context);
    } else {
        let_traps_in();
        pass_on(signal, info, context);
    }
    errno = saved;
}

void sample_install_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_trap,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    interpose_real_sigaction(SIGTRAP, &action, &program_action);
}

int sample_program_action(const struct sigaction *action, struct sigaction *old)
{
    if (old)
        *old = program_action;
    if (action)
        program_action = *action;
    return 0;
}
