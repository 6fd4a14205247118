/* Whole files, and finding those that come with the command. */
#ifndef TALLY_BASE_FILE_H
#define TALLY_BASE_FILE_H

#include <stddef.h>

/*
 * The content of a regular file, NUL-terminated, which the caller frees; NULL with errno when it
 * cannot be read. Of a pipe or device nothing is read.
 */
char *tally_read_file(const char *path, size_t *size);

/*
 * The path of `name` in the first of the folders `places`, each relative to the folder of the
 * running command, that has it: of a build, then as installed. The caller frees it; NULL when none
 * has it.
 */
char *tally_file_beside_command(const char *const *places, size_t count, const char *name);

#endif
