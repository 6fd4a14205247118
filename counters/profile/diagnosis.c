#include "profile/diagnosis.h"

#include "base/buffer.h"
#include "profile/view.h"

#include <stdlib.h>
#include <string.h>

const char *const tally_scope_names[] = {"program", "process", "thread", "function"};

static const struct tally_profile *profile_of(const struct tally_diagnosis *diagnosis)
{
    return diagnosis->accounts->profile;
}

/* Events of the recording */

static int event_called(const struct tally_run *run, const char *const *names)
{
    for (; *names; names++)
        for (int i = 0; i < run->event_count; i++)
            if (!strcmp(run->events[i].event.name, *names))
                return i;
    return -1;
}

static double amount_of(const struct tally_value *value)
{
    return value->sampled + value->exact;
}

/* The counters that the recording has, each by the names it may have. */
struct counters {
    int faults, instructions, cycles, level1, last_level, fetch, mispredictions;
};

static struct counters find_counters(const struct tally_run *run)
{
    static const char *const faults[] = {"page-faults", "faults", "perf::PAGE-FAULTS", NULL};
    static const char *const instructions[] = {"PAPI_TOT_INS", "instructions", NULL};
    static const char *const cycles[] = {"cycles", "PAPI_TOT_CYC", NULL};
    static const char *const level1[] = {"PAPI_L1_DCM", "L1-dcache-load-misses", NULL};
    static const char *const last[] = {"PAPI_L3_TCM", "PAPI_L3_DCM", "cache-misses", NULL};
    static const char *const fetch[] = {"PAPI_L1_ICM", "L1-icache-load-misses", NULL};
    static const char *const mispredictions[] = {"PAPI_BR_MSP", "branch-misses", NULL};
    return (struct counters){event_called(run, faults),        event_called(run, instructions),
                             event_called(run, cycles),        event_called(run, level1),
                             event_called(run, last),          event_called(run, fetch),
                             event_called(run, mispredictions)};
}

static void add_counter(double *to, const struct tally_value *values, int event)
{
    if (event >= 0)
        *to = (*to < 0 ? 0 : *to) + amount_of(&values[event]);
}

/* Native code */

enum code_kind { CODE_UNKNOWN, CODE_INTERPRETER, CODE_NATIVE };

/* The C library serves both and tells nothing. */
static enum code_kind kind_of(const struct tally_profile *profile, const struct tally_cell *cell)
{
    for (size_t i = 0; i < profile->loaded_count; i++) {
        const struct tally_loaded *loaded = &profile->loaded[i];
        if (loaded->image != cell->image || cell->pc < loaded->start || cell->pc >= loaded->end)
            continue;
        const char *slash = strrchr(loaded->path, '/');
        const char *name = slash ? slash + 1 : loaded->path;
        if (!strncmp(name, "libpython", 9) || !strncmp(name, "python", 6))
            return CODE_INTERPRETER;
        if (!strncmp(name, "libc.", 5) || !strncmp(name, "libc-", 5) || !strncmp(name, "ld-", 3) ||
            strstr(name, "vdso") || strstr(name, "tallystack") || !strncmp(name, "libpthread", 10))
            return CODE_UNKNOWN;
        return CODE_NATIVE;
    }
    return cell->pc ? CODE_NATIVE : CODE_UNKNOWN; /* in no file: made at run time */
}

struct native {
    double native, interpreter;
};

static double share_of(const struct native *native)
{
    double all = native->native + native->interpreter;
    return all > 0 ? native->native / all : -1;
}

/* Time on a CPU, by the samples of the recording's clocks: of user code alone, the kernel, all. */
struct clocks {
    uint32_t user, kernel, all;
};

static struct clocks find_clocks(const struct tally_run *run)
{
    struct clocks clocks = {.all = tally_accounts_clocks(run)};
    for (int i = 0; i < run->event_count; i++) {
        const struct tally_term *term = &run->events[i].event.terms[0];
        if (clocks.all >> i & 1 && term->exclude_kernel)
            clocks.user |= 1U << i;
        if (clocks.all >> i & 1 && term->exclude_user)
            clocks.kernel |= 1U << i;
    }
    return clocks;
}

static double sum_of(const struct tally_value *values, uint32_t events)
{
    double sum = 0;
    for (int i = 0; events >> i; i++)
        if (events >> i & 1)
            sum += amount_of(&values[i]);
    return sum;
}

/* Subjects */

/* What samples of page faults cost the recorded program in the kernel, by the fault. */
static double sampled_fault_cost(const struct tally_run *run)
{
    for (int i = 0; i < run->event_count; i++) {
        const struct tally_event *event = &run->events[i].event;
        if (!strcmp(event->name, "page-faults") && event->period)
            return run->delivery_ns / (double)event->period;
    }
    return 0;
}

static struct tally_subject *add_subject(struct tally_diagnosis *diagnosis, enum tally_scope scope,
                                         uint32_t index, const char *name)
{
    diagnosis->subjects =
        tally_realloc(diagnosis->subjects, diagnosis->count + 1, sizeof(*diagnosis->subjects));
    struct tally_subject *subject = &diagnosis->subjects[diagnosis->count++];
    *subject = (struct tally_subject){.scope = scope, .index = index, .name = name};
    tally_evidence_init(&subject->evidence);
    subject->evidence.fault_ns = profile_of(diagnosis)->run->fault_ns;
    subject->evidence.sampled_fault_ns = sampled_fault_cost(profile_of(diagnosis)->run);
    return subject;
}

static void add_account(struct tally_evidence *evidence, const struct tally_thread_account *account)
{
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        evidence->accounts[i] += account->states[i];
    evidence->untimed_ns += account->untimed_ns;
    if (!account->has_split)
        return;
    evidence->user_ns = (evidence->user_ns < 0 ? 0 : evidence->user_ns) + account->user_ns;
    evidence->system_ns = (evidence->system_ns < 0 ? 0 : evidence->system_ns) + account->system_ns;
}

/* Whether a cell is the subject's. */
static bool is_of(const struct tally_diagnosis *diagnosis, const struct tally_subject *subject,
                  const struct tally_cell *cell)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    switch (subject->scope) {
    case TALLY_SCOPE_PROCESS:
    case TALLY_SCOPE_PROGRAM: /* its threads stand for each other */
        return profile->threads[cell->thread].process == subject->index;
    case TALLY_SCOPE_THREAD:
        return cell->thread == subject->index;
    default:
        return profile->paths[cell->path].function == subject->index;
    }
}

static void add_samples(const struct tally_diagnosis *diagnosis, struct tally_subject *subject,
                        const struct counters *counters, const uint8_t *kinds)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    struct clocks clocks = find_clocks(profile->run);
    struct native native = {0};
    double user = 0, kernel = 0;
    for (size_t i = 0; i < profile->cell_count; i++) {
        const struct tally_value *values = &profile->values[i * profile->event_count];
        struct tally_evidence *evidence = &subject->evidence;
        if (!is_of(diagnosis, subject, &profile->cells[i]))
            continue;
        if (kinds[i] == CODE_NATIVE)
            native.native += sum_of(values, clocks.all);
        else if (kinds[i] == CODE_INTERPRETER)
            native.interpreter += sum_of(values, clocks.all);
        user += sum_of(values, clocks.user);
        kernel += sum_of(values, clocks.kernel);
        add_counter(&evidence->faults, values, counters->faults);
        add_counter(&evidence->instructions, values, counters->instructions);
        add_counter(&evidence->cycles, values, counters->cycles);
        add_counter(&evidence->level1_misses, values, counters->level1);
        add_counter(&evidence->last_level_misses, values, counters->last_level);
        add_counter(&evidence->fetch_misses, values, counters->fetch);
        add_counter(&evidence->mispredictions, values, counters->mispredictions);
    }
    subject->evidence.native_share = share_of(&native);
    if (subject->scope == TALLY_SCOPE_FUNCTION && clocks.kernel) {
        subject->evidence.user_ns = user;
        subject->evidence.system_ns = kernel;
    }
}

/* The main thread, and its waits for others */

static uint32_t main_thread(const struct tally_profile *profile)
{
    uint32_t process = 0, thread = 0;
    for (size_t i = 0; i < profile->thread_count; i++)
        if (profile->threads[i].process == process &&
            profile->threads[i].tid == profile->processes[process].pid)
            thread = (uint32_t)i;
    return thread;
}

/* A loop that only its own descriptor wakes up waits for other threads, as a join does. */
static bool is_join(const struct tally_accounts *accounts, size_t look)
{
    const struct tally_look *seen = &accounts->profile->looks[look];
    uint8_t state = accounts->look_states[look], flags = accounts->path_flags[seen->path];
    if (state == TALLY_STATE_POLL)
        return seen->waker == TALLY_WAKER_OWN && (seen->taken || flags & TALLY_PATH_LOOP);
    return state == TALLY_STATE_LOCK && flags & TALLY_PATH_JOIN;
}

/* Whether a look at a thread tells nothing of what a thread that waits for it waits for. */
static bool is_idle(const struct tally_accounts *accounts, size_t look)
{
    return is_join(accounts, look) ||
           (accounts->path_flags[accounts->profile->looks[look].path] & TALLY_PATH_TENDS);
}

struct span {
    uint64_t begin, end;
};

static int by_begin(const void *a, const void *b)
{
    const struct span *left = a, *right = b;
    return left->begin < right->begin ? -1 : left->begin > right->begin;
}

/* How much of [begin, end) lies in the spans, which are sorted and apart. */
static double overlap(const struct span *spans, size_t count, uint64_t begin, uint64_t end)
{
    size_t low = 0, high = count;
    double sum = 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (spans[middle].end <= begin)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && spans[low].begin < end; low++) {
        uint64_t from = spans[low].begin > begin ? spans[low].begin : begin;
        uint64_t to = spans[low].end < end ? spans[low].end : end;
        if (to > from)
            sum += (double)(to - from);
    }
    return sum;
}

/*
 * Adds `ns` that a look stands for. Whether a thread that wants to run has a CPU is not seen by
 * looking at it: that divides as the kernel's accounts of the thread do.
 */
static void add_look(const struct tally_accounts *accounts, size_t look, double ns, double *sums)
{
    const double *states = accounts->threads[accounts->profile->looks[look].thread].states;
    double cpu = states[TALLY_STATE_RUNNING], ready = states[TALLY_STATE_RUNNABLE];
    uint8_t state = accounts->look_states[look];
    if (state > TALLY_STATE_RUNNABLE || cpu + ready <= 0) {
        sums[state] += ns;
        return;
    }
    sums[TALLY_STATE_RUNNING] += ns * cpu / (cpu + ready);
    sums[TALLY_STATE_RUNNABLE] += ns * ready / (cpu + ready);
}

/*
 * Replaces what was `waited` of each account by what other threads did in the spans. Returns how
 * much that is: 0 if nothing is known of any.
 */
static double replace(const struct tally_diagnosis *diagnosis, uint32_t main,
                      struct tally_evidence *evidence, const double *waited,
                      const struct span *spans, size_t count)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    double others[TALLY_ACCOUNTS] = {0}, all = 0, sum = 0;
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        if (look->thread == main || is_idle(diagnosis->accounts, i) ||
            profile->threads[look->thread].process != profile->threads[main].process)
            continue;
        double shared = overlap(spans, count, look->begin_ns, look->begin_ns + look->duration_ns);
        add_look(diagnosis->accounts, i, shared, others);
        all += shared;
    }
    if (all <= 0)
        return 0;
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        sum += waited[i];
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        evidence->accounts[i] += sum * others[i] / all - waited[i];
    evidence->untimed_ns -= waited[TALLY_STATE_POLL];
    return sum;
}

static void follow_threads(struct tally_diagnosis *diagnosis, uint32_t main,
                           struct tally_evidence *evidence)
{
    const struct tally_accounts *accounts = diagnosis->accounts;
    const struct tally_profile *profile = accounts->profile;
    const struct tally_thread_account *account = &accounts->threads[main];
    struct span *spans = NULL;
    size_t count = 0;
    double waited[TALLY_ACCOUNTS] = {0};
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        if (look->thread != main || !is_join(accounts, i))
            continue;
        waited[accounts->look_states[i]] += tally_accounts_weight(accounts, i);
        spans = tally_realloc(spans, count + 1, sizeof(*spans));
        spans[count++] = (struct span){look->begin_ns, look->begin_ns + look->duration_ns};
    }
    if (count) {
        qsort(spans, count, sizeof(*spans), by_begin);
        double replaced = replace(diagnosis, main, evidence, waited, spans, count);
        diagnosis->replaced_share = account->wall_ns > 0 ? replaced / account->wall_ns : 0;
    }
    free(spans);
}

/* Places */

static bool is_library(const struct tally_function *function)
{
    return function->file[0] != '/' || strstr(function->file, "/lib/python") ||
           strstr(function->file, "/site-packages/") || strstr(function->file, "/dist-packages/");
}

/* The innermost frame of the program's own code; the innermost of all if there is none. */
static uint32_t own_path(const struct tally_profile *profile, uint32_t path)
{
    for (uint32_t at = path; at != TALLY_NO_PATH; at = profile->paths[at].parent)
        if (!is_library(&profile->functions[profile->paths[at].function]))
            return at;
    return path;
}

/* Whether the program's verdict is about this thread, too. */
static bool is_followed(const struct tally_diagnosis *diagnosis, uint32_t main, uint32_t thread)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    return thread == main || (diagnosis->replaced_share > 0.5 &&
                              profile->threads[thread].process == profile->threads[main].process);
}

/* How many tasks waited at the place, and how much of event loops is told by no task. */
static void find_tasks(struct tally_diagnosis *diagnosis, uint32_t main)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    struct tally_place *place = &diagnosis->place;
    double untold = 0, wall = 0;
    uint32_t at_once = 0;
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        if (!is_followed(diagnosis, main, look->thread))
            continue;
        const struct tally_path *path = &profile->paths[own_path(profile, look->path)];
        at_once = look->goes_on ? at_once : 0;
        if (place->share > 0 && path->function == place->function && path->line == place->line)
            at_once += look->tasks;
        if (at_once > place->tasks) {
            place->tasks = at_once;
            place->is_about = look->is_estimated;
        }
        wall += (double)look->duration_ns;
        if (look->state == TALLY_STATE_POLL && !look->tasks)
            untold += (double)look->duration_ns;
    }
    if (wall > 0)
        diagnosis->untold_share = untold / wall;
}

static void find_place(struct tally_diagnosis *diagnosis, uint32_t main)
{
    const struct tally_profile *profile = &diagnosis->accounts->as_profile;
    const struct tally_finding *finding = &diagnosis->subjects[0].finding;
    size_t count = 0;
    double all = 0;
    struct tally_place *places = NULL;
    for (size_t i = 0; i < profile->cell_count; i++) {
        const struct tally_cell *cell = &profile->cells[i];
        bool is_meant = is_followed(diagnosis, main, cell->thread);
        double amount = 0;
        for (int account = 0; account < TALLY_ACCOUNTS && is_meant; account++) {
            int event = diagnosis->accounts->event_of[account];
            if ((finding->accounts >> account & 1) && event >= 0)
                amount += amount_of(&profile->values[i * profile->event_count + (size_t)event]);
        }
        if (amount <= 0 || (diagnosis->accounts->path_flags[cell->path] & TALLY_PATH_TENDS))
            continue;
        all += amount;
        const struct tally_path *path = &profile->paths[own_path(profile, cell->path)];
        if (tally_function_is_special(&profile->functions[path->function]))
            continue;
        size_t at = 0;
        while (at < count &&
               (places[at].function != path->function || places[at].line != path->line))
            at++;
        if (at == count) {
            places = tally_realloc(places, ++count, sizeof(*places));
            places[at] = (struct tally_place){.function = path->function, .line = path->line};
        }
        places[at].share += amount;
    }
    for (size_t i = 0; i < count; i++)
        if (places[i].share > diagnosis->place.share)
            diagnosis->place = places[i];
    if (all > 0)
        diagnosis->place.share /= all;
    free(places);
}

/* All of them */

static void add_threads(struct tally_diagnosis *diagnosis)
{
    const struct tally_profile *profile = profile_of(diagnosis);
    for (uint32_t i = 0; i < profile->process_count; i++) {
        if (!profile->processes[i].pid)
            continue;
        struct tally_subject *subject =
            add_subject(diagnosis, TALLY_SCOPE_PROCESS, i, profile->processes[i].name);
        for (uint32_t k = 0; k < profile->thread_count; k++)
            if (profile->threads[k].process == i)
                add_account(&subject->evidence, &diagnosis->accounts->threads[k]);
    }
    for (uint32_t i = 0; i < profile->thread_count; i++) {
        const struct tally_profile_thread *thread = &profile->threads[i];
        if (!profile->processes[thread->process].pid ||
            (diagnosis->has_waits && diagnosis->accounts->threads[i].wall_ns <= 0))
            continue;
        struct tally_subject *subject =
            add_subject(diagnosis, TALLY_SCOPE_THREAD, i, profile->processes[thread->process].name);
        subject->thread = thread->name;
        add_account(&subject->evidence, &diagnosis->accounts->threads[i]);
    }
}

struct ranked {
    uint32_t function;
    double ns;
};

static int by_time(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;
    return left->ns > right->ns ? -1 : left->ns < right->ns;
}

static void add_functions(struct tally_diagnosis *diagnosis, size_t most)
{
    /* Without accounts, by the first event: what is simulated has no wall time. */
    const struct tally_profile *profile =
        diagnosis->has_waits ? &diagnosis->accounts->as_profile : profile_of(diagnosis);
    size_t events = profile->event_count, ranking = diagnosis->has_waits ? events : 1;
    struct ranked *ranked = tally_alloc_zeroed(profile->function_count + 1, sizeof(*ranked));
    for (uint32_t i = 0; i < profile->function_count; i++)
        ranked[i].function = i;
    for (size_t i = 0; i < profile->cell_count; i++)
        for (size_t e = 0; e < ranking; e++)
            ranked[profile->paths[profile->cells[i].path].function].ns +=
                amount_of(&profile->values[i * events + e]);
    qsort(ranked, profile->function_count, sizeof(*ranked), by_time);
    for (size_t r = 0; r < profile->function_count && most && ranked[r].ns > 0; r++) {
        const struct tally_function *function = &profile->functions[ranked[r].function];
        if (tally_function_is_special(function))
            continue;
        struct tally_subject *subject =
            add_subject(diagnosis, TALLY_SCOPE_FUNCTION, ranked[r].function, function->name);
        for (size_t i = 0; i < profile->cell_count; i++)
            if (profile->paths[profile->cells[i].path].function == ranked[r].function)
                for (int a = 0; a < TALLY_ACCOUNTS; a++)
                    if (diagnosis->accounts->event_of[a] >= 0)
                        subject->evidence.accounts[a] += amount_of(
                            &profile
                                 ->values[i * events + (size_t)diagnosis->accounts->event_of[a]]);
        for (size_t i = 0; i < profile->look_count; i++)
            if (profile->paths[profile->looks[i].path].function == ranked[r].function &&
                tally_accounts_is_untimed(diagnosis->accounts, i))
                subject->evidence.untimed_ns += tally_accounts_weight(diagnosis->accounts, i);
        most--;
    }
    free(ranked);
}

struct tally_diagnosis *tally_diagnosis_new(const struct tally_accounts *accounts, size_t functions)
{
    struct tally_diagnosis *diagnosis = tally_alloc_zeroed(1, sizeof(*diagnosis));
    const struct tally_profile *profile = accounts->profile;
    struct counters counters = find_counters(profile->run);
    uint8_t *kinds = tally_alloc_zeroed(profile->cell_count, 1);
    uint32_t main = main_thread(profile);
    diagnosis->accounts = accounts;
    diagnosis->has_waits = accounts->as_profile.event_count > 0;
    diagnosis->has_counters = counters.instructions >= 0 && counters.level1 >= 0 &&
                              counters.last_level >= 0 && counters.fetch >= 0 &&
                              counters.mispredictions >= 0;
    for (size_t i = 0; i < profile->cell_count; i++)
        kinds[i] = (uint8_t)kind_of(profile, &profile->cells[i]);
    struct tally_subject *program =
        add_subject(diagnosis, TALLY_SCOPE_PROGRAM, 0, profile->run->command);
    if (profile->thread_count) {
        add_account(&program->evidence, &accounts->threads[main]);
        follow_threads(diagnosis, main, &program->evidence);
    }
    if (diagnosis->replaced_share > 0.5) { /* how its time on a CPU divides is the threads' */
        program->evidence.user_ns = program->evidence.system_ns = -1;
        struct tally_evidence all;
        tally_evidence_init(&all);
        for (size_t i = 0; i < profile->thread_count; i++)
            if (profile->threads[i].process == profile->threads[main].process)
                add_account(&all, &accounts->threads[i]);
        program->evidence.user_ns = all.user_ns;
        program->evidence.system_ns = all.system_ns;
    }
    add_threads(diagnosis);
    add_functions(diagnosis, functions);
    for (size_t i = 0; i < diagnosis->count; i++) {
        add_samples(diagnosis, &diagnosis->subjects[i], &counters, kinds);
        tally_judge(&diagnosis->subjects[i].evidence, &diagnosis->subjects[i].finding);
    }
    find_place(diagnosis, main);
    find_tasks(diagnosis, main);
    free(kinds);
    return diagnosis;
}

void tally_diagnosis_free(struct tally_diagnosis *diagnosis)
{
    if (!diagnosis)
        return;
    free(diagnosis->subjects);
    free(diagnosis);
}
