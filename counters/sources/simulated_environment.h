/* The environment of a simulated program: all that would make two runs differ is held fast. */
#ifndef TALLY_SOURCES_SIMULATED_ENVIRONMENT_H
#define TALLY_SOURCES_SIMULATED_ENVIRONMENT_H

/*
 * Ours, with what pins the interpreter's and the C library's behaviour unless the user has set it,
 * and padded to a round size together with `argv`. Valgrind finds its tool in `tool_folder`. The
 * caller frees the entries and the list, which NULL ends.
 */
char **tally_simulated_environment(const char *tool_folder, char *const *argv);

#endif
