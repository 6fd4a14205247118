/*
 * The commands of tallystack.
 *
 * To add one: write tools/NAME.c with a function `int cmd_NAME(int argc, char **argv)` that parses
 * its options with argp, calls the library, prints and returns the exit status; declare it here;
 * add it to the table in main.c and to tools/CMakeLists.txt; write tools/man/tallystack-NAME.1 and
 * the completion in tools/completion.bash. tests/cli/test_manual.py holds them against each other.
 */
#ifndef TALLY_TOOLS_COMMAND_H
#define TALLY_TOOLS_COMMAND_H

#include <argp.h>

int cmd_list(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_annotate(int argc, char **argv);
int cmd_diagnose(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_export(int argc, char **argv);

/*
 * Parses with argp. Help goes to stdout and ends the process with 0; a usage error ends it with 125
 * and one sentence. `first`, if not NULL, gets the index of the first argument that is not an
 * option; parsing stops there, so that a workload keeps its own options.
 */
void command_parse(const struct argp *argp, int argc, char **argv, int *first, void *input);

/* Prints "tallystack NAME: " and the library's last sentence to stderr; returns 125. */
int command_failed(const char *name);

/* Flushes stdout; returns `status`, or 125 with a sentence if what was printed did not arrive. */
int command_finish(const char *name, int status);

#endif
