/* tallystack record: run a program and record which functions, lines and call paths count. */
#include "record.h"
#include "command.h"

#include "base/error.h"
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_FREQUENCY = 1000, DEFAULT_WATCH_PERCENT = 1 };
enum {
    OPTION_SOURCE = 256,
    OPTION_MAX_SIZE,
    OPTION_NATIVE,
    OPTION_SIMULATE,
    OPTION_WATCH,
    OPTION_WITHIN,
};

static const struct argp_option options[] = {
    {"event", 'e', "EVENT[:PERIOD],...", 0,
     "Events to sample (see tallystack list); :0 reads one along with the first only", 0},
    {"group", 'g', "GROUP", 0, "Record the events of a group of metrics, for report -g", 0},
    {"frequency", 'F', "HZ", 0, "Samples per second of clocks and hardware events (1000)", 0},
    {"source", OPTION_SOURCE, "SOURCE", 0,
     "Take events from: auto (the default), software, hardware or clock", 0},
    {"simulate", OPTION_SIMULATE, "MODEL", OPTION_ARG_OPTIONAL,
     "Count on a model machine (generic) instead, exactly and repeatably; about 50 times slower",
     0},
    {"within", OPTION_WITHIN, "FUNCTION", 0,
     "Simulate only while FUNCTION (module.Class.method, or FILE:LINE) is on the stack", 0},
    {"native", OPTION_NATIVE, NULL, 0, "Do not look for Python: count native code only", 0},
    {"interval", 'I', "MS", 0, "Keep the totals every MS milliseconds for plot timeline", 0},
    {"output", 'o', "REC", 0, "Name of the recording (tallystack.rec)", 0},
    {"max-size", OPTION_MAX_SIZE, "BYTES", 0, "Bound of the samples kept, as in 512M", 0},
    {"watch", OPTION_WATCH, "PERCENT", 0,
     "Of one CPU, for seeing what threads wait for (1); 0: do not look", 0},
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
    case 'g':
        record->group = arg;
        break;
    case 'F':
        record->sampling = "-F";
        failed = tally_parse_count(arg, "the frequency", &record->frequency);
        if (!failed && (record->frequency < 1 || record->frequency > HIGHEST_FREQUENCY))
            failed = tally_error("the frequency must be from 1 to %d samples per second.",
                                 HIGHEST_FREQUENCY);
        break;
    case 'I':
        record->sampling = "-I";
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
        if (strcmp(arg, "auto") != 0)
            record->sampling = "--source";
        if (strcmp(arg, "auto") != 0 && strcmp(arg, "software") != 0 &&
            strcmp(arg, "hardware") != 0 && strcmp(arg, "clock") != 0)
            failed = tally_error("there is no source \"%s\"; the sources are auto, software, "
                                 "hardware and clock.",
                                 arg);
        break;
    case OPTION_MAX_SIZE:
        record->sampling = "--max-size";
        failed = tally_parse_size(arg, "the size", &record->max_size);
        break;
    case OPTION_SIMULATE:
        record->simulate = arg ? arg : "generic";
        break;
    case OPTION_WATCH:
        record->sampling = "--watch";
        failed = tally_parse_count(arg, "the share of a CPU", &record->watch_percent);
        if (!failed && record->watch_percent > 100)
            failed = tally_error("the share of a CPU must be from 0 to 100 per cent.");
        break;
    case OPTION_WITHIN:
        record->within = arg;
        break;
    case OPTION_NATIVE:
        record->sampling = "--native";
        record->is_native = true;
        break;
    case ARGP_KEY_ARG:
        record->argv = &state->argv[state->next - 1];
        state->next = state->argc;
        break;
    case ARGP_KEY_NO_ARGS:
        failed = tally_error("name the program to run, as in: tallystack record -- python3 x.py");
        break;
    case ARGP_KEY_END:
        if (record->within && !record->simulate)
            failed = tally_error("--within goes with --simulate only.");
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

int cmd_record(int argc, char **argv)
{
    struct record record = {.source = "auto",
                            .output = "tallystack.rec",
                            .frequency = DEFAULT_FREQUENCY,
                            .watch_percent = DEFAULT_WATCH_PERCENT};
    int first, status;
    command_parse(&record_argp, argc, argv, &first, &record);
    if ((record.group && record_choose_group(&record) < 0) ||
        (record.simulate ? record_choose_simulated(&record) : record_choose_events(&record)) < 0) {
        status = command_failed("record");
    } else {
        record_describe(&record);
        record_say_notes(&record);
        status = record.simulate ? record_simulated(&record) : record_measured(&record);
    }
    tally_model_release(&record.model);
    tally_run_release(&record.run);
    free(record.names);
    return status;
}
