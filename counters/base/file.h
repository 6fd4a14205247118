/* Whole files. */
#ifndef TALLY_BASE_FILE_H
#define TALLY_BASE_FILE_H

#include <stddef.h>

/* The content, NUL-terminated, which the caller frees; NULL with errno when it cannot be read. */
char *tally_read_file(const char *path, size_t *size);

#endif
