/* The verdict under the table of stat: what its counts and times alone can tell. */
#include "stat.h"

#include "profile/verdict.h"
#include "sources/fault.h"

#include <math.h>
#include <string.h>

static double mean_of(const struct stat *stat, const char *const *names)
{
    for (; *names; names++)
        for (int i = 0; i < stat->count; i++)
            if (!strcmp(stat->events[i].event.name, *names) && stat->events[i].runs)
                return stat->events[i].mean;
    return -1;
}

/* Whether each run told how long it was ready without a CPU. */
static bool is_ready_told(const struct stat *stat)
{
    return stat->ready.runs && stat->ready.runs == stat->times[0].runs;
}

static void gather(const struct stat *stat, struct tally_evidence *evidence)
{
    double elapsed = stat->times[0].mean, cpu = stat->times[1].mean + stat->times[2].mean;
    tally_evidence_init(evidence);
    evidence->user_ns = stat->times[1].mean;
    evidence->system_ns = stat->times[2].mean;
    evidence->accounts[TALLY_STATE_RUNNING] = cpu < elapsed ? cpu : elapsed;
    double rest = elapsed - evidence->accounts[TALLY_STATE_RUNNING];
    if (is_ready_told(stat))
        evidence->accounts[TALLY_STATE_RUNNABLE] = fmin(stat->ready.mean, rest);
    evidence->accounts[TALLY_ACCOUNT_UNSEEN] = rest - evidence->accounts[TALLY_STATE_RUNNABLE];
    evidence->faults = mean_of(stat, (const char *const[]){"page-faults", NULL});
    evidence->fault_ns = evidence->faults >= 0 ? tally_fault_cost() : -1;
    evidence->instructions =
        mean_of(stat, (const char *const[]){"instructions", "PAPI_TOT_INS", NULL});
    evidence->cycles = mean_of(stat, (const char *const[]){"cycles", "PAPI_TOT_CYC", NULL});
    evidence->level1_misses =
        mean_of(stat, (const char *const[]){"PAPI_L1_DCM", "L1-dcache-load-misses", NULL});
    evidence->last_level_misses =
        mean_of(stat, (const char *const[]){"PAPI_L3_TCM", "cache-misses", NULL});
    evidence->fetch_misses =
        mean_of(stat, (const char *const[]){"PAPI_L1_ICM", "L1-icache-load-misses", NULL});
    evidence->mispredictions =
        mean_of(stat, (const char *const[]){"PAPI_BR_MSP", "branch-misses", NULL});
}

void stat_print_verdict(const struct stat *stat)
{
    struct tally_evidence evidence;
    struct tally_finding finding;
    gather(stat, &evidence);
    if (stat->times[0].mean <= 0)
        return;
    double per_cent = 100 / stat->times[0].mean;
    double on_cpu = per_cent * evidence.accounts[TALLY_STATE_RUNNING];
    tally_judge(&evidence, &finding);
    if (finding.verdict == TALLY_VERDICT_BALANCED && is_ready_told(stat))
        fprintf(stat->table.out,
                "Waiting: %.0f %% of the elapsed time, and ready without a CPU: %.0f %%; "
                "\"tallystack diagnose -- PROGRAM\" tells for what.\n",
                per_cent * evidence.accounts[TALLY_ACCOUNT_UNSEEN],
                per_cent * evidence.accounts[TALLY_STATE_RUNNABLE]);
    else if (finding.verdict == TALLY_VERDICT_BALANCED)
        fprintf(
            stat->table.out,
            "Waiting, or ready without a CPU: %.0f %% of the elapsed time; \"tallystack diagnose "
            "-- PROGRAM\" tells for what.\n",
            100 - on_cpu);
    else if (finding.verdict == TALLY_VERDICT_CPU)
        fprintf(
            stat->table.out,
            "CPU-bound: %.0f %% of the elapsed time on a CPU; \"tallystack diagnose -- PROGRAM\" "
            "tells where.\n",
            on_cpu);
    else
        fprintf(stat->table.out, "%s: %.0f %% of the %s.\n", tally_verdict_names[finding.verdict],
                100 * finding.value, finding.evidence);
}
