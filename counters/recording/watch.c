#include "recording/watch.h"

#include "base/buffer.h"
#include "recording/look.h"
#include "recording/rounds.h"
#include "recording/waits.h"
#include "recording/watch_python.h"
#include "recording/watch_tasks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    WAKE_UP_NS = 100000, /* what a round costs besides, at most: the timer, two switches, poll */
    LIST_EVERY_NS = 50000000,
    KEEP_MOST_NS = 1000000000, /* of a wait that goes on, before it is written */
    TICK_NS = 10000000,        /* how old the CPU time may be that the kernel tells, at 100 Hz */
};

struct thread {
    struct tally_eye eye;
    uint32_t own_tid; /* in the process's own PID namespace */
    uint64_t tstate;  /* 0: not known */
    struct tally_times times;
    uint64_t looked_ns;
    uint64_t since_ns;               /* it ran after this for the last time; 0: not known */
    struct tally_wait wait;          /* seen last and not written yet; tid 0: none */
    struct tally_wait before;        /* of the same wait, while its timer is open; tid 0: none */
    uint64_t timer_ns;               /* that wait is for `beside` if it ends before; 0: decided */
    enum tally_state beside;         /* see tally_seen */
    uint64_t ran_ns;                 /* when it last may have run since the look before */
    struct tally_division *division; /* of that wait, among tasks; NULL: there never was one */
    bool is_seen;                    /* by the last listing */
    bool has_run;                    /* before the last visit */
    bool is_blank; /* the last look told less than the next may: it was about to sleep */
};

struct process {
    uint32_t number;
    pid_t pid;
    const struct tally_image_header *header;
    int task; /* /proc/PID/task */
    struct tally_waits *waits;
    struct tally_watched_python python;
    uint64_t listed_ns;
    uint32_t listed_threads; /* header->threads at the last listing */
    enum tally_sight sight;  /* the best that is to be had */
    bool shows_functions;    /* the kernel's, that threads sleep in */
    uint32_t blank_looks;    /* that showed none */
    bool is_done;
    uint64_t changed_ns; /* when a thread was last found, or found gone */
    size_t thread_count;
    struct thread *threads;
};

struct tally_watch {
    int directory, timer;
    uint64_t *bytes_left;
    struct tally_rounds rounds;
    uint64_t round_ns; /* when the last round was */
    uint64_t cpu_ns;   /* that looking has cost */
    uint64_t spent_ns; /* the thread's CPU time at the end of the last round */
    bool has_waits;    /* a thread waited for much of the time since the round before */
    bool has_new;      /* threads were found in this round */
    size_t process_count;
    struct process **processes;
    struct py_frame frames[TALLY_WATCHED_FRAMES];
    struct py_remote_cache cache; /* of the process that is looked at */
    char gap[256];
    pid_t doubted; /* whose gap it is, if that is not sure yet; else 0 */
    char tasks_gap[256];
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void set_timer(struct tally_watch *watch, uint64_t at_ns)
{
    struct itimerspec when = {
        .it_value = {(time_t)(at_ns / 1000000000u), (long)(at_ns % 1000000000u)}};
    timerfd_settime(watch->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

struct tally_watch *tally_watch_new(int directory, double share, uint64_t *bytes_left)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0)
        return NULL;
    struct tally_watch *watch = tally_alloc_zeroed(1, sizeof(*watch));
    watch->directory = directory;
    watch->timer = timer;
    watch->bytes_left = bytes_left;
    tally_rounds_init(&watch->rounds, share, clock_ns(CLOCK_MONOTONIC));
    return watch;
}

int tally_watch_descriptor(const struct tally_watch *watch)
{
    return watch->timer;
}

uint64_t tally_watch_cost(const struct tally_watch *watch)
{
    return watch->cpu_ns;
}

const char *tally_watch_gap(const struct tally_watch *watch)
{
    return watch->gap[0] ? watch->gap : NULL;
}

const char *tally_watch_tasks_gap(const struct tally_watch *watch)
{
    return watch->tasks_gap[0] ? watch->tasks_gap : NULL;
}

/* Records */

static void put(struct tally_watch *watch, struct process *process, const void *record, size_t size)
{
    if (!process->waits)
        process->waits =
            tally_waits_open(watch->directory, process->number, process->pid, watch->bytes_left);
    if (process->waits)
        tally_waits_put(process->waits, record, size);
}

static void put_wait(struct tally_watch *watch, struct process *process, struct thread *thread)
{
    const struct tally_division *division = thread->division;
    struct tally_wait *parts[] = {&thread->before, &thread->wait};
    for (size_t i = 0; i < 2; i++) {
        if (parts[i]->tid && division && division->taken)
            tally_division_put(division, parts[i], process->waits);
        else if (parts[i]->tid)
            put(watch, process, parts[i], sizeof(*parts[i]));
        parts[i]->tid = 0;
    }
}

static void put_life(struct tally_watch *watch, struct process *process,
                     const struct thread *thread, bool is_end)
{
    struct tally_life life = {.type = TALLY_RECORD_LIFE,
                              .is_end = is_end,
                              .tid = thread->own_tid,
                              .slot = UINT32_MAX,
                              .time_ns = thread->looked_ns,
                              .cpu_ns = thread->times.cpu_ns,
                              .delay_ns =
                                  thread->times.slices ? thread->times.delay_ns : UINT64_MAX};
    tally_look_usage(&thread->eye, &life.user_ns, &life.system_ns);
    if (!thread->times.slices)
        life.cpu_ns = life.user_ns + life.system_ns;
    put(watch, process, &life, sizeof(life));
}

/* A look that goes on from the one before is part of it. */
static void take_look(struct tally_watch *watch, struct process *process, struct thread *thread,
                      const struct tally_wait *look)
{
    struct tally_wait *last = &thread->wait;
    bool goes_on = last->tid && last->state == look->state && last->waker == look->waker &&
                   last->node == look->node && last->is_whole == look->is_whole &&
                   last->begin_ns + last->duration_ns == look->begin_ns &&
                   (last->duration_ns < KEEP_MOST_NS || thread->timer_ns) &&
                   (look->is_whole || look->state <= TALLY_STATE_RUNNABLE);
    if (goes_on) {
        last->duration_ns += look->duration_ns;
        return;
    }
    if (look->is_whole && thread->timer_ns && !thread->before.tid)
        thread->before = *last;
    else
        put_wait(watch, process, thread);
    *last = *look;
}

/* Threads */

/* In another PID namespace a thread has another number. */
static uint32_t own_tid_of(const struct process *process, pid_t tid)
{
    char path[32], line[256];
    uint32_t own = (uint32_t)tid;
    if (process->header->own_pid == (uint32_t)process->pid)
        return own;
    snprintf(path, sizeof(path), "%d/status", (int)tid);
    int fd = openat(process->task, path, O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    while (file && fgets(line, sizeof(line), file)) {
        const char *last = strrchr(line, '\t');
        if (!strncmp(line, "NSpid:", 6) && last)
            own = (uint32_t)strtoul(last, NULL, 10);
    }
    if (file)
        fclose(file);
    return own;
}

static void add_thread(struct tally_watch *watch, struct process *process, pid_t tid)
{
    process->threads =
        tally_realloc(process->threads, process->thread_count + 1, sizeof(*process->threads));
    struct thread *thread = &process->threads[process->thread_count++];
    *thread = (struct thread){.eye = {.pid = process->pid,
                                      .tid = tid,
                                      .task = process->task,
                                      .schedstat = -1,
                                      .syscall = -1},
                              .own_tid = own_tid_of(process, tid),
                              .looked_ns = clock_ns(CLOCK_MONOTONIC),
                              .is_seen = true};
    watch->has_new = true;
    process->changed_ns = thread->looked_ns;
    tally_eye_open(&thread->eye);
    tally_look_times(&thread->eye, &thread->times);
    put_life(watch, process, thread, false);
}

static void drop_thread(struct tally_watch *watch, struct process *process, size_t index)
{
    struct thread *thread = &process->threads[index];
    put_wait(watch, process, thread);
    tally_eye_close(&thread->eye);
    free(thread->division);
    process->thread_count--;
    memmove(thread, thread + 1, (process->thread_count - index) * sizeof(*thread));
}

/* What was last known of it; the agent's own word on its end goes before. */
static void drop_gone(struct tally_watch *watch, struct process *process, size_t index)
{
    put_life(watch, process, &process->threads[index], true);
    drop_thread(watch, process, index);
    process->changed_ns = clock_ns(CLOCK_MONOTONIC);
}

/* When it was last looked at: it may have gone on without being put on a CPU again. */
static bool is_running(const struct thread *thread)
{
    return thread->wait.tid && thread->wait.state <= TALLY_STATE_RUNNABLE;
}

/* Whether another thread may have run since a moment. */
static bool others_ran(const struct process *process, const struct thread *thread, uint64_t since)
{
    bool ran = process->changed_ns >= since;
    for (size_t i = 0; i < process->thread_count && !ran; i++) {
        const struct thread *other = &process->threads[i];
        struct tally_times times;
        if (other == thread)
            continue;
        ran = other->ran_ns >= since || is_running(other) ||
              !tally_look_times(&other->eye, &times) || times.slices != other->times.slices;
    }
    return ran;
}

/*
 * The wait that was seen last is over. If its timer did not end it, a descriptor did that it waits
 * for, or another thread by the one that an event loop has for that: before this one was ready to
 * run.
 */
static void decide(const struct process *process, struct thread *thread,
                   const struct tally_times *times, uint64_t now)
{
    if (now < thread->timer_ns && thread->beside == TALLY_STATE_POLL) {
        thread->before.waker = thread->wait.waker = TALLY_WAKER_OWN;
    } else if (now < thread->timer_ns) {
        uint64_t last_ns = thread->times.delay_ns;
        uint64_t delay_ns = times->delay_ns > last_ns ? times->delay_ns - last_ns : 0;
        if (!others_ran(process, thread, thread->looked_ns - delay_ns))
            thread->before.state = thread->wait.state = (uint8_t)thread->beside;
    }
    thread->timer_ns = 0;
}

static void drop_all(struct tally_watch *watch, struct process *process)
{
    bool is_ended = __atomic_load_n(&process->header->state, __ATOMIC_RELAXED) == TALLY_IMAGE_ENDED;
    for (size_t i = 0; i < process->thread_count && is_ended; i++) {
        struct thread *thread = &process->threads[i];
        if (thread->eye.tid == process->pid) { /* which ended it, awake */
            struct tally_times times;          /* all 0 if it is gone */
            tally_look_times(&thread->eye, &times);
            decide(process, thread, &times, clock_ns(CLOCK_MONOTONIC));
        }
    }
    while (process->thread_count)
        drop_gone(watch, process, process->thread_count - 1);
}

static void list_threads(struct tally_watch *watch, struct process *process, uint64_t now)
{
    uint32_t changes = __atomic_load_n(&process->header->threads, __ATOMIC_RELAXED);
    if (changes == process->listed_threads && now - process->listed_ns < LIST_EVERY_NS)
        return;
    process->listed_threads = changes;
    process->listed_ns = now;
    int copy = openat(process->task, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *entry = list ? readdir(list) : NULL; entry; entry = readdir(list)) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        size_t at = 0;
        while (at < process->thread_count && process->threads[at].eye.tid != tid)
            at++;
        if (tid > 0 && at == process->thread_count)
            add_thread(watch, process, tid);
    }
    if (list)
        closedir(list);
    else if (copy >= 0)
        close(copy);
}

/* Looks */

static void tell_gap(struct tally_watch *watch, const struct process *process,
                     enum tally_sight sight)
{
    snprintf(watch->gap, sizeof(watch->gap),
             "what threads of process %d wait for is known only %s: its system calls may not "
             "be read here (/proc/PID/task/TID/syscall).",
             (int)process->pid,
             sight == TALLY_SIGHT_KERNEL ? "as far as the kernel's own functions tell, and a "
                                           "lock not from the GIL"
                                         : "to be a wait");
}

/*
 * Rights differ by process: what cannot be had of one is not asked for again. A thread that wakes
 * and sleeps again between two readings shows no kernel function, as one that may not be read: that
 * is told, but believed only after a run of such looks without any that showed one.
 */
static void note_sight(struct tally_watch *watch, struct process *process, enum tally_sight sight)
{
    enum { ENOUGH = 32 };
    process->shows_functions |= sight == TALLY_SIGHT_KERNEL;
    if (sight == TALLY_SIGHT_STATE && process->shows_functions)
        return;
    if (sight == TALLY_SIGHT_STATE && ++process->blank_looks < ENOUGH) {
        if (!watch->gap[0]) {
            tell_gap(watch, process, sight);
            watch->doubted = process->pid;
        }
        return;
    }
    if (sight <= process->sight || sight == TALLY_SIGHT_GONE)
        return;
    process->sight = sight;
    if (!watch->gap[0] || watch->doubted == process->pid) {
        tell_gap(watch, process, sight);
        watch->doubted = 0;
    }
}

/* How the wait that was just seen is divided among the tasks of an event loop. */
static void divide(struct tally_watch *watch, struct process *process, struct thread *thread,
                   const struct tally_times *times, uint32_t node)
{
    if (!thread->division)
        thread->division = tally_alloc_zeroed(1, sizeof(*thread->division));
    enum tally_tasks_gap gap =
        tally_watched_tasks_divide(&process->python, process->waits, &thread->eye, times->slices,
                                   thread->tstate, node, thread->division);
    if (!watch->tasks_gap[0])
        tally_tasks_gap_tell(gap, process->pid, watch->tasks_gap, sizeof(watch->tasks_gap));
}

/* Whether a thread that is none of the interpreter's may be one that it had not listed yet. */
static bool may_be_listed(const struct process *process, const struct thread *thread, uint64_t now)
{
    const struct tally_watched_python *python = &process->python;
    return python->layout && python->states_ns < now &&
           (thread->has_run || python->states_ns <= thread->looked_ns);
}

static void look_at(struct tally_watch *watch, struct process *process, struct thread *thread,
                    const struct tally_times *times, uint64_t now)
{
    struct tally_seen seen;
    struct tally_times after;
    struct tally_wait look = {.type = TALLY_RECORD_WAIT,
                              .tid = thread->own_tid,
                              .is_whole = thread->wait.tid && !is_running(thread) &&
                                          times->slices && !thread->has_run,
                              .begin_ns = thread->looked_ns,
                              .duration_ns = now - thread->looked_ns};
    py_remote_forget(&process->python.remote);
    thread->eye.memory = &process->python.remote.memory;
    thread->eye.runtime = process->header->runtime;
    thread->eye.runtime_size = process->header->runtime_size;
    tally_look(&thread->eye, process->sight, &seen);
    note_sight(watch, process, seen.sight);
    thread->is_blank = seen.sight > process->sight;
    look.state = (uint8_t)seen.state;
    look.waker = (uint8_t)seen.waker;
    if (seen.state == TALLY_STATE_RUNNING) {
        if (times->delay_ns - thread->times.delay_ns > times->cpu_ns - thread->times.cpu_ns)
            look.state = TALLY_STATE_RUNNABLE;
    } else {
        look.node = tally_watched_python_path(&process->python, process->waits, thread->own_tid,
                                              &thread->tstate, now);
        if (seen.state == TALLY_STATE_GIL)
            look.holder =
                tally_watched_python_holder(&process->python, process->waits, seen.waited_at, now);
        /* It ran meanwhile: the frames may be of two moments. */
        if (!tally_look_times(&thread->eye, &after) || after.slices != times->slices) {
            look.node = TALLY_NODE_LOST;
            seen.timer_ns = 0;
        }
        thread->is_blank |= look.node == TALLY_NODE_LOST ||
                            (look.node == TALLY_NODE_NATIVE && may_be_listed(process, thread, now));
    }
    take_look(watch, process, thread, &look);
    /* The wait began after that, so its timer is not before this. */
    if (seen.timer_ns && thread->since_ns) {
        thread->timer_ns = thread->since_ns + seen.timer_ns;
        thread->beside = seen.beside;
    }
    if (thread->division)
        thread->division->taken = 0;
    if (seen.is_poll && look.node >= TALLY_NODE_FIRST)
        divide(watch, process, thread, times, look.node);
}

/*
 * Returns whether the thread is still there. The watcher may be held up anywhere: what ran by the
 * times that it reads did so before `read_ns`, and what did not may do so from `now` on.
 */
static bool visit(struct tally_watch *watch, struct process *process, struct thread *thread)
{
    struct tally_times times;
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (!tally_look_times(&thread->eye, &times))
        return false;
    uint64_t read_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t ready_ns =
        times.cpu_ns - thread->times.cpu_ns + times.delay_ns - thread->times.delay_ns;
    watch->has_waits |= ready_ns + TICK_NS < (now - thread->looked_ns) / 10 * 9;
    const struct tally_wait *last = &thread->wait;
    bool has_waited = last->tid && last->state > TALLY_STATE_RUNNABLE && !thread->is_blank;
    thread->has_run = times.slices != thread->times.slices;
    if (thread->has_run)
        thread->since_ns = thread->looked_ns;
    if (thread->has_run || is_running(thread))
        thread->ran_ns = read_ns;
    if (has_waited && times.slices && !thread->has_run) {
        struct tally_wait look = *last;
        look.is_whole = 1;
        look.begin_ns = thread->looked_ns;
        look.duration_ns = now - thread->looked_ns;
        take_look(watch, process, thread, &look);
    } else {
        if (thread->has_run)
            decide(process, thread, &times, read_ns);
        look_at(watch, process, thread, &times, now);
    }
    watch->has_waits |= thread->wait.state > TALLY_STATE_RUNNABLE;
    thread->times = times;
    thread->looked_ns = now;
    return true;
}

static void visit_process(struct tally_watch *watch, struct process *process)
{
    uint32_t state = __atomic_load_n(&process->header->state, __ATOMIC_RELAXED);
    if (state == TALLY_IMAGE_ENDED)
        drop_all(watch, process);
    if (state != TALLY_IMAGE_SAMPLING || process->is_done)
        return;
    bool had_threads = process->thread_count > 0;
    tally_watched_python_find(&process->python);
    list_threads(watch, process, clock_ns(CLOCK_MONOTONIC));
    for (size_t i = process->thread_count; i-- > 0;)
        if (!visit(watch, process, &process->threads[i]))
            drop_gone(watch, process, i);
    /* Killed: its number may soon be another's. */
    if (had_threads && !process->thread_count)
        process->is_done = true;
}

static void close_process(struct tally_watch *watch, struct process *process)
{
    drop_all(watch, process);
    tally_waits_close(process->waits);
    if (process->task >= 0)
        close(process->task);
    tally_watched_python_release(&process->python);
    free(process->threads);
    free(process);
}

static void remove_process(struct tally_watch *watch, size_t index)
{
    close_process(watch, watch->processes[index]);
    watch->process_count--;
    memmove(&watch->processes[index], &watch->processes[index + 1],
            (watch->process_count - index) * sizeof(struct process *));
}

/* An image whose process is gone. */
static bool is_over(const struct process *process)
{
    if (process->is_done)
        return true;
    return process->header->state == TALLY_IMAGE_ENDED && kill(process->pid, 0) < 0 &&
           errno == ESRCH;
}

void tally_watch_add(struct tally_watch *watch, uint32_t number, pid_t pid,
                     const struct tally_image_header *header)
{
    char path[32];
    for (size_t i = watch->process_count; i-- > 0;)
        if (watch->processes[i]->pid == pid) /* an exec replaced that image, ended or not */
            remove_process(watch, i);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    struct process *process = tally_alloc_zeroed(1, sizeof(*process));
    process->number = number;
    process->pid = pid;
    process->header = header;
    process->task = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    process->listed_threads = UINT32_MAX;
    tally_watched_python_init(&process->python, pid, header, watch->frames, &watch->cache);
    watch->processes =
        tally_realloc(watch->processes, watch->process_count + 1, sizeof(struct process *));
    watch->processes[watch->process_count++] = process;
    if (!watch->round_ns) {
        struct rlimit limit; /* two descriptors are kept open for each thread */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_NOFILE, &limit);
        }
        watch->round_ns = clock_ns(CLOCK_MONOTONIC);
        set_timer(watch, watch->round_ns + TALLY_SHORTEST_ROUND_NS);
    } else if (tally_rounds_hurry(&watch->rounds)) {
        set_timer(watch, clock_ns(CLOCK_MONOTONIC) + TALLY_SHORTEST_ROUND_NS);
    }
}

void tally_watch_look(struct tally_watch *watch)
{
    uint64_t expirations;
    if (read(watch->timer, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations))
        return;
    uint64_t before = watch->round_ns, start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t besides = start - watch->spent_ns; /* more than waking up if it did other work */
    watch->round_ns = clock_ns(CLOCK_MONOTONIC);
    watch->has_waits = watch->has_new = false;
    for (size_t i = watch->process_count; i-- > 0;) {
        visit_process(watch, watch->processes[i]);
        if (is_over(watch->processes[i]))
            remove_process(watch, i);
    }
    watch->spent_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct tally_round round = {.cost_ns = watch->spent_ns - start +
                                           (besides < WAKE_UP_NS ? besides : WAKE_UP_NS),
                                .elapsed_ns = watch->round_ns - before,
                                .has_waits = watch->has_waits,
                                .has_new = watch->has_new};
    watch->cpu_ns += round.cost_ns;
    set_timer(watch, watch->round_ns + tally_rounds_next(&watch->rounds, &round));
}

void tally_watch_free(struct tally_watch *watch)
{
    if (!watch)
        return;
    for (size_t i = 0; i < watch->process_count; i++)
        close_process(watch, watch->processes[i]);
    free(watch->processes);
    close(watch->timer);
    free(watch);
}
