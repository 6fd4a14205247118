/*
 * Numbers, sizes and durations as people type them. Each returns 0, or a negative number with a
 * sentence that names `what` was wrong; `out` is untouched then.
 */
#ifndef TALLY_BASE_PARSE_H
#define TALLY_BASE_PARSE_H

#include <stdint.h>

/* A whole number with an optional decimal factor: 250, 10k, 2M. */
int tally_parse_count(const char *text, const char *what, uint64_t *out);

/* Bytes with an optional binary factor: 4096, 64K, 512M, 2G. */
int tally_parse_size(const char *text, const char *what, uint64_t *out);

#endif
