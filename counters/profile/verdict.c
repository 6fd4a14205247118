#include "profile/verdict.h"

#include <string.h>

#define HALF            0.5
#define AHEAD           1.25
#define BLOCKED         (1.0 / 3)
#define BLOCKED_AHEAD   0.6
#define KERNEL          0.25
#define FAULTS          0.4
#define MEMORY_CYCLES   0.4
#define BRANCH_CYCLES   0.2
#define FETCH_CYCLES    0.2
#define LEVEL1_COST     10
#define LAST_COST       100
#define MISPREDICT_COST 10

#define BIT(account) (1u << (account))

const char *const tally_verdict_names[TALLY_VERDICTS] = {"CPU-bound (compute)",
                                                         "CPU-bound (interpreter)",
                                                         "CPU-bound",
                                                         "memory-bound",
                                                         "branch-bound",
                                                         "front-end-bound",
                                                         "system-call-bound",
                                                         "page-fault-bound",
                                                         "I/O-bound (disk)",
                                                         "I/O-bound (network)",
                                                         "I/O-bound (pipe)",
                                                         "sleeping",
                                                         "lock-bound",
                                                         "GIL-bound",
                                                         "child-bound",
                                                         "starved (no CPU to run on)",
                                                         "balanced",
                                                         "unknown"};

const char *const tally_verdict_advice[TALLY_VERDICTS] = {
    "Native code does the work: give it larger pieces, more threads or a better library.",
    ("The interpreter does the work: do less of it in loops (built-ins, numpy, another algorithm), "
     "or use more processes."),
    "It computes: do less, or use more threads or processes.",
    ("Touch less memory, or in order: smaller types, arrays instead of objects, blocks that fit a "
     "cache."),
    "Make branches predictable, or do without: sort the data, use tables.",
    "Too much code runs in turn: do one kind of work for many items before the next.",
    "Make fewer system calls: larger reads and writes, buffering, batches.",
    "Use memory again instead of mapping fresh pages: keep buffers, allocate once.",
    "Read less or ahead of time, in larger pieces; keep what is read again.",
    "Overlap requests (threads, asyncio), ask for more at once, or cache the answers.",
    ("The process at the other end of the pipe is slower: look at it, or read and write in larger "
     "pieces."),
    "The program waits for time to pass: wait for the event itself instead, or shorter.",
    ("Hold the lock for less time, or divide what it protects; of a condition or an event, see "
     "what sets it so late, unless its time-out is a pause."),
    "Threads that run Python take turns: use processes, or native code that releases the GIL.",
    "The program waits for child processes: look at these, or run several at once.",
    "Other threads or programs had the CPUs: give it more of them, or run fewer things at once.",
    "No one thing stands out: the accounts say what there is.",
    "Nothing that was recorded tells; notes say why, if that is known."};

void tally_evidence_init(struct tally_evidence *evidence)
{
    *evidence = (struct tally_evidence){.user_ns = -1,
                                        .system_ns = -1,
                                        .native_share = -1,
                                        .faults = -1,
                                        .fault_ns = -1,
                                        .sampled_fault_ns = -1,
                                        .instructions = -1,
                                        .level1_misses = -1,
                                        .last_level_misses = -1,
                                        .fetch_misses = -1,
                                        .mispredictions = -1,
                                        .cycles = -1};
}

static double known(double value)
{
    return value > 0 ? value : 0;
}

static void find(struct tally_finding *out, enum tally_verdict verdict, const char *evidence,
                 double value, double threshold)
{
    out->verdict = verdict;
    out->evidence = evidence;
    out->value = value;
    out->threshold = threshold;
    out->unit = "share";
}

/*
 * Whether the processor's counters explain the cycles. That they do not is found only where all of
 * them are known, by the one that is nearest to its threshold.
 */
static bool judge_counters(const struct tally_evidence *evidence, struct tally_finding *out)
{
    const struct {
        enum tally_verdict verdict;
        const char *evidence;
        double cycles, threshold;
    } causes[] = {{TALLY_VERDICT_MEMORY, "cycles in cache misses, estimated",
                   known(evidence->level1_misses) * LEVEL1_COST +
                       known(evidence->last_level_misses) * LAST_COST,
                   MEMORY_CYCLES},
                  {TALLY_VERDICT_BRANCH, "cycles in mispredicted branches, estimated",
                   known(evidence->mispredictions) * MISPREDICT_COST, BRANCH_CYCLES},
                  {TALLY_VERDICT_FRONT_END, "cycles in instruction-cache misses, estimated",
                   known(evidence->fetch_misses) * LEVEL1_COST, FETCH_CYCLES}};
    enum { CAUSES = sizeof(causes) / sizeof(causes[0]) };
    bool all_known = evidence->level1_misses >= 0 && evidence->last_level_misses >= 0 &&
                     evidence->mispredictions >= 0 && evidence->fetch_misses >= 0;
    double cycles = evidence->cycles;
    int bound = -1, nearest = 0;
    if (evidence->instructions < 0)
        return false;
    if (cycles <= 0)
        cycles = evidence->instructions + causes[0].cycles + causes[1].cycles + causes[2].cycles;
    if (cycles <= 0)
        return false;
    for (int i = 0; i < CAUSES; i++) {
        if (causes[i].cycles >= causes[i].threshold * cycles &&
            (bound < 0 || causes[i].cycles > causes[bound].cycles))
            bound = i;
        if (causes[i].cycles / causes[i].threshold >
            causes[nearest].cycles / causes[nearest].threshold)
            nearest = i;
    }
    if (bound >= 0)
        find(out, causes[bound].verdict, causes[bound].evidence, causes[bound].cycles / cycles,
             causes[bound].threshold);
    else if (all_known)
        find(out, TALLY_VERDICT_BALANCED, causes[nearest].evidence, causes[nearest].cycles / cycles,
             causes[nearest].threshold);
    return bound >= 0;
}

/* Of time on a CPU, what sampling page faults took of it, which is not the program's. */
static double sampling_of(const struct tally_evidence *evidence, double cpu_ns)
{
    double fault_ns = known(evidence->fault_ns), sampled_ns = known(evidence->sampled_fault_ns);
    double both = known(evidence->faults) * (fault_ns + sampled_ns);
    return both > 0 ? (both < cpu_ns ? both : cpu_ns) * sampled_ns / (fault_ns + sampled_ns) : 0;
}

static void judge_cpu(const struct tally_evidence *evidence, struct tally_finding *out)
{
    double on_cpu = out->value, cpu = evidence->accounts[TALLY_STATE_RUNNING];
    double system = evidence->system_ns - sampling_of(evidence, evidence->system_ns);
    double all = evidence->user_ns + system;
    bool has_split = evidence->user_ns >= 0 && evidence->system_ns >= 0 && all > 0;
    double kernel = has_split ? system / all : 0;
    double fault_ns = known(evidence->faults) * known(evidence->fault_ns);
    double faults = has_split && system > 0 ? fault_ns / system : 0;
    cpu -= sampling_of(evidence, cpu);
    if (kernel >= KERNEL && faults >= FAULTS) {
        find(out, TALLY_VERDICT_PAGE_FAULT, "kernel time in page faults, estimated",
             faults < 1 ? faults : 1, FAULTS);
        return;
    }
    if (!has_split && cpu > 0 && fault_ns >= FAULTS * cpu) {
        find(out, TALLY_VERDICT_PAGE_FAULT, "CPU time in page faults, estimated",
             fault_ns < cpu ? fault_ns / cpu : 1, FAULTS);
        return;
    }
    if (kernel >= KERNEL) {
        find(out, TALLY_VERDICT_SYSTEM_CALL, "CPU time in the kernel", kernel, KERNEL);
        return;
    }
    if (judge_counters(evidence, out))
        return;
    if (evidence->native_share > HALF)
        find(out, TALLY_VERDICT_COMPUTE, "CPU samples outside the interpreter",
             evidence->native_share, HALF);
    else if (evidence->native_share >= 0)
        find(out, TALLY_VERDICT_INTERPRETER, "CPU samples in the interpreter",
             1 - evidence->native_share, HALF);
    else
        find(out, TALLY_VERDICT_CPU, "wall time on a CPU, in what code is not known", on_cpu, HALF);
}

/* What the wall time is divided into, but for event loops. */
static const struct group {
    uint32_t accounts;
    enum tally_verdict verdict;
    const char *evidence;
} groups[] = {
    {BIT(TALLY_STATE_RUNNING), TALLY_VERDICT_CPU, "wall time on a CPU"},
    {BIT(TALLY_STATE_SLEEP), TALLY_VERDICT_SLEEPING, "wall time asleep or in an idle event loop"},
    {BIT(TALLY_STATE_FILE), TALLY_VERDICT_DISK, "wall time waiting for files"},
    {BIT(TALLY_STATE_SOCKET), TALLY_VERDICT_NETWORK, "wall time waiting for sockets"},
    {BIT(TALLY_STATE_PIPE), TALLY_VERDICT_PIPE, "wall time waiting for pipes"},
    {BIT(TALLY_STATE_CHILD), TALLY_VERDICT_CHILD, "wall time waiting for child processes"},
    {BIT(TALLY_STATE_OTHER) | BIT(TALLY_ACCOUNT_UNSEEN), TALLY_VERDICT_BALANCED,
     "wall time waiting for what is not known"},
    {BIT(TALLY_STATE_LOCK), TALLY_VERDICT_LOCK, "wall time waiting for locks and conditions"},
    {BIT(TALLY_STATE_GIL), TALLY_VERDICT_GIL, "wall time waiting for the GIL"},
    {BIT(TALLY_STATE_RUNNABLE), TALLY_VERDICT_STARVED, "wall time ready to run, without a CPU"},
};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]), FIRST_BLOCKED = 7 };

/* An event loop sleeps if it waits for its timers; of one that has none it is not known. */
static uint32_t accounts_of(const struct group *group, const struct tally_evidence *evidence)
{
    bool is_untimed = 2 * evidence->untimed_ns > evidence->accounts[TALLY_STATE_POLL];
    enum tally_verdict verdict = is_untimed ? TALLY_VERDICT_BALANCED : TALLY_VERDICT_SLEEPING;
    return group->accounts | (group->verdict == verdict ? BIT(TALLY_STATE_POLL) : 0);
}

void tally_judge(const struct tally_evidence *evidence, struct tally_finding *out)
{
    double sums[GROUPS] = {0}, wall = 0;
    for (int account = 0; account < TALLY_ACCOUNTS; account++)
        wall += evidence->accounts[account];
    for (int i = 0; i < GROUPS; i++)
        for (int account = 0; account < TALLY_ACCOUNTS; account++)
            if (accounts_of(&groups[i], evidence) & BIT(account))
                sums[i] += evidence->accounts[account];
    *out = (struct tally_finding){.verdict = TALLY_VERDICT_BALANCED,
                                  .evidence = "wall time in the largest account",
                                  .threshold = HALF,
                                  .unit = "share"};
    if (wall <= 0) {
        find(out, TALLY_VERDICT_UNKNOWN, "nothing was recorded", 0, HALF);
        judge_counters(evidence, out);
        return;
    }
    int largest = 0, second = -1, blocked = FIRST_BLOCKED;
    for (int i = 1; i < GROUPS; i++)
        if (sums[i] > sums[largest])
            largest = i;
    for (int i = 0; i < GROUPS; i++)
        if (i != largest && (second < 0 || sums[i] > sums[second]))
            second = i;
    for (int i = FIRST_BLOCKED + 1; i < GROUPS; i++)
        if (sums[i] > sums[blocked])
            blocked = i;
    if (sums[blocked] >= BLOCKED * wall && sums[blocked] >= BLOCKED_AHEAD * sums[largest]) {
        find(out, groups[blocked].verdict, groups[blocked].evidence, sums[blocked] / wall, BLOCKED);
        out->accounts = accounts_of(&groups[blocked], evidence);
        return;
    }
    out->accounts = accounts_of(&groups[largest], evidence);
    out->value = sums[largest] / wall;
    if (sums[largest] < HALF * wall || sums[largest] < AHEAD * sums[second])
        return;
    find(out, groups[largest].verdict, groups[largest].evidence, sums[largest] / wall, HALF);
    if (largest == 0)
        judge_cpu(evidence, out);
}
