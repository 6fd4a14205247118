/* tallystack stat: totals of a program and all its descendants. */
#include "command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "events/machine.h"
#include "events/perf.h"
#include "sources/source.h"
#include "stat_recording.h"
#include "stat_table.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const double ns_per_s = 1e9;

struct options {
    const char *events; /* NULL: what this machine can count */
    uint64_t repeats;
    uint64_t interval_ms; /* 0: no series */
    const char *output;   /* NULL: stderr */
    const char *input;    /* a recording, instead of a program to run */
    bool csv;
};

enum { CSV_OPTION = 0x100 };

static const struct argp_option options[] = {
    {"event", 'e', "EVENTS", 0, "Count these events, a list with commas", 0},
    {"repeat", 'r', "N", 0, "Run N times; print means and deviations", 0},
    {"interval-print", 'I', "MS", 0, "Print what was counted in every MS milliseconds", 0},
    {"csv", CSV_OPTION, NULL, 0, "Print CSV", 0},
    {"output", 'o', "FILE", 0, "Write the table to FILE instead of stderr", 0},
    {"input", 'i', "REC", 0, "Print the totals of a recording, to stdout, and run nothing", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *arg, const char *what)
{
    uint64_t value = 0;
    if (tally_parse_count(arg, what, &value) < 0)
        argp_failure(state, TALLY_EXIT_FAILED, 0, "%s", tally_error_text());
    if (value == 0 || value > 1000000000)
        argp_failure(state, TALLY_EXIT_FAILED, 0, "%s must be between 1 and 1000000000.", what);
    return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *chosen = state->input;
    switch (key) {
    case 'e':
        chosen->events = arg;
        return 0;
    case 'r':
        chosen->repeats = number(state, arg, "the number of runs");
        return 0;
    case 'I':
        chosen->interval_ms = number(state, arg, "the interval in milliseconds");
        return 0;
    case CSV_OPTION:
        chosen->csv = true;
        return 0;
    case 'o':
        chosen->output = arg;
        return 0;
    case 'i':
        chosen->input = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[--] PROGRAM [ARGUMENT...]\n-i REC",
    .doc = "Counts events over the whole run of a program, its threads and its children. The table "
           "goes to stderr; the program's exit status is passed on.",
};

/* One event of the run: where it is counted, and its values so far. */
struct counted {
    struct tally_event event;
    enum tally_source_kind kind; /* the source that really counts it */
    bool unproven;
    uint64_t previous; /* at the last interval */
    bool was_missing;
    int runs;
    double mean, squares, running;
    char why[256];
};

/* The events of one source, while a run goes on. */
struct attached {
    struct tally_source_context *context;
    struct tally_event events[TALLY_MAX_EVENTS];
    int place[TALLY_MAX_EVENTS]; /* in the list of all */
    int count;
};

enum { KINDS = TALLY_SOURCE_CLOCK + 1, TIMES = 3 };

struct stat {
    struct options options;
    struct counted counted[TALLY_MAX_EVENTS];
    int count;
    struct attached attached[KINDS];
    struct counted times[TIMES]; /* elapsed, user, system */
    struct stat_table table;
};

static void add_value(struct counted *counted, double value, double running)
{
    double before = value - counted->mean;
    counted->runs++;
    counted->mean += before / counted->runs;
    counted->squares += before * (value - counted->mean);
    counted->running += (running - counted->running) / counted->runs;
}

static struct stat_row row_of(const struct counted *counted)
{
    return (struct stat_row){
        .event = counted->event.name,
        .unit = tally_unit_name(counted->event.unit),
        .source = tally_source_name(counted->kind),
        .runs = counted->runs,
        .value = counted->mean,
        .deviation = counted->runs > 1 ? sqrt(counted->squares / (counted->runs - 1)) : 0,
        .running = counted->running,
        .why = counted->runs ? NULL : counted->why,
        .unproven = counted->unproven,
    };
}

/* Says in one line that the kernel refuses to count, and the command that allows it. */
static void tell_refusal(const char *consequence)
{
    struct tally_event_list list;
    const char *cause, *command;
    if (tally_events_resolve("page-faults", 1, &list) < 0)
        return;
    int fd = tally_perf_open(&list.events[0].terms[0], TALLY_PERF_SELF, 0);
    if (fd >= 0) {
        close(fd);
        return;
    }
    tally_machine_refusal(-fd, &cause, &command);
    fprintf(stderr, "tallystack stat: %s, so %s%s%s%s.\n", cause, consequence,
            command[0] ? "; \"" : "", command, command[0] ? "\" allows more" : "");
}

/* Decides where an event that was asked for is counted; there is no silent replacement. */
static int place_asked(struct counted *counted, bool *user_only, bool *clock_instead)
{
    int code = 0;
    bool degraded = false;
    struct tally_event asked = counted->event;
    counted->kind = asked.source;
    enum tally_availability availability = tally_event_probe(&counted->event, &code, &degraded);
    counted->unproven = availability == TALLY_AVAILABLE_UNPROVEN;
    if (asked.is_clock &&
        (availability == TALLY_AVAILABLE_NO || degraded || tally_event_is_filtered_clock(&asked))) {
        *clock_instead |= availability == TALLY_AVAILABLE_NO;
        counted->event = asked;
        counted->kind = TALLY_SOURCE_CLOCK;
        return 0;
    }
    *user_only |= degraded;
    return availability == TALLY_AVAILABLE_NO ? TALLY_ERROR : 0;
}

static int place_asked_events(struct stat *stat)
{
    struct tally_event_list list;
    bool user_only = false, clock_instead = false;
    enum { FREQUENCY = 1000 };
    if (tally_events_resolve(stat->options.events, FREQUENCY, &list) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < list.count; i++) {
        stat->counted[i].event = list.events[i];
        if (place_asked(&stat->counted[i], &user_only, &clock_instead) < 0)
            return TALLY_ERROR;
    }
    stat->count = list.count;
    if (clock_instead)
        tell_refusal("time comes from the process's own accounts");
    if (user_only)
        tell_refusal("only user code is counted");
    return 0;
}

/* What every machine can tell, and what the processor adds where it can be counted. */
static void place_default_events(struct stat *stat)
{
    static const char *const names[] = {
        "task-clock",   "context-switches", "cpu-migrations", "page-faults",      "cycles",
        "instructions", "branches",         "branch-misses",  "cache-references", "cache-misses"};
    bool refused = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tally_event_list list;
        bool degraded = false;
        int code = 0;
        if (tally_events_resolve(names[i], 1, &list) < 0)
            continue;
        struct counted *counted = &stat->counted[stat->count];
        counted->event = list.events[0];
        enum tally_availability availability = tally_event_probe(&counted->event, &code, &degraded);
        refused |= degraded || code == TALLY_NOT_ALLOWED;
        counted->kind = list.events[0].source;
        counted->unproven = availability == TALLY_AVAILABLE_UNPROVEN;
        if (counted->kind == TALLY_SOURCE_HARDWARE && availability == TALLY_AVAILABLE_NO)
            continue;
        if (counted->kind == TALLY_SOURCE_SOFTWARE &&
            (availability == TALLY_AVAILABLE_NO || degraded)) {
            counted->event = list.events[0];
            counted->kind = TALLY_SOURCE_CLOCK;
        }
        stat->count++;
    }
    if (refused)
        tell_refusal("cpu-migrations and the processor's events are missing or count user code "
                     "only, and the rest comes from the process's own accounts");
}

static void attach_event(struct stat *stat, int i)
{
    struct attached *attached = &stat->attached[stat->counted[i].kind];
    attached->events[attached->count] = stat->counted[i].event;
    attached->place[attached->count++] = i;
}

static int open_sources(struct stat *stat, pid_t pid)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct attached *attached = &stat->attached[kind];
        const struct tally_source *source = tally_source_of((enum tally_source_kind)kind);
        if (attached->count > 0 &&
            source->open(&attached->context, attached->events, attached->count, pid) < 0)
            return TALLY_ERROR;
    }
    return 0;
}

static void close_sources(struct stat *stat)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct attached *attached = &stat->attached[kind];
        if (attached->context)
            tally_source_of((enum tally_source_kind)kind)->close(attached->context);
        attached->context = NULL;
    }
}

static int read_sources(struct stat *stat, struct tally_count *counts)
{
    struct tally_count own[TALLY_MAX_EVENTS];
    for (int kind = 0; kind < KINDS; kind++) {
        struct attached *attached = &stat->attached[kind];
        if (attached->count == 0)
            continue;
        if (tally_source_of((enum tally_source_kind)kind)->read(attached->context, own) < 0)
            return TALLY_ERROR;
        for (int i = 0; i < attached->count; i++)
            counts[attached->place[i]] = own[i];
    }
    return 0;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * ns_per_s + (double)now.tv_nsec;
}

static void set_why(struct counted *counted, const char *why)
{
    snprintf(counted->why, sizeof(counted->why), "%s", why ? why : "it could not be read");
}

/* What was counted since the last interval; unknown after an interval without a value. */
static struct stat_row interval_row(struct counted *counted, const struct tally_count *count)
{
    struct stat_row row = row_of(counted);
    bool known = !count->missing && !counted->was_missing;
    row.runs = known;
    row.running = count->running;
    if (known)
        row.value =
            count->value > counted->previous ? (double)(count->value - counted->previous) : 0;
    else
        set_why(counted, count->why);
    row.why = known ? NULL : counted->why;
    counted->was_missing = count->missing;
    counted->previous = count->value;
    return row;
}

static int print_interval(struct stat *stat, double begun, double *last)
{
    struct tally_count counts[TALLY_MAX_EVENTS] = {0};
    struct stat_row rows[TALLY_MAX_EVENTS];
    if (read_sources(stat, counts) < 0)
        return TALLY_ERROR;
    double now = now_ns();
    for (int i = 0; i < stat->count; i++)
        rows[i] = interval_row(&stat->counted[i], &counts[i]);
    stat_table_metrics(rows, stat->count, now - *last);
    stat->table.time_s = (now - begun) / ns_per_s;
    stat_table_rows(&stat->table, rows, stat->count);
    fflush(stat->table.out);
    *last = now;
    return 0;
}

/* Sleeps until the time, or until the workload ends where the kernel can tell. */
static void sleep_until(double when, int process)
{
    enum { STEP_MS = 5 };
    struct pollfd ended = {.fd = process, .events = POLLIN};
    double left_ms = (when - now_ns()) / 1e6;
    if (left_ms <= 0)
        return;
    if (process < 0 && left_ms > STEP_MS)
        left_ms = STEP_MS;
    poll(&ended, process >= 0, (int)ceil(left_ms));
}

static int wait_with_intervals(struct stat *stat, struct tally_launch *launch, double begun,
                               int *exit_status, struct rusage *usage)
{
    double step = (double)stat->options.interval_ms * 1e6, next = begun + step, last = begun;
    int process = (int)syscall(SYS_pidfd_open, launch->pid, 0), result = 0;
    while (result == 0) {
        sleep_until(next, process);
        result = tally_launch_wait(launch, false, exit_status, usage);
        if (result == 0 && now_ns() >= next) {
            result = print_interval(stat, begun, &last);
            while (next <= now_ns())
                next += step;
        }
    }
    if (process >= 0)
        close(process);
    return result < 0 ? result : print_interval(stat, begun, &last);
}

static double time_ns(struct timeval time)
{
    return (double)time.tv_sec * ns_per_s + (double)time.tv_usec * 1000;
}

static int wait_for_totals(struct stat *stat, struct tally_launch *launch, double begun,
                           int *exit_status, struct rusage *usage)
{
    struct tally_count counts[TALLY_MAX_EVENTS] = {0};
    if (tally_launch_wait(launch, true, exit_status, usage) < 0)
        return TALLY_ERROR;
    double ended = now_ns();
    if (read_sources(stat, counts) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < stat->count; i++) {
        if (counts[i].missing)
            set_why(&stat->counted[i], counts[i].why);
        else
            add_value(&stat->counted[i], (double)counts[i].value, counts[i].running);
    }
    add_value(&stat->times[0], ended - begun, 1);
    add_value(&stat->times[1], time_ns(usage->ru_utime), 1);
    add_value(&stat->times[2], time_ns(usage->ru_stime), 1);
    return 0;
}

static int run_once(struct stat *stat, char **command, int *exit_status)
{
    struct tally_launch launch;
    struct rusage usage;
    int result = -1;
    *exit_status = TALLY_EXIT_FAILED;
    if (tally_launch_prepare(&launch, command, NULL) < 0)
        return TALLY_ERROR;
    if (open_sources(stat, launch.pid) < 0)
        goto done;
    double begun = now_ns();
    if (tally_launch_go(&launch, exit_status) < 0)
        goto done;
    result = stat->options.interval_ms
                 ? wait_with_intervals(stat, &launch, begun, exit_status, &usage)
                 : wait_for_totals(stat, &launch, begun, exit_status, &usage);
    if (result < 0)
        *exit_status = TALLY_EXIT_FAILED;
done:
    close_sources(stat);
    tally_launch_release(&launch);
    return result;
}

static void print_totals(struct stat *stat, char **command)
{
    struct stat_row rows[TALLY_MAX_EVENTS + TIMES];
    FILE *out = stat->table.out;
    int runs = stat->times[0].runs;
    for (int i = 0; i < stat->count; i++)
        rows[i] = row_of(&stat->counted[i]);
    for (int i = 0; i < TIMES; i++)
        rows[stat->count + i] = row_of(&stat->times[i]);
    stat_table_metrics(rows, stat->count, stat->times[0].mean);
    if (!stat->options.csv) {
        fputs("\nCounted for", out);
        for (; *command; command++)
            fprintf(out, " %s", *command);
        if (runs > 1)
            fprintf(out, ", mean of %d runs (± standard deviation)", runs);
        fputs(":\n\n", out);
    }
    stat_table_header(&stat->table);
    stat_table_rows(&stat->table, rows, stat->count + TIMES);
    if (!stat->options.csv)
        putc('\n', out);
}

static void name_times(struct stat *stat)
{
    static const char *const names[TIMES] = {"elapsed", "user", "system"};
    for (int i = 0; i < TIMES; i++) {
        stat->times[i].kind = TALLY_SOURCE_CLOCK;
        stat->times[i].event.unit = TALLY_UNIT_NS;
        snprintf(stat->times[i].event.name, sizeof(stat->times[i].event.name), "%s", names[i]);
    }
}

static int run_all(struct stat *stat, char **command)
{
    enum { INTERRUPTED = 128 + 2 };
    int status = 0, result = 0;
    for (uint64_t run = 0; run < stat->options.repeats && result == 0 && status != INTERRUPTED;
         run++)
        result = run_once(stat, command, &status);
    if (!stat->options.interval_ms && stat->times[0].runs > 0)
        print_totals(stat, command);
    if (result < 0)
        command_failed("stat");
    return status;
}

static int close_output(struct stat *stat, int status)
{
    bool failed = ferror(stat->table.out) || fflush(stat->table.out) != 0;
    int error = errno;
    if (stat->table.out != stderr)
        failed |= fclose(stat->table.out) != 0;
    if (!failed)
        return status;
    tally_error("cannot write \"%s\": %s.", stat->options.output ? stat->options.output : "stderr",
                strerror(error));
    return command_failed("stat");
}

static int stat_workload(struct stat *stat, char **command)
{
    if (stat->options.events) {
        if (place_asked_events(stat) < 0)
            return command_failed("stat");
    } else {
        place_default_events(stat);
    }
    for (int i = 0; i < stat->count; i++)
        attach_event(stat, i);
    stat->table = (struct stat_table){
        .out = stderr, .csv = stat->options.csv, .timed = stat->options.interval_ms > 0};
    if (stat->options.output)
        stat->table.out = fopen(stat->options.output, "we");
    if (!stat->table.out) {
        tally_error("cannot write \"%s\": %s.", stat->options.output, strerror(errno));
        return command_failed("stat");
    }
    name_times(stat);
    if (stat->options.interval_ms)
        stat_table_header(&stat->table);
    return close_output(stat, run_all(stat, command));
}

int cmd_stat(int argc, char **argv)
{
    int first = argc;
    struct stat *stat = tally_alloc_zeroed(1, sizeof(*stat));
    stat->options.repeats = 1;
    command_parse(&argp, argc, argv, &first, &stat->options);
    int status;
    if (stat->options.input && first < argc) {
        tally_error("-i prints the totals of a recording and runs no program.");
        status = command_failed("stat");
    } else if (stat->options.input) {
        status = stat_recording(stat->options.input, stat->options.output, stat->options.csv);
    } else if (first >= argc) {
        tally_error("there is no program to run; \"tallystack stat -- PROGRAM\" counts one.");
        status = command_failed("stat");
    } else if (stat->options.interval_ms && stat->options.repeats > 1) {
        tally_error("-I and -r cannot be combined.");
        status = command_failed("stat");
    } else {
        status = stat_workload(stat, argv + first);
    }
    free(stat);
    return status;
}
