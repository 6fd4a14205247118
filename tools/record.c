/* tallystack record: run a program and record which functions, lines and call paths count. */
#include "command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "base/text.h"
#include "profile/fingerprint.h"
#include "recording/reader.h"
#include "recording/run.h"
#include "recording/session.h"
#include "sources/delivery.h"
#include "sources/simulated.h"
#include "summary.h"
#include "totals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* A clock that overflows faster than a sample takes would leave the program no time. */
enum { DEFAULT_FREQUENCY = 1000, HIGHEST_FREQUENCY = 50000 };
enum { OPTION_SOURCE = 256, OPTION_MAX_SIZE, OPTION_NATIVE, OPTION_SIMULATE };

struct record {
    const char *events, *source, *output, *simulate;
    uint64_t frequency, interval_ms, max_size;
    bool is_native, is_quiet;
    char **argv;

    struct tally_event_list list;
    struct tally_model model; /* with --simulate */
    struct tally_run run;
    struct totals totals;
    uint64_t start_ns;
    int said; /* notes that were printed */
};

static const struct argp_option options[] = {
    {NULL, 'e', "EVENT[:PERIOD],...", 0,
     "Events to sample (see tallystack list); :0 reads one along with the first only", 0},
    {NULL, 'F', "HZ", 0, "Samples per second of clocks and hardware events (1000)", 0},
    {"source", OPTION_SOURCE, "SOURCE", 0,
     "Take events from: auto (the default), software, hardware or clock", 0},
    {"simulate", OPTION_SIMULATE, "MODEL", OPTION_ARG_OPTIONAL,
     "Count on a model machine (generic) instead, exactly and repeatably; about 50 times slower",
     0},
    {"native", OPTION_NATIVE, NULL, 0, "Do not look for Python: count native code only", 0},
    {NULL, 'I', "MS", 0, "Keep the totals every MS milliseconds for plot timeline", 0},
    {"output", 'o', "REC", 0, "Name of the recording (tallystack.rec)", 0},
    {"max-size", OPTION_MAX_SIZE, "BYTES", 0, "Bound of the samples kept, as in 512M", 0},
    {"quiet", 'q', NULL, 0, "Print nothing when all is well", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct record *record = state->input;
    int failed = 0;
    switch (key) {
    case 'e':
        record->events = arg;
        break;
    case 'F':
        failed = tally_parse_count(arg, "the frequency", &record->frequency);
        if (!failed && (record->frequency < 1 || record->frequency > HIGHEST_FREQUENCY))
            failed = tally_error("the frequency must be from 1 to %d samples per second.",
                                 HIGHEST_FREQUENCY);
        break;
    case 'I':
        failed = tally_parse_count(arg, "the interval", &record->interval_ms);
        if (!failed && record->interval_ms < 1)
            failed = tally_error("the interval must be at least 1 millisecond.");
        break;
    case 'o':
        record->output = arg;
        break;
    case 'q':
        record->is_quiet = true;
        break;
    case OPTION_SOURCE:
        record->source = arg;
        if (strcmp(arg, "auto") != 0 && strcmp(arg, "software") != 0 &&
            strcmp(arg, "hardware") != 0 && strcmp(arg, "clock") != 0)
            failed = tally_error("there is no source \"%s\"; the sources are auto, software, "
                                 "hardware and clock.",
                                 arg);
        break;
    case OPTION_MAX_SIZE:
        failed = tally_parse_size(arg, "the size", &record->max_size);
        break;
    case OPTION_SIMULATE:
        record->simulate = arg ? arg : "generic";
        break;
    case OPTION_NATIVE:
        record->is_native = true;
        break;
    case ARGP_KEY_ARG:
        record->argv = &state->argv[state->next - 1];
        state->next = state->argc;
        break;
    case ARGP_KEY_NO_ARGS:
        failed = tally_error("name the program to run, as in: tallystack record -- python3 x.py");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (failed)
        argp_failure(state, TALLY_EXIT_FAILED, 0, "%s", tally_error_text());
    return 0;
}

static const struct argp record_argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "[--] PROGRAM [ARGUMENT...]",
    .doc = "Run a program and record where its events happen: function, line and call path, in all "
           "its threads and child processes.\vWithout -e the clock of the CPU (or its cycles, "
           "where they can be counted) is sampled 1000 times a second, and page faults and context "
           "switches are read along. The program's exit status is passed on; 125 means that "
           "tallystack failed, 126 and 127 that the program could not be run.",
};

/* Which events */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether per-thread CPU timers and getrusage can stand in for the event. */
static bool has_clock_form(const struct tally_event *event, bool is_first)
{
    return event->source == TALLY_SOURCE_SOFTWARE && event->term_count == 1 &&
           (is_first ? event->is_clock : event->read_only);
}

static bool all_have_clock_form(const struct tally_event_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!has_clock_form(&list->events[i], i == 0))
            return false;
    return true;
}

static void use_clock(struct record *record)
{
    record->run.is_clock = true;
    for (int i = 0; i < record->list.count; i++) {
        struct tally_event *event = &record->list.events[i];
        event->source = TALLY_SOURCE_CLOCK;
        event->terms[0].exclude_kernel = event->terms[0].exclude_user = false;
        snprintf(event->terms[0].encoding, sizeof(event->terms[0].encoding), "%s",
                 event->is_clock ? "CLOCK_THREAD_CPUTIME_ID" : "getrusage");
    }
}

/* Falls back to the CPU timers, for the reason that is in the error text, or fails with it. */
static int fall_back(struct record *record, int code)
{
    if (!strcmp(record->source, "software") || !all_have_clock_form(&record->list))
        return code;
    tally_run_note(&record->run,
                   "samples come from CPU timers (source clock), which interrupt system calls and "
                   "cannot tell more than time, because %s",
                   tally_error_text());
    use_clock(record);
    return 0;
}

static int check_period(const struct tally_event *event)
{
    const uint64_t shortest_ns = 1000000000 / HIGHEST_FREQUENCY;
    if (event->is_clock && event->period && event->period < shortest_ns)
        return tally_error("a period of %s must be at least %d ns.", event->name, (int)shortest_ns);
    return 0;
}

static int check_source(const struct record *record, const struct tally_event *event)
{
    bool wants_hardware = !strcmp(record->source, "hardware");
    bool wants_software = !strcmp(record->source, "software");
    if ((wants_hardware && event->source != TALLY_SOURCE_HARDWARE) ||
        (wants_software && event->source != TALLY_SOURCE_SOFTWARE))
        return tally_error("%s does not come from source %s but from %s.", event->name,
                           record->source, tally_source_name(event->source));
    return 0;
}

static int choose_default(struct record *record)
{
    struct tally_event_list cycles;
    const char *list = "task-clock,page-faults:0,context-switches:0";
    if (strcmp(record->source, "clock") != 0 && strcmp(record->source, "software") != 0 &&
        tally_events_resolve("cycles", record->frequency, &cycles) == 0 &&
        tally_event_probe(&cycles.events[0], NULL, NULL) == TALLY_AVAILABLE_YES)
        list = "cycles,task-clock:0,page-faults:0,context-switches:0";
    return tally_events_resolve(list, record->frequency, &record->list);
}

static void drop_event(struct tally_event_list *list, int index)
{
    list->count--;
    memmove(&list->events[index], &list->events[index + 1],
            (size_t)(list->count - index) * sizeof(list->events[0]));
}

/* Makes sure by doing that each event can be had, or falls back, or fails. */
static int choose_events(struct record *record)
{
    int result = record->events
                     ? tally_events_resolve(record->events, record->frequency, &record->list)
                     : choose_default(record);
    if (result < 0)
        return result;
    if (!strcmp(record->source, "clock")) {
        if (!all_have_clock_form(&record->list))
            return tally_error("source clock samples task-clock only, and reads page-faults:0 and "
                               "context-switches:0 along.");
        tally_run_note(&record->run, "samples come from CPU timers, as asked for: they interrupt "
                                     "system calls, and no more come than the kernel has ticks.");
        use_clock(record);
        return 0;
    }
    for (int i = 0; i < record->list.count; i++) {
        struct tally_event *event = &record->list.events[i];
        bool degraded = false;
        int code = 0;
        if (check_source(record, event) < 0 || check_period(event) < 0)
            return TALLY_ERROR;
        if (tally_event_probe(event, &code, &degraded) == TALLY_AVAILABLE_NO) {
            if (code == TALLY_NOT_ALLOWED && all_have_clock_form(&record->list))
                return fall_back(record, code);
            if (record->events || i == 0)
                return TALLY_ERROR;
            tally_run_note(&record->run, "%s is not counted: %s", event->name, tally_error_text());
            drop_event(&record->list, i--);
        } else if (degraded && event->is_clock && all_have_clock_form(&record->list)) {
            tally_error("the kernel allows counting user time only; \"sudo sysctl "
                        "kernel.perf_event_paranoid=1\" allows more.");
            return fall_back(record, TALLY_NOT_ALLOWED);
        } else if (degraded) {
            tally_run_note(&record->run,
                           "%s counts user code only; \"sudo sysctl kernel.perf_event_paranoid=1\" "
                           "allows kernel code too.",
                           event->name);
        }
    }
    if (tally_sigtrap_probe() < 0)
        return fall_back(record, TALLY_NOT_ALLOWED);
    return 0;
}

static int choose_simulated(struct record *record)
{
    if (strcmp(record->source, "auto") != 0 || record->interval_ms || record->is_native)
        return tally_error("--simulate goes with neither --source, --native nor -I.");
    if (tally_model_load(&record->model, record->simulate) < 0)
        return TALLY_ERROR;
    return tally_simulated_events(record->events, &record->model, &record->run, &record->list);
}

/* What the run is */

static char *machine_name(void)
{
    struct utsname kernel = {0};
    struct tally_buffer text = {0};
    char line[256], processor[128] = "";
    FILE *info = fopen("/proc/cpuinfo", "re");
    uname(&kernel);
    while (info && fgets(line, sizeof(line), info))
        if (sscanf(line, "model name : %127[^\n]", processor) == 1)
            break;
    if (info)
        fclose(info);
    tally_buffer_printf(&text, "%s, %s, %ld x %s, Linux %s", kernel.nodename, kernel.machine,
                        sysconf(_SC_NPROCESSORS_ONLN), *processor ? processor : "processor",
                        kernel.release);
    return text.data;
}

static void measure_delivery(struct record *record)
{
    struct tally_run *run = &record->run;
    if (run->is_clock) {
        run->clock_delivery_ns = run->delivery_ns = tally_delivery_cost(TALLY_DELIVERY_TIMER);
        return;
    }
    run->delivery_ns = tally_delivery_cost(TALLY_DELIVERY_FAULT);
    for (int i = 0; i < record->list.count && !run->clock_delivery_ns; i++)
        if (record->list.events[i].is_clock && !record->list.events[i].read_only)
            run->clock_delivery_ns = tally_delivery_cost(TALLY_DELIVERY_CLOCK);
}

static void describe_run(struct record *record)
{
    struct tally_run *run = &record->run;
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    char *directory = getcwd(NULL, 0);
    run->command = tally_text_command(record->argv);
    run->directory =
        tally_text_clean(directory ? directory : "", strlen(directory ? directory : ""));
    free(directory);
    run->machine = machine_name();
    run->started = tally_strdup(date);
    run->version = tally_strdup(TALLYSTACK_VERSION);
    run->exit_status = -1;
    run->interval_ms = record->interval_ms;
    if (!record->simulate)
        measure_delivery(record);
    run->event_count = record->list.count;
    for (int i = 0; i < run->event_count; i++) {
        run->events[i].event = record->list.events[i];
        run->events[i].first_counter = run->counter_count;
        run->events[i].running = 1;
        run->counter_count += record->list.events[i].term_count;
    }
}

/* Totals */

static void keep_interval(struct record *record, struct tally_session *session)
{
    double time_s = (double)(now_ns() - record->start_ns) / 1e9;
    struct tally_count counts[TALLY_MAX_EVENTS];
    if (totals_read(&record->totals, counts) < 0)
        return;
    for (int i = 0; i < record->run.event_count; i++) {
        const struct tally_event *event = &record->run.events[i].event;
        tally_session_series(session, time_s, event->name, tally_unit_name(event->unit),
                             tally_source_name(event->source),
                             counts[i].missing ? NULL : &counts[i].value);
    }
}

static uint64_t usage_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static int take_totals(struct record *record, const struct rusage *usage)
{
    struct tally_count counts[TALLY_MAX_EVENTS];
    record->run.wall_ns = now_ns() - record->start_ns;
    record->run.user_ns = usage_ns(&usage->ru_utime);
    record->run.system_ns = usage_ns(&usage->ru_stime);
    if (totals_read(&record->totals, counts) < 0)
        return TALLY_ERROR;
    for (int i = 0; i < record->run.event_count; i++) {
        struct tally_run_event *event = &record->run.events[i];
        event->has_total = !counts[i].missing;
        event->total = counts[i].value;
        event->running = counts[i].missing ? 0 : counts[i].running;
        if (counts[i].missing)
            tally_run_note(&record->run, "%s has no total: %s", event->event.name, counts[i].why);
    }
    return 0;
}

static void count_now(void *counting, uint64_t *counted)
{
    struct record *record = counting;
    struct tally_count counts[TALLY_MAX_EVENTS];
    if (totals_read(&record->totals, counts) < 0)
        return;
    for (int i = 0; i < record->run.event_count; i++)
        if (!counts[i].missing)
            counted[record->run.events[i].first_counter] = counts[i].value;
}

/* The run */

static int wait_for_end(struct record *record, struct tally_launch *launch,
                        struct tally_session *session, int *status, struct rusage *usage)
{
    enum { WITHOUT_PIDFD_MS = 20 };
    int pidfd = (int)syscall(SYS_pidfd_open, launch->pid, 0);
    struct pollfd watched[] = {{.fd = tally_session_descriptor(session), .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};
    uint64_t interval_ns = record->interval_ms * 1000000u;
    uint64_t next = record->start_ns + interval_ns;
    int ended = 0;
    while (ended == 0) {
        int64_t patience = pidfd < 0 ? WITHOUT_PIDFD_MS : 1000;
        if (interval_ns) {
            int64_t left = ((int64_t)(next - now_ns()) + 999999) / 1000000;
            patience = left < 0 ? 0 : left < patience ? left : patience;
        }
        poll(watched, 2, (int)patience);
        tally_session_serve(session);
        if (interval_ns && now_ns() >= next) {
            keep_interval(record, session);
            while (next <= now_ns())
                next += interval_ns;
        }
        ended = tally_launch_wait(launch, false, status, usage);
    }
    tally_session_serve(session);
    if (interval_ns)
        keep_interval(record, session);
    if (pidfd >= 0)
        close(pidfd);
    return ended < 0 ? ended : 0;
}

static int write_description(struct record *record, struct tally_session *session)
{
    json_t *description = tally_run_to_json(&record->run);
    if (!description)
        return tally_error("cannot describe the run.");
    int result = tally_session_describe(session, description);
    json_decref(description);
    return result;
}

/* Reads back what was recorded: for what the sources were, and for the summary. */
static int finish(struct record *record, struct tally_session *session)
{
    struct tally_recording *recording = NULL;
    if (tally_session_end(session) < 0 || write_description(record, session) < 0 ||
        tally_recording_open(&recording, record->output) < 0)
        return TALLY_ERROR;
    struct tally_profile *profile = tally_profile_new(recording, false, NULL, NULL);
    int result = tally_fingerprint_write(profile, tally_session_directory(session));
    /* What is simulated is exact: a difference there is to be seen. */
    for (int i = 0; i < record->run.event_count && !record->simulate; i++)
        record->run.events[i].total += (uint64_t)profile->excess[i];
    if (result == 0)
        result = write_description(record, session);
    if (result == 0)
        result = tally_session_seal(session);
    if (result == 0 && !record->is_quiet)
        summary_print(profile, record->output);
    tally_profile_free(profile);
    tally_recording_close(recording);
    return result;
}

static void say_notes(struct record *record)
{
    for (; record->said < record->run.note_count; record->said++)
        if (!record->is_quiet)
            fprintf(stderr, "tallystack record: %s\n", record->run.notes[record->said]);
}

static const char *stop_reason(uint32_t stopped)
{
    return stopped == 1 ? "--max-size was reached" : strerror((int)stopped);
}

static int run_program(struct record *record, struct tally_session *session,
                       struct tally_launch *launch, int *status)
{
    struct rusage usage = {0};
    if (totals_open(&record->totals, &record->run, launch->pid) < 0 ||
        write_description(record, session) < 0) {
        *status = TALLY_EXIT_FAILED;
        return TALLY_ERROR;
    }
    *status = TALLY_EXIT_FAILED;
    tally_session_hold(session, launch->pid, record->run.is_clock ? NULL : count_now, record);
    record->start_ns = now_ns();
    if (tally_launch_go(launch, status) < 0 || tally_session_commit(session) < 0)
        return TALLY_ERROR;
    if (wait_for_end(record, launch, session, status, &usage) < 0)
        return TALLY_ERROR;
    const char *refusal = tally_session_refusal(session);
    if (refusal) {
        *status = TALLY_EXIT_FAILED;
        tally_session_discard(session);
        return tally_error("%s (3.11 to 3.15 are, with the GIL); --native counts it as a native "
                           "program.",
                           refusal);
    }
    struct tally_session_news news = tally_session_news(session);
    if (take_totals(record, &usage) < 0)
        return TALLY_ERROR;
    record->run.exit_status = *status;
    record->run.has_foreign = news.has_foreign;
    record->run.stopped = news.stopped;
    if (news.stopped)
        tally_run_note(&record->run,
                       "writing samples ended early (%s); what is missing is in the "
                       "row [lost].",
                       stop_reason(news.stopped));
    if (!news.images)
        tally_run_note(&record->run, "no process could be sampled: the program is static or "
                                     "set-user-ID, and only its totals are known.");
    say_notes(record);
    if (finish(record, session) < 0) {
        *status = TALLY_EXIT_FAILED;
        return TALLY_ERROR;
    }
    return 0;
}

static int record_program(struct record *record)
{
    struct tally_session_options session_options = {.path = record->output,
                                                    .max_size = record->max_size,
                                                    .is_native = record->is_native,
                                                    .is_clock = record->run.is_clock};
    struct tally_session *session = NULL;
    struct tally_launch launch;
    int status = TALLY_EXIT_FAILED;
    if (tally_session_prepare(&session, &session_options, &record->list) < 0)
        return command_failed("record");
    int result = tally_launch_prepare(&launch, record->argv, tally_session_environment(session));
    if (result == 0) {
        result = run_program(record, session, &launch, &status);
        if (result < 0)
            command_failed("record");
        tally_launch_release(&launch);
    } else {
        command_failed("record");
    }
    totals_close(&record->totals);
    tally_session_release(session);
    return status;
}

/* Under the simulator */

static int launch_simulated(struct record *record, struct tally_session *session,
                            struct tally_launch *launch, int *status)
{
    struct tally_simulated_command command;
    char *folder = realpath(record->output, NULL);
    int result = tally_simulated_command(&command, record->argv, &record->model, &record->list,
                                         folder ? folder : record->output, status);
    int before = personality(0xffffffff);
    if (before >= 0)
        personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    if (result == 0)
        result = tally_launch_prepare(launch, command.argv, command.environment);
    if (before >= 0)
        personality((unsigned long)before);
    record->start_ns = now_ns();
    if (result == 0)
        result = tally_launch_go(launch, status);
    if (result < 0)
        tally_session_discard(session);
    tally_simulated_command_release(&command);
    free(folder);
    return result;
}

static int finish_simulated(struct record *record, struct tally_session *session,
                            const struct rusage *usage, int status)
{
    uint32_t images;
    char refusal[128];
    if (tally_simulated_totals(tally_session_directory(session), &record->run, &images, refusal) <
        0)
        return TALLY_ERROR;
    if (refusal[0]) {
        tally_session_discard(session);
        return tally_error("%s (3.11 to 3.15 are, with the GIL).", refusal);
    }
    if (!images) {
        tally_session_discard(session);
        return tally_error("the program was killed, or valgrind cannot run it; nothing was "
                           "counted.");
    }
    record->run.user_ns = usage_ns(&usage->ru_utime);
    record->run.system_ns = usage_ns(&usage->ru_stime);
    record->run.wall_ns = now_ns() - record->start_ns;
    record->run.exit_status = status;
    say_notes(record);
    return finish(record, session);
}

static int record_simulated(struct record *record)
{
    struct tally_session_options session_options = {.path = record->output, .is_simulated = true};
    struct tally_session *session = NULL;
    struct tally_launch launch = {.go = -1, .failed = -1};
    struct rusage usage = {0};
    int status = TALLY_EXIT_FAILED, result;
    if (tally_session_prepare(&session, &session_options, &record->list) < 0)
        return command_failed("record");
    result = write_description(record, session);
    if (result == 0)
        result = tally_session_commit(session);
    if (result == 0)
        result = launch_simulated(record, session, &launch, &status);
    if (result == 0) {
        result = wait_for_end(record, &launch, session, &status, &usage);
        if (result == 0)
            result = finish_simulated(record, session, &usage, status);
        if (result < 0)
            status = TALLY_EXIT_FAILED;
    }
    tally_launch_release(&launch);
    if (result < 0)
        command_failed("record");
    tally_session_release(session);
    return status;
}

int cmd_record(int argc, char **argv)
{
    struct record record = {
        .source = "auto", .output = "tallystack.rec", .frequency = DEFAULT_FREQUENCY};
    int first, status;
    command_parse(&record_argp, argc, argv, &first, &record);
    if ((record.simulate ? choose_simulated(&record) : choose_events(&record)) < 0) {
        status = command_failed("record");
    } else {
        describe_run(&record);
        say_notes(&record);
        status = record.simulate ? record_simulated(&record) : record_program(&record);
    }
    tally_model_release(&record.model);
    tally_run_release(&record.run);
    return status;
}
