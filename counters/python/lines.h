/*
 * Line numbers of a code object's instructions, from its location table (co_linetable of 3.11 and
 * later, the format of Objects/locations.md in CPython's sources).
 */
#ifndef TALLY_PYTHON_LINES_H
#define TALLY_PYTHON_LINES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decodes a whole table into one line per code unit of 2 bytes. Instructions without a line get the
 * one before, at the start `first_line`. *out is the caller's to free; returns how many units there
 * are. A table that ends in the middle of an entry is decoded up to there.
 */
size_t py_lines_decode(const uint8_t *table, size_t size, uint32_t first_line, uint32_t **out);

#endif
