/* Finds the command and runs it. */
#include "command.h"

#include "base/error.h"
#include "base/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *job;
} commands[] = {
    {"doctor", cmd_doctor, "what this machine can count, and what blocks the rest"},
    {"list", cmd_list, "events: names, availability, meaning"},
    {"plot", cmd_plot, "pictures of recordings"},
    {"record", cmd_record, "run a program and record where its events happen"},
    {"report", cmd_report, "tables and the call tree of a recording"},
    {"annotate", cmd_annotate, "source lines with their counts"},
    {"diagnose", cmd_diagnose, "what bounds a program: CPU, memory, or what it waits for"},
    {"export", cmd_export, "call stacks for flame graphs and speedscope"},
    {"stat", cmd_stat, "totals of a program and all its children"},
    {NULL, NULL, NULL},
};

static void print_help(FILE *out)
{
    fputs("Usage: tallystack COMMAND [OPTION...] [--] [PROGRAM ARGUMENT...]\n"
          "Hardware counters for Python programs: counts, and which function, line and call path\n"
          "they belong to.\n\n",
          out);
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-10s %s\n", command->name, command->job);
    fputs("\n  -h, --help     this list; \"tallystack COMMAND --help\" explains a command\n"
          "      --version  the version\n",
          out);
}

enum { OPTION_USAGE = 0x1000, OPTION_VERSION };

/* In place of argp's own, which has -? where everyone looks for -h. */
static const struct argp_option help_options[] = {
    {"help", 'h', NULL, 0, "Explain this command", -1},
    {"usage", OPTION_USAGE, NULL, 0, "Print the options in short", -1},
    {"version", OPTION_VERSION, NULL, 0, "Print the version", -1},
    {0},
};

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    switch (key) {
    case 'h':
        argp_state_help(state, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
        break;
    case OPTION_USAGE:
        argp_state_help(state, stdout, ARGP_HELP_USAGE);
        break;
    case OPTION_VERSION:
        puts("tallystack " TALLYSTACK_VERSION);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    exit(command_finish(state->argv[0] + sizeof("tallystack"), 0));
}

static const struct argp help_argp = {.options = help_options, .parser = parse_help};
static const struct argp_child help_child[] = {{&help_argp, 0, NULL, 0}, {0}};

void command_parse(const struct argp *argp, int argc, char **argv, int *first, void *input)
{
    argp_err_exit_status = TALLY_EXIT_FAILED;
    char name[64];
    snprintf(name, sizeof(name), "tallystack %s", argv[0]);
    argv[0] = name;
    struct argp with_help = *argp;
    with_help.children = help_child;
    unsigned int flags = ARGP_NO_HELP | (first ? ARGP_IN_ORDER : 0);
    error_t failed = argp_parse(&with_help, argc, argv, flags, first, input);
    if (failed) {
        fprintf(stderr, "%s: %s\n", name, strerror(failed));
        exit(TALLY_EXIT_FAILED);
    }
}

int command_failed(const char *name)
{
    fprintf(stderr, "tallystack %s: %s\n", name, tally_error_text());
    return TALLY_EXIT_FAILED;
}

int command_finish(const char *name, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "tallystack %s: cannot write the output: %s.\n", name, strerror(errno));
    return TALLY_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return TALLY_EXIT_FAILED;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help(stdout);
        return command_finish("--help", 0);
    }
    if (!strcmp(argv[1], "--version")) {
        puts("tallystack " TALLYSTACK_VERSION);
        return command_finish("--version", 0);
    }
    for (const struct command *command = commands; command->name; command++)
        if (!strcmp(argv[1], command->name))
            return command->run(argc - 1, argv + 1);
    fprintf(stderr,
            "tallystack: there is no command \"%s\"; \"tallystack --help\" lists the commands.\n",
            argv[1]);
    return TALLY_EXIT_FAILED;
}
