/* Programs that Valgrind cannot run: told before it is started, which would add words of its own.
 */
#ifndef TALLY_SOURCES_SIMULATED_PROGRAM_H
#define TALLY_SOURCES_SIMULATED_PROGRAM_H

/* 0, or negative with the reason. `path` is of an executable file. */
int tally_simulated_check_program(const char *path);

#endif
