/* A folder for the files that a target's input becomes; removed when the program ends. */
#ifndef TALLY_FUZZ_SCRATCH_H
#define TALLY_FUZZ_SCRATCH_H

#include <stddef.h>

/* Its path, with one file in it named `name`. */
const char *scratch_file(const char *name, const void *bytes, size_t size);

#endif
