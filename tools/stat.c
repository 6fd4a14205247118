/* tallystack stat: totals of a program and all its descendants. */
#include "stat.h"
#include "command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "events/cores.h"
#include "stat_recording.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CSV_OPTION = 0x100, THREAD_OPTION, MULTIPLEX_OPTION, SIMULATE_OPTION };

static const struct argp_option options[] = {
    {"event", 'e', "EVENTS", 0, "Count these events, a list with commas", 0},
    {"group", 'g', "GROUP", 0, "Count a group of metrics (see tallystack list --groups)", 0},
    {"repeat", 'r', "N", 0, "Run N times; print means and deviations", 0},
    {"interval-print", 'I', "MS", 0, "Print what was counted in every MS milliseconds", 0},
    {"per-thread", THREAD_OPTION, NULL, 0, "Print what each thread of the program counted", 0},
    {"multiplex", MULTIPLEX_OPTION, NULL, 0,
     "Let more events than the processor has counters take turns", 0},
    {"simulate", SIMULATE_OPTION, "MODEL", OPTION_ARG_OPTIONAL,
     "Count on a model machine (generic) instead, exactly and repeatably, but slowly", 0},
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
    struct stat_options *chosen = state->input;
    switch (key) {
    case 'e':
        chosen->events = arg;
        return 0;
    case 'g':
        chosen->group = arg;
        return 0;
    case 'r':
        chosen->repeats = number(state, arg, "the number of runs");
        return 0;
    case 'I':
        chosen->interval_ms = number(state, arg, "the interval in milliseconds");
        return 0;
    case THREAD_OPTION:
        chosen->by_thread = true;
        return 0;
    case MULTIPLEX_OPTION:
        chosen->multiplex = true;
        return 0;
    case SIMULATE_OPTION:
        chosen->simulate = arg ? arg : "generic";
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

struct stat_row stat_row_of(const struct stat_event *event)
{
    const struct tally_core *core = tally_core_of_event(&event->event);
    return (struct stat_row){
        .event = event->event.name,
        .unit = tally_unit_name(event->event.unit),
        .source = tally_source_name(event->event.source),
        .runs = event->runs,
        .value = event->mean,
        .deviation =
            event->runs > 1 ? sqrt(event->squares / (event->runs - 1)) : event->turn_deviation,
        .running = event->running,
        .why = event->runs ? NULL : event->why,
        .is_machine_wide = event->event.is_machine_wide,
        .unproven = event->unproven,
        .core = core ? core->name : NULL,
        .core_share = event->core_share,
        .sum = &event->event,
    };
}

void stat_print_heading(const struct stat *stat, char **command, const char *how)
{
    FILE *out = stat->table.out;
    if (!stat->options.csv) {
        fputs("\nCounted for", out);
        for (; *command; command++)
            fprintf(out, " %s", *command);
        fprintf(out, "%s:\n\n", how);
    }
    stat_table_header(&stat->table);
}

static void print_metrics(const struct stat *stat, const struct stat_row *rows)
{
    double elapsed_ns = stat->options.simulate ? -1 : stat->times[0].mean;
    if (!stat->options.csv)
        fprintf(stat->table.out, "\n%s:\n", stat->group->summary);
    stat_metrics_print(&stat->table, stat->variant, rows, stat->count, elapsed_ns);
}

static void print_totals(struct stat *stat, char **command)
{
    struct stat_row rows[TALLY_MAX_EVENTS + STAT_TIMES];
    char how[64] = "";
    int runs = stat->times[0].runs;
    int times =
        stat->options.simulate ? 0 : STAT_TIMES; /* the time of a simulation means nothing */
    int first = stat->options.by_thread ? stat->count : 0; /* the threads are printed already */
    for (int i = 0; i < stat->count; i++)
        rows[i] = stat_row_of(&stat->events[i]);
    for (int i = 0; i < times; i++)
        rows[stat->count + i] = stat_row_of(&stat->times[i]);
    stat_table_metrics(rows, stat->count, stat->times[0].mean);
    if (runs > 1)
        snprintf(how, sizeof(how), ", mean of %d runs (± standard deviation)", runs);
    if (!first)
        stat_print_heading(stat, command, how);
    stat_table_rows(&stat->table, rows + first, stat->count - first + times);
    if (stat->group && !stat->options.by_thread)
        print_metrics(stat, rows);
    if (!stat->options.csv && !stat->options.simulate && !stat->options.by_thread) {
        putc('\n', stat->table.out);
        stat_print_verdict(stat);
    }
    if (!stat->options.csv)
        putc('\n', stat->table.out);
}

static void name_times(struct stat *stat)
{
    static const char *const names[STAT_TIMES] = {"elapsed", "user", "system"};
    for (int i = 0; i < STAT_TIMES; i++) {
        stat->times[i].event.source = TALLY_SOURCE_CLOCK;
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
        result = stat->options.simulate    ? stat_run_simulated(stat, command, &status)
                 : stat->options.by_thread ? stat_run_by_thread(stat, command, &status)
                                           : stat_run(stat, command, &status);
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
    if (stat->options.group && stat_choose_group(stat) < 0)
        return command_failed("stat");
    if ((stat->options.simulate ? stat_choose_simulated(stat) : stat_choose_events(stat)) < 0)
        return command_failed("stat");
    stat_add_unresolved(stat);
    stat->table = (struct stat_table){
        .out = stderr,
        .csv = stat->options.csv,
        .timed = stat->options.interval_ms > 0,
        .by_thread = stat->options.by_thread,
    };
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

/* Whether an option asks for more than what a recording can tell. */
static bool counts_anew(const struct stat_options *chosen)
{
    return chosen->events || chosen->repeats > 1 || chosen->interval_ms || chosen->simulate ||
           chosen->by_thread || chosen->multiplex;
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
    } else if (stat->options.input && counts_anew(&stat->options)) {
        tally_error("-i goes with -g, -o and --csv only: what was counted is in the recording.");
        status = command_failed("stat");
    } else if (stat->options.input) {
        status = stat_recording(&stat->options);
    } else if (first >= argc) {
        tally_error("there is no program to run; \"tallystack stat -- PROGRAM\" counts one.");
        status = command_failed("stat");
    } else if (stat->options.group && stat->options.events) {
        tally_error("-g and -e do not go together: the group names the events.");
        status = command_failed("stat");
    } else if (stat->options.interval_ms && stat->options.repeats > 1) {
        tally_error("-I and -r cannot be combined.");
        status = command_failed("stat");
    } else if (stat->options.simulate &&
               (stat->options.interval_ms || stat->options.by_thread || stat->options.multiplex)) {
        tally_error("--simulate goes with none of -I, --per-thread and --multiplex.");
        status = command_failed("stat");
    } else if (stat->options.by_thread &&
               (stat->options.interval_ms || stat->options.repeats > 1)) {
        tally_error("--per-thread goes with neither -I nor -r: each run has threads of its own, "
                    "and they are known when they end.");
        status = command_failed("stat");
    } else {
        status = stat_workload(stat, argv + first);
    }
    tally_model_release(&stat->model);
    stat_release_group(stat);
    free(stat);
    return status;
}
