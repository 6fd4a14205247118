#include "output/diagnosis.h"

#include "base/buffer.h"
#include "base/text.h"
#include "output/csv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static double wall_of(const struct tally_evidence *evidence)
{
    double sum = 0;
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        sum += evidence->accounts[i];
    return sum;
}

/* What each account is called in a sentence. */
static const char *const account_words[TALLY_ACCOUNTS] = {
    "on a CPU",        "ready, no CPU",       "asleep",  "files",    "sockets",
    "pipes",           "locks or conditions", "the GIL", "children", "event loops",
    "cause not known", "not looked at"};

static void print_place(FILE *out, const struct tally_diagnosis *diagnosis)
{
    const struct tally_place *place = &diagnosis->place;
    const struct tally_profile *profile = diagnosis->accounts->profile;
    const struct tally_finding *finding = &diagnosis->subjects[0].finding;
    const struct tally_evidence *evidence = &diagnosis->subjects[0].evidence;
    double group = 0, wall = wall_of(evidence);
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        if (finding->accounts >> i & 1)
            group += evidence->accounts[i];
    if (place->share <= 0 || wall <= 0)
        return;
    const struct tally_function *function = &profile->functions[place->function];
    fprintf(out, ", %.0f points of it in %s", 100 * place->share * group / wall, function->name);
    if (*function->file)
        fprintf(out, " %s:%" PRIu32, tally_text_short_path(function->file), place->line);
    if (place->tasks)
        fprintf(out, " (awaited by %s%" PRIu32 " task%s)",
                place->is_about    ? "up to about "
                : place->tasks > 1 ? "up to "
                                   : "",
                place->tasks, place->tasks > 1 ? "s" : "");
}

/* Whether the most of the time is in waits whose cause is not known. */
static bool is_unknown(const struct tally_finding *finding)
{
    return finding->accounts >> TALLY_STATE_OTHER & 1;
}

void tally_diagnosis_line(FILE *out, const struct tally_diagnosis *diagnosis)
{
    const struct tally_subject *program = &diagnosis->subjects[0];
    const struct tally_finding *finding = &program->finding;
    double wall = wall_of(&program->evidence), group = 0;
    const char *separator = "";
    fprintf(out, "%s: ", tally_verdict_names[finding->verdict]);
    if (finding->verdict == TALLY_VERDICT_UNKNOWN) {
        fputs("nothing was recorded that tells what bounds the program.\n", out);
        return;
    }
    if (finding->verdict == TALLY_VERDICT_BALANCED)
        fprintf(out, "no %s stands out; ", is_unknown(finding) ? "known cause" : "one thing");
    if (wall <= 0) {
        fprintf(out, "%.0f %% of the %s.\n", 100 * finding->value, finding->evidence);
        return;
    }
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        if (finding->accounts >> i & 1)
            group += program->evidence.accounts[i];
    fprintf(out, "%.0f %% of the wall time of the main thread %s ", 100 * group / wall,
            diagnosis->replaced_share > 0 ? "(and of the threads it waits for) is" : "is");
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        if ((finding->accounts >> i & 1) && program->evidence.accounts[i] > 0.01 * wall) {
            fprintf(out, "%s%s%s", separator,
                    i >= TALLY_STATE_FILE && i <= TALLY_STATE_OTHER && !*separator ? "waiting: "
                                                                                   : "",
                    account_words[i]);
            separator = ", ";
        }
    print_place(out, diagnosis);
    fputs(".\n", out);
}

static void print_subject_name(FILE *out, const struct tally_diagnosis *diagnosis,
                               const struct tally_subject *subject)
{
    if (subject->scope == TALLY_SCOPE_THREAD) {
        fprintf(out, "%s thread %s", subject->name, subject->thread);
        return;
    }
    fprintf(out, "%s", subject->name);
    if (subject->scope != TALLY_SCOPE_FUNCTION)
        return;
    const struct tally_function *function =
        &diagnosis->accounts->profile->functions[subject->index];
    if (*function->file)
        fprintf(out, "  %s:%" PRIu32, tally_text_short_path(function->file), function->first_line);
}

static void print_accounts(FILE *out, const struct tally_diagnosis *diagnosis)
{
    const struct tally_evidence *evidence = &diagnosis->subjects[0].evidence;
    double wall = wall_of(evidence);
    fputs("\nThe main thread's wall time", out);
    if (diagnosis->replaced_share > 0)
        fprintf(out,
                "; for the %.0f %% of it in which it waited for the program's own threads, theirs",
                100 * diagnosis->replaced_share);
    fputs("\n", out);
    for (int i = 0; i < TALLY_ACCOUNTS; i++) {
        if (evidence->accounts[i] <= 0)
            continue;
        fprintf(out, "%12.3f s %6.1f %%  %s", evidence->accounts[i] / 1e9,
                100 * evidence->accounts[i] / wall, tally_account_names[i]);
        double both = evidence->user_ns + evidence->system_ns;
        if (i == TALLY_STATE_RUNNING && evidence->user_ns >= 0 && both > 0)
            fprintf(out, " (%.0f %% of it in user code, %.0f %% in the kernel)",
                    100 * evidence->user_ns / both, 100 * evidence->system_ns / both);
        fputc('\n', out);
    }
}

/* Where the interpreter does not tell which tasks await. */
static void print_loops(FILE *out, const struct tally_diagnosis *diagnosis)
{
    if (diagnosis->untold_share > 0.01)
        fputs("\nWaiting in an event loop (poll) is the loop's: which of its tasks awaited is not "
              "known.\n",
              out);
}

/* Longest first; of equal ones the first found. */
static int by_wall(const void *a, const void *b)
{
    const struct tally_subject *left = *(const struct tally_subject *const *)a;
    const struct tally_subject *right = *(const struct tally_subject *const *)b;
    double more = wall_of(&right->evidence) - wall_of(&left->evidence);
    return more != 0 ? (more > 0 ? 1 : -1) : left < right ? -1 : left > right;
}

static void print_more(FILE *out, size_t count, size_t limit)
{
    if (count > limit)
        fprintf(out, "(%zu more; --limit 0 shows all)\n", count - limit);
}

static void print_finding(FILE *out, const struct tally_subject *subject)
{
    const struct tally_finding *finding = &subject->finding;
    double wall = wall_of(&subject->evidence);
    if (wall > 0)
        fprintf(out, "%10.3f s", wall / 1e9);
    else
        fprintf(out, "%10s  ", "-");
    fprintf(out, "  %-26s", tally_verdict_names[finding->verdict]);
    if (finding->verdict == TALLY_VERDICT_UNKNOWN)
        fprintf(out, " %4s    ", "-");
    else
        fprintf(out, " %4.0f %%  ", 100 * finding->value);
}

static void print_scope(FILE *out, const struct tally_diagnosis *diagnosis, enum tally_scope scope,
                        const char *heading, size_t limit)
{
    const struct tally_subject **subjects = tally_alloc_zeroed(diagnosis->count, sizeof(*subjects));
    size_t count = 0;
    for (size_t i = 1; i < diagnosis->count; i++)
        if (diagnosis->subjects[i].scope == scope)
            subjects[count++] = &diagnosis->subjects[i];
    qsort(subjects, count, sizeof(*subjects), by_wall);
    if (count)
        fprintf(out, "%s\n", heading);
    for (size_t i = 0; i < count && i < limit; i++) {
        print_finding(out, subjects[i]);
        print_subject_name(out, diagnosis, subjects[i]);
        fputc('\n', out);
    }
    print_more(out, count, limit);
    free(subjects);
}

static void print_subjects(FILE *out, const struct tally_diagnosis *diagnosis, size_t limit)
{
    fprintf(out, "\n%12s  %-26s %6s  %s\n", "wall", "verdict", "share", "what");
    print_scope(out, diagnosis, TALLY_SCOPE_PROCESS, "processes", limit);
    print_scope(out, diagnosis, TALLY_SCOPE_THREAD, "threads", limit);
    print_scope(out, diagnosis, TALLY_SCOPE_FUNCTION, "functions, self", limit);
}

struct contender {
    const char *name;
    double gil, wanted;
};

static int by_gil(const void *a, const void *b)
{
    const struct contender *left = a, *right = b;
    return left->gil > right->gil ? -1 : left->gil < right->gil;
}

static void print_contenders(FILE *out, const struct tally_accounts *accounts, size_t limit)
{
    const struct tally_profile *profile = accounts->profile;
    struct contender *found = tally_alloc_zeroed(profile->thread_count, sizeof(*found));
    size_t count = 0;
    for (size_t i = 0; i < profile->thread_count; i++) {
        const double *states = accounts->threads[i].states;
        double gil = states[TALLY_STATE_GIL];
        double wanted = states[TALLY_STATE_RUNNING] + states[TALLY_STATE_RUNNABLE] + gil;
        if (gil > 0.01 * wanted)
            found[count++] = (struct contender){profile->threads[i].name, gil, wanted};
    }
    qsort(found, count, sizeof(*found), by_gil);
    fputs("\nOf the time that a thread wanted to run, how much it waited for the GIL\n", out);
    for (size_t i = 0; i < count && i < limit; i++)
        fprintf(out, "%12.1f %%  %s\n", 100 * found[i].gil / found[i].wanted, found[i].name);
    print_more(out, count, limit);
    free(found);
}

static void print_blockers(FILE *out, const struct tally_diagnosis *diagnosis, size_t limit)
{
    const struct tally_accounts *accounts = diagnosis->accounts;
    const struct tally_profile *profile = accounts->profile;
    if (!accounts->blocked_count)
        return;
    print_contenders(out, accounts, limit);
    fputs("\nWho waited for the GIL, and who held it\n", out);
    for (size_t i = 0; i < accounts->blocked_count && i < limit; i++) {
        const struct tally_blocked *blocked = &accounts->blocked[i];
        fprintf(out, "%12.3f s  %s waited for %s\n", blocked->ns / 1e9,
                profile->functions[blocked->waiter].name,
                blocked->holder == UINT32_MAX ? "[not known]"
                                              : profile->functions[blocked->holder].name);
    }
    print_more(out, accounts->blocked_count, limit);
}

/* Where nothing stands out, what the threshold is of another verdict. */
static void print_evidence(FILE *out, const struct tally_finding *finding)
{
    bool is_other = finding->verdict == TALLY_VERDICT_BALANCED &&
                    !(is_unknown(finding) && finding->value >= finding->threshold);
    fprintf(out, "Evidence: %.0f %% of the %s; %s needs %.0f %%%s.\n", 100 * finding->value,
            finding->evidence, is_other ? "another verdict" : "the verdict",
            100 * finding->threshold,
            is_other && finding->accounts ? ", and a quarter more than the second largest" : "");
}

/* What the verdict cannot tell for want of counters. */
static void print_want(FILE *out, const struct tally_diagnosis *diagnosis)
{
    const struct tally_run *run = diagnosis->accounts->profile->run;
    enum tally_verdict verdict = diagnosis->subjects[0].finding.verdict;
    bool is_simulated = run->event_count && run->events[0].event.source == TALLY_SOURCE_SIMULATED;
    if (!diagnosis->has_counters &&
        (verdict == TALLY_VERDICT_COMPUTE || verdict == TALLY_VERDICT_INTERPRETER ||
         verdict == TALLY_VERDICT_CPU || (verdict == TALLY_VERDICT_UNKNOWN && is_simulated)))
        fprintf(out,
                "Whether memory, branches or the front end hold it up needs %s counters: "
                "tallystack record --simulate -- %s\n",
                is_simulated ? "more" : "hardware or simulated", run->command);
}

void tally_diagnosis_text(FILE *out, const struct tally_diagnosis *diagnosis, size_t limit)
{
    const struct tally_finding *finding = &diagnosis->subjects[0].finding;
    tally_diagnosis_line(out, diagnosis);
    if (finding->verdict == TALLY_VERDICT_UNKNOWN) {
        print_want(out, diagnosis);
        return;
    }
    print_evidence(out, finding);
    fprintf(out, "Next: %s\n",
            is_unknown(finding) ? "See where it waits: tallystack report -e waits --by line."
                                : tally_verdict_advice[finding->verdict]);
    print_want(out, diagnosis);
    if (diagnosis->has_waits)
        print_accounts(out, diagnosis);
    print_loops(out, diagnosis);
    print_subjects(out, diagnosis, limit);
    print_blockers(out, diagnosis, limit);
}

/* What could not be judged has no verdict; its evidence says so. */
static const char *verdict_field(enum tally_verdict verdict)
{
    bool is_missing = verdict == TALLY_VERDICT_CPU || verdict == TALLY_VERDICT_UNKNOWN;
    return is_missing ? "" : tally_verdict_names[verdict];
}

void tally_diagnosis_csv(FILE *out, const struct tally_diagnosis *diagnosis)
{
    fputs("scope,name,verdict,evidence,value,unit,threshold\n", out);
    for (size_t i = 0; i < diagnosis->count; i++) {
        const struct tally_subject *subject = &diagnosis->subjects[i];
        const struct tally_finding *finding = &subject->finding;
        fprintf(out, "%s,", tally_scope_names[subject->scope]);
        tally_csv_field(out, subject->thread ? subject->thread : subject->name);
        fputc(',', out);
        tally_csv_field(out, verdict_field(finding->verdict));
        fputc(',', out);
        tally_csv_field(out, finding->evidence);
        fputc(',', out);
        if (finding->verdict != TALLY_VERDICT_UNKNOWN)
            fprintf(out, "%.4f", finding->value);
        fprintf(out, ",%s,%.4f\n", finding->unit, finding->threshold);
    }
}
