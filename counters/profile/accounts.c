#include "profile/accounts.h"

#include "base/buffer.h"
#include "base/error.h"
#include "profile/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tally_account_names[TALLY_ACCOUNTS] = {
    "on-cpu", "ready", "sleep", "file", "socket",     "pipe",
    "lock",   "gil",   "child", "poll", "other-wait", "not-looked-at"};

static double above_zero(double value)
{
    return value > 0 ? value : 0;
}

/* Call paths */

static uint8_t flags_of(const struct tally_function *function)
{
    static const struct {
        const char *module, *function;
        uint8_t flag;
    } known[] = {
        {"subprocess", "Popen.wait", TALLY_PATH_CHILD},
        {"subprocess", "Popen.communicate", TALLY_PATH_CHILD},
        {"multiprocessing.process", "BaseProcess.join", TALLY_PATH_CHILD},
        {"multiprocessing.pool", "Pool._handle_results", TALLY_PATH_CHILD | TALLY_PATH_JOIN},
        {"multiprocessing.pool", "Pool._handle_workers", TALLY_PATH_TENDS},
        {"multiprocessing.pool", "Pool._wait_for_updates", TALLY_PATH_CHILD},
        {"concurrent.futures.process", "_ExecutorManagerThread.run", TALLY_PATH_CHILD},
        {"threading", "Thread.join", TALLY_PATH_JOIN},
        {"threading", "Condition.wait", TALLY_PATH_JOIN},
        {"threading", "_shutdown", TALLY_PATH_JOIN},
        {"queue", "Queue.get", TALLY_PATH_JOIN},
        {"queue", "Queue.put", TALLY_PATH_JOIN},
        {"queue", "Queue.join", TALLY_PATH_JOIN},
        {"concurrent.futures.thread", "ThreadPoolExecutor.shutdown", TALLY_PATH_JOIN},
        {"concurrent.futures.thread", "_worker", TALLY_PATH_JOIN},
        {"multiprocessing.pool", "Pool._handle_tasks", TALLY_PATH_JOIN},
        {"multiprocessing.pool", "worker", TALLY_PATH_JOIN},
        {"asyncio.base_events", "BaseEventLoop._run_once", TALLY_PATH_LOOP},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(function->module, known[i].module) &&
            !strcmp(function->name, known[i].function))
            return known[i].flag;
    return 0;
}

/* The modules through which those above that wait for children do it. */
static bool waits_for_children(const char *module)
{
    static const char *const known[] = {
        "subprocess",
        "selectors",
        "threading",
        "concurrent.futures.process",
        "multiprocessing.pool",
        "multiprocessing.connection",
        "multiprocessing.popen_fork",
        "multiprocessing.popen_forkserver",
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!strcmp(module, known[i]))
            return true;
    return false;
}

/*
 * A flag holds for the frame itself and for those below it that wait on its behalf: neither a job
 * that a pool's worker runs nor a callback is the pool's own waiting. Parents come before children.
 */
static void flag_paths(struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    accounts->path_flags = tally_alloc_zeroed(profile->path_count, 1);
    accounts->look_states = tally_alloc_zeroed(profile->look_count, 1);
    for (size_t i = 1; i < profile->path_count; i++) {
        const struct tally_path *path = &profile->paths[i];
        const struct tally_function *function = &profile->functions[path->function];
        uint8_t above = accounts->path_flags[path->parent];
        bool is_threading =
            !strcmp(function->module, "threading") || !strcmp(function->module, "queue");
        if (!is_threading)
            above &= (uint8_t)~TALLY_PATH_JOIN;
        if (!waits_for_children(function->module))
            above &= (uint8_t) ~(TALLY_PATH_CHILD | TALLY_PATH_TENDS);
        if (strcmp(function->module, "selectors") != 0)
            above &= (uint8_t)~TALLY_PATH_LOOP;
        accounts->path_flags[i] = above | flags_of(function);
    }
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        uint8_t flags = accounts->path_flags[look->path];
        bool is_wait = look->state == TALLY_STATE_PIPE || look->state == TALLY_STATE_POLL ||
                       look->state == TALLY_STATE_SLEEP ||
                       (look->state == TALLY_STATE_LOCK && !(flags & TALLY_PATH_JOIN));
        bool is_child = (flags & TALLY_PATH_CHILD) && is_wait;
        accounts->look_states[i] = (uint8_t)(is_child ? TALLY_STATE_CHILD : look->state);
    }
}

/* The kernel's part */

static void add_lifetime(struct tally_accounts *accounts, uint32_t thread,
                         const struct tally_life *begin, const struct tally_life *end)
{
    struct tally_thread_account *account = &accounts->threads[thread];
    double cpu = (double)(end->cpu_ns - begin->cpu_ns);
    double user = above_zero((double)end->user_ns - (double)begin->user_ns);
    double system = above_zero((double)end->system_ns - (double)begin->system_ns);
    accounts->spans[accounts->span_count++] =
        (struct tally_span){thread, begin->time_ns, end->time_ns};
    account->wall_ns += (double)(end->time_ns - begin->time_ns);
    account->states[TALLY_STATE_RUNNING] += cpu;
    if (user + system > 0) {
        account->user_ns += cpu * user / (user + system);
        account->system_ns += cpu * system / (user + system);
    }
    if (end->delay_ns != UINT64_MAX && begin->delay_ns != UINT64_MAX)
        account->states[TALLY_STATE_RUNNABLE] +=
            above_zero((double)end->delay_ns - (double)begin->delay_ns);
    else
        account->has_delay = false;
}

/* The watcher's own word on the same life: for ends that the agent did not see. */
static const struct tally_lifetime *watched_of(const struct tally_profile *profile,
                                               const struct tally_lifetime *lifetime)
{
    for (size_t i = 0; i < profile->lifetime_count; i++)
        if (profile->lifetimes[i].is_watched && profile->lifetimes[i].image == lifetime->image &&
            profile->lifetimes[i].thread == lifetime->thread)
            return &profile->lifetimes[i];
    return NULL;
}

/* Of each thread in each image: an exec goes on with the same thread. */
static void add_lifetimes(struct tally_accounts *accounts, struct tally_index *told)
{
    const struct tally_profile *profile = accounts->profile;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < profile->lifetime_count; i++) {
            const struct tally_lifetime *lifetime = &profile->lifetimes[i];
            const struct tally_life *begin = lifetime->begin, *end = lifetime->end;
            bool is_new;
            if (lifetime->is_watched != (pass == 1))
                continue;
            if (!end && !lifetime->is_watched && begin) {
                const struct tally_lifetime *watched = watched_of(profile, lifetime);
                end = watched ? watched->end : NULL;
            }
            if (!begin || !end || end->time_ns <= begin->time_ns || end->cpu_ns < begin->cpu_ns)
                continue;
            tally_index_of(told, (struct tally_key){lifetime->image, lifetime->thread, 0}, &is_new);
            if (pass == 0 || is_new)
                add_lifetime(accounts, lifetime->thread, begin, end);
        }
}

static void forget(struct tally_accounts *accounts, uint32_t thread)
{
    size_t kept = 0;
    for (size_t i = 0; i < accounts->span_count; i++)
        if (accounts->spans[i].thread != thread)
            accounts->spans[kept++] = accounts->spans[i];
    accounts->span_count = kept;
    accounts->threads[thread] = (struct tally_thread_account){.has_delay = true};
}

/* A thread has no accounts, rather than wrong ones, if an image of it that counts was not told. */
static void forget_half_told(struct tally_accounts *accounts, struct tally_index *told)
{
    const struct tally_profile *profile = accounts->profile;
    double *untold = tally_alloc_zeroed(profile->thread_count, sizeof(*untold));
    for (size_t i = 0; i < profile->image_count; i++) {
        uint32_t thread = profile->images[i].thread;
        bool is_new;
        tally_index_of(told, (struct tally_key){i, thread, 0}, &is_new);
        if (is_new)
            untold[thread] += (double)profile->images[i].ns;
    }
    for (uint32_t i = 0; i < profile->thread_count; i++)
        if (untold[i] > 0.05 * accounts->threads[i].wall_ns)
            forget(accounts, i);
    free(untold);
}

static void add_kernel(struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    struct tally_index told = {0};
    accounts->spans = tally_alloc_zeroed(profile->lifetime_count + 1, sizeof(*accounts->spans));
    for (size_t i = 0; i < profile->thread_count; i++)
        accounts->threads[i].has_delay = true;
    add_lifetimes(accounts, &told);
    forget_half_told(accounts, &told);
    tally_index_release(&told);
    for (size_t i = 0; i < profile->thread_count; i++) {
        struct tally_thread_account *account = &accounts->threads[i];
        account->has_split = account->user_ns + account->system_ns > 0;
        /* The three clocks are read one after the other: of a thread that never waits, the other
         * two may come to a little more than its wall time. */
        double room = above_zero(account->wall_ns - account->states[TALLY_STATE_RUNNING]);
        if (account->states[TALLY_STATE_RUNNABLE] > room)
            account->states[TALLY_STATE_RUNNABLE] = room;
    }
}

/* The watcher's part */

struct seen { /* of one thread */
    double whole, part, all;
};

static void divide_waiting(struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    struct seen *seen = tally_alloc_zeroed(profile->thread_count, sizeof(*seen));
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        double duration = (double)look->duration_ns;
        seen[look->thread].all += duration;
        if (look->state > TALLY_STATE_RUNNABLE && look->is_whole)
            seen[look->thread].whole += duration;
        else if (look->state > TALLY_STATE_RUNNABLE)
            seen[look->thread].part += duration;
    }
    for (size_t i = 0; i < profile->thread_count; i++) {
        struct tally_thread_account *account = &accounts->threads[i];
        double waited = above_zero(account->wall_ns - account->states[TALLY_STATE_RUNNING] -
                                   account->states[TALLY_STATE_RUNNABLE]);
        double whole = seen[i].whole < waited ? seen[i].whole : waited;
        double rest = waited - whole;
        double covered = seen[i].all < account->wall_ns ? seen[i].all / account->wall_ns : 1;
        double part = seen[i].part > 0 ? rest * covered : 0;
        account->whole_scale = seen[i].whole > 0 ? whole / seen[i].whole : 0;
        account->part_scale = seen[i].part > 0 ? part / seen[i].part : 0;
        account->states[TALLY_ACCOUNT_UNSEEN] = rest - part;
    }
    free(seen);
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        struct tally_thread_account *account = &accounts->threads[look->thread];
        if (look->state <= TALLY_STATE_RUNNABLE)
            continue;
        account->states[accounts->look_states[i]] += tally_accounts_weight(accounts, i);
        if (tally_accounts_is_untimed(accounts, i))
            account->untimed_ns += tally_accounts_weight(accounts, i);
    }
}

/* As a profile */

static void name_events(struct tally_accounts *accounts)
{
    const struct tally_run *from = accounts->profile->run;
    struct tally_run *run = &accounts->run;
    *run = *from;
    run->missing_count = 0; /* of the events */
    run->event_count = run->counter_count = 0;
    for (int account = 0; account < TALLY_ACCOUNTS; account++) {
        accounts->event_of[account] = -1;
        if (tally_accounts_total(accounts, account) <= 0)
            continue;
        struct tally_run_event *event = &run->events[run->event_count];
        *event = (struct tally_run_event){.running = 1, .first_counter = run->event_count};
        event->event.source = TALLY_SOURCE_CLOCK;
        event->event.unit = TALLY_UNIT_NS;
        event->event.is_clock = true;
        event->event.term_count = 1;
        event->has_total = true;
        event->total = (uint64_t)tally_accounts_total(accounts, account);
        snprintf(event->event.name, sizeof(event->event.name), "%s", tally_account_names[account]);
        accounts->event_of[account] = run->event_count++;
    }
    run->counter_count = run->event_count;
}

struct cells {
    struct tally_profile *profile;
    struct tally_index index;
    size_t room;
};

static struct tally_value *values_at(struct cells *cells, uint32_t thread, uint32_t path)
{
    struct tally_profile *profile = cells->profile;
    size_t events = profile->event_count;
    bool is_new;
    uint32_t index = tally_index_of(&cells->index, (struct tally_key){thread, path, 0}, &is_new);
    if (is_new && profile->cell_count == cells->room) {
        cells->room = cells->room ? cells->room * 2 : 256;
        profile->cells = tally_realloc(profile->cells, cells->room, sizeof(*profile->cells));
        profile->values =
            tally_realloc(profile->values, cells->room * events, sizeof(*profile->values));
    }
    if (is_new) {
        profile->cells[profile->cell_count] = (struct tally_cell){.thread = thread, .path = path};
        memset(&profile->values[profile->cell_count * events], 0,
               events * sizeof(*profile->values));
        profile->cell_count++;
    }
    return &profile->values[index * events];
}

static void add_exact(struct cells *cells, const struct tally_accounts *accounts, uint32_t thread,
                      uint32_t path, int account, double amount)
{
    int event = accounts->event_of[account];
    if (amount > 0 && event >= 0)
        values_at(cells, thread, path)[event].exact += amount;
}

uint32_t tally_accounts_clocks(const struct tally_run *run)
{
    uint32_t user = 0, kernel = 0;
    for (int i = 0; i < run->event_count; i++) {
        const struct tally_event *event = &run->events[i].event;
        const struct tally_term *term = &event->terms[0];
        if (!event->is_clock || event->read_only)
            continue;
        if (!term->exclude_user && !term->exclude_kernel)
            return 1U << i;
        if (!term->exclude_user && !user)
            user = 1U << i;
        if (!term->exclude_kernel && !kernel)
            kernel = 1U << i;
    }
    if (user && kernel)
        return user | kernel;
    for (int i = 0; i < run->event_count; i++)
        if (!run->events[i].event.read_only && !strcmp(run->events[i].event.name, "cycles"))
            return 1U << i;
    return 0;
}

static void add_value(struct tally_value *to, const struct tally_value *value)
{
    to->sampled += value->sampled;
    to->squares += value->squares;
    to->exact += value->exact;
    to->samples += value->samples;
}

/* The sum over the events of `clocks`. */
static struct tally_value value_of_clocks(const struct tally_profile *profile, uint32_t clocks,
                                          size_t cell)
{
    struct tally_value sum = {0};
    for (size_t i = 0; i < profile->event_count; i++)
        if (clocks >> i & 1)
            add_value(&sum, &profile->values[cell * profile->event_count + i]);
    return sum;
}

static bool is_time(const struct tally_run *run, uint32_t clocks)
{
    for (int i = 0; i < run->event_count; i++)
        if (clocks >> i & 1)
            return run->events[i].event.is_clock;
    return false;
}

static void divide_running(struct cells *cells, const struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    int event = accounts->event_of[TALLY_STATE_RUNNING];
    uint32_t clocks = tally_accounts_clocks(profile->run);
    bool are_ns = is_time(profile->run, clocks);
    double *sums = tally_alloc_zeroed(profile->thread_count, sizeof(*sums));
    for (size_t i = 0; i < profile->cell_count; i++) {
        struct tally_value value = value_of_clocks(profile, clocks, i);
        sums[profile->cells[i].thread] += value.sampled + value.exact;
    }
    for (size_t i = 0; event >= 0 && i < profile->cell_count; i++) {
        const struct tally_cell *cell = &profile->cells[i];
        struct tally_value from = value_of_clocks(profile, clocks, i);
        double cpu = accounts->threads[cell->thread].states[TALLY_STATE_RUNNING];
        double sum = sums[cell->thread], scale = are_ns && sum <= cpu ? 1 : cpu / sum;
        if (sum <= 0 || cpu <= 0 || from.sampled + from.exact <= 0)
            continue;
        struct tally_value *value = &values_at(cells, cell->thread, cell->path)[event];
        value->sampled += from.sampled * scale;
        value->squares += from.squares * scale * scale;
        value->exact += from.exact * scale;
        value->samples += from.samples;
    }
    for (size_t i = 0; i < profile->thread_count; i++) {
        double cpu = accounts->threads[i].states[TALLY_STATE_RUNNING];
        double rest = sums[i] <= 0 ? cpu : are_ns ? above_zero(cpu - sums[i]) : 0;
        add_exact(cells, accounts, (uint32_t)i, profile->unsampled_path, TALLY_STATE_RUNNING, rest);
    }
    free(sums);
}

static void place_waits(struct cells *cells, const struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        int event = accounts->event_of[accounts->look_states[i]];
        if (look->state <= TALLY_STATE_RUNNABLE || event < 0)
            continue;
        struct tally_value *value = &values_at(cells, look->thread, look->path)[event];
        double weight = tally_accounts_weight(accounts, i);
        value->samples++;
        if (look->is_whole && !look->is_estimated) {
            value->exact += weight;
            continue;
        }
        /* A whole wait that was divided by tasks drawn at random is as many draws. */
        value->sampled += weight;
        value->squares += weight * weight / (look->is_whole ? look->taken : 1);
    }
    for (size_t i = 0; i < profile->thread_count; i++) {
        const double *states = accounts->threads[i].states;
        add_exact(cells, accounts, (uint32_t)i, profile->ready_path, TALLY_STATE_RUNNABLE,
                  states[TALLY_STATE_RUNNABLE]);
        add_exact(cells, accounts, (uint32_t)i, profile->unseen_path, TALLY_ACCOUNT_UNSEEN,
                  states[TALLY_ACCOUNT_UNSEEN]);
    }
}

/* A look at a thread that waits may find it in any wait: what one has more, others have less. */
static void pool_waits(struct tally_accounts *accounts)
{
    struct tally_profile *profile = &accounts->as_profile;
    struct tally_value waits = {0};
    profile->pools = tally_alloc_zeroed(profile->event_count, sizeof(*profile->pools));
    memcpy(profile->pools, profile->totals, profile->event_count * sizeof(*profile->pools));
    for (int account = TALLY_STATE_RUNNABLE + 1; account < TALLY_STATES; account++)
        if (accounts->event_of[account] >= 0)
            add_value(&waits, &profile->totals[accounts->event_of[account]]);
    for (int account = TALLY_STATE_RUNNABLE + 1; account < TALLY_STATES; account++)
        if (accounts->event_of[account] >= 0)
            profile->pools[accounts->event_of[account]] = waits;
}

static void make_profile(struct tally_accounts *accounts)
{
    struct tally_profile *out = &accounts->as_profile;
    *out = *accounts->profile;
    name_events(accounts);
    out->run = &accounts->run;
    out->event_count = (size_t)accounts->run.event_count;
    out->cell_count = 0;
    out->cells = NULL;
    out->values = NULL;
    memset(out->lost, 0, sizeof(out->lost));
    memset(out->excess, 0, sizeof(out->excess));
    memset(out->unfinished, 0, sizeof(out->unfinished));
    struct cells cells = {.profile = out};
    divide_running(&cells, accounts);
    place_waits(&cells, accounts);
    out->totals = tally_alloc_zeroed(out->event_count, sizeof(*out->totals));
    for (size_t i = 0; i < out->cell_count * out->event_count; i++)
        add_value(&out->totals[i % out->event_count], &out->values[i]);
    pool_waits(accounts);
    tally_index_release(&cells.index);
}

/* The GIL */

static int by_length(const void *a, const void *b)
{
    const struct tally_blocked *left = a, *right = b;
    return left->ns > right->ns ? -1 : left->ns < right->ns;
}

static void find_blockers(struct tally_accounts *accounts)
{
    const struct tally_profile *profile = accounts->profile;
    struct tally_index index = {0};
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        if (look->state != TALLY_STATE_GIL)
            continue;
        uint32_t waiter = profile->paths[look->path].function;
        uint32_t holder =
            look->holder == TALLY_NO_PATH ? UINT32_MAX : profile->paths[look->holder].function;
        bool is_new;
        uint32_t at = tally_index_of(&index, (struct tally_key){waiter, holder, 0}, &is_new);
        if (is_new) {
            accounts->blocked =
                tally_realloc(accounts->blocked, at + 1, sizeof(*accounts->blocked));
            accounts->blocked[at] = (struct tally_blocked){waiter, holder, 0};
            accounts->blocked_count++;
        }
        accounts->blocked[at].ns += tally_accounts_weight(accounts, i);
    }
    tally_index_release(&index);
    if (accounts->blocked_count)
        qsort(accounts->blocked, accounts->blocked_count, sizeof(*accounts->blocked), by_length);
}

struct tally_accounts *tally_accounts_new(const struct tally_profile *profile)
{
    struct tally_accounts *accounts = tally_alloc_zeroed(1, sizeof(*accounts));
    accounts->profile = profile;
    accounts->threads = tally_alloc_zeroed(profile->thread_count, sizeof(*accounts->threads));
    flag_paths(accounts);
    add_kernel(accounts);
    divide_waiting(accounts);
    make_profile(accounts);
    find_blockers(accounts);
    return accounts;
}

void tally_accounts_free(struct tally_accounts *accounts)
{
    if (!accounts)
        return;
    free(accounts->as_profile.cells);
    free(accounts->as_profile.values);
    free(accounts->as_profile.totals);
    free(accounts->as_profile.pools);
    free(accounts->path_flags);
    free(accounts->look_states);
    free(accounts->blocked);
    free(accounts->spans);
    free(accounts->threads);
    free(accounts);
}

double tally_accounts_weight(const struct tally_accounts *accounts, size_t look)
{
    const struct tally_look *seen = &accounts->profile->looks[look];
    const struct tally_thread_account *account = &accounts->threads[seen->thread];
    return (double)seen->duration_ns *
           (seen->is_whole ? account->whole_scale : account->part_scale);
}

bool tally_accounts_is_untimed(const struct tally_accounts *accounts, size_t look)
{
    return accounts->look_states[look] == TALLY_STATE_POLL &&
           accounts->profile->looks[look].waker != TALLY_WAKER_TIMER;
}

int tally_accounts_refuse(const struct tally_accounts *accounts)
{
    const struct tally_run *run = accounts->profile->run;
    const char *why = "record it anew";
    if (run->event_count && run->events[0].event.source == TALLY_SOURCE_SIMULATED)
        why = "record it anew, without --simulate";
    else if (run->stopped)
        why = "writing ended early, as a note of its report says";
    return tally_error("the recording does not say what its threads waited for; %s.", why);
}

double tally_accounts_total(const struct tally_accounts *accounts, int account)
{
    double sum = 0;
    for (size_t i = 0; i < accounts->profile->thread_count; i++)
        sum += accounts->threads[i].states[account];
    return sum;
}
