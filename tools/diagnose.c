/* tallystack diagnose: what bounds a program, with the evidence and the place. */
#include "command.h"
#include "loaded.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "output/diagnosis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OPTION_CSV = 256, OPTION_LIMIT, DEFAULT_LIMIT = 10 };

struct diagnose {
    const char *input, *output, *events;
    uint64_t limit;
    bool is_csv;
    char **program; /* NULL: a recording is diagnosed */
    int program_count;
};

static const struct argp_option options[] = {
    {"event", 'e', "EVENT[:PERIOD],...", 0, "With a program: events to sample, as for record", 0},
    {"input", 'i', "REC", 0, "The recording (tallystack.rec)", 0},
    {"output", 'o', "REC", 0, "With a program: name of the recording (tallystack.rec)", 0},
    {"limit", OPTION_LIMIT, "N", 0, "Show N processes, threads and functions at most (10)", 0},
    {"csv", OPTION_CSV, NULL, 0, "Print CSV with a header row", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct diagnose *diagnose = state->input;
    switch (key) {
    case 'e':
        diagnose->events = arg;
        break;
    case 'i':
        diagnose->input = arg;
        break;
    case 'o':
        diagnose->output = arg;
        break;
    case OPTION_LIMIT:
        if (tally_parse_count(arg, "the limit", &diagnose->limit) < 0)
            argp_failure(state, TALLY_EXIT_FAILED, 0, "%s", tally_error_text());
        break;
    case OPTION_CSV:
        diagnose->is_csv = true;
        break;
    case ARGP_KEY_ARG:
        diagnose->program = &state->argv[state->next - 1];
        diagnose->program_count = state->argc - state->next + 1;
        state->next = state->argc;
        break;
    case ARGP_KEY_END:
        if (diagnose->program && diagnose->input)
            argp_failure(state, TALLY_EXIT_FAILED, 0,
                         "-i names a recording that is there; without it the program is recorded.");
        if (!diagnose->program && (diagnose->output || diagnose->events))
            argp_failure(state, TALLY_EXIT_FAILED, 0,
                         "-e and -o are for a program that is recorded; name one.");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp diagnose_argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "[[--] PROGRAM [ARGUMENT...]]",
    .doc =
        "Say whether a program is bound by the CPU, by memory, or by what it waits for, with the "
        "evidence, the place in the program, and what to try next.\vWithout a PROGRAM a recording "
        "is diagnosed. With one it is recorded first; what is said then goes to stderr, and the "
        "program's exit status is passed on.",
};

/* Runs `tallystack record` on the program; returns its exit status. */
static int record_it(const struct diagnose *diagnose, const char *path)
{
    char name[] = "record", quiet[] = "-q", output[] = "-o", event[] = "-e", end[] = "--";
    char *copy = tally_strdup(path),
         *events = tally_strdup(diagnose->events ? diagnose->events : "");
    char *const options_of_record[] = {name, quiet, output, copy, event, events, end};
    enum { OPTIONS = sizeof(options_of_record) / sizeof(options_of_record[0]) };
    char **argv = tally_alloc_zeroed((size_t)diagnose->program_count + OPTIONS + 1, sizeof(*argv));
    int count = 0;
    for (int i = 0; i < OPTIONS; i++)
        if (diagnose->events || (options_of_record[i] != event && options_of_record[i] != events))
            argv[count++] = options_of_record[i];
    for (int i = 0; i < diagnose->program_count; i++)
        argv[count++] = diagnose->program[i];
    int status = cmd_record(count, argv);
    free(argv);
    free(copy);
    free(events);
    return status;
}

/* Returns 0, 125 where parts of the recording are damaged, or a negative number. */
static int print(const struct diagnose *diagnose, const char *path, FILE *out)
{
    struct loaded loaded;
    if (loaded_open(&loaded, "diagnose", path, true) < 0)
        return TALLY_ERROR;
    struct tally_accounts *accounts = tally_accounts_new(loaded.profile);
    size_t limit = diagnose->limit ? diagnose->limit : SIZE_MAX;
    struct tally_diagnosis *diagnosis = tally_diagnosis_new(accounts, limit);
    if (diagnose->is_csv) {
        tally_diagnosis_csv(out, diagnosis);
    } else {
        tally_diagnosis_text(out, diagnosis, limit);
        for (int i = 0; i < loaded.recording->run.note_count; i++)
            fprintf(out, "note: %s\n", loaded.recording->run.notes[i]);
    }
    int status = loaded_status(&loaded);
    tally_diagnosis_free(diagnosis);
    tally_accounts_free(accounts);
    loaded_close(&loaded);
    return status;
}

int cmd_diagnose(int argc, char **argv)
{
    struct diagnose diagnose = {.limit = DEFAULT_LIMIT};
    int first;
    command_parse(&diagnose_argp, argc, argv, &first, &diagnose);
    const char *path = diagnose.program ? diagnose.output : diagnose.input;
    if (!path)
        path = "tallystack.rec";
    if (!diagnose.program) {
        int status = print(&diagnose, path, stdout);
        return command_finish("diagnose", status < 0 ? command_failed("diagnose") : status);
    }
    /* An older recording is moved away, so that a new one is another folder. */
    struct stat before = {0}, after;
    stat(path, &before);
    int status = record_it(&diagnose, path);
    if (stat(path, &after) == 0 && after.st_ino != before.st_ino &&
        print(&diagnose, path, stderr) < 0)
        return command_failed("diagnose");
    return ferror(stderr) ? TALLY_EXIT_FAILED : status;
}
