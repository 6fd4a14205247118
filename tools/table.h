/*
 * A small table of text cells for the commands' own lists: aligned on the screen, or CSV.
 *
 * Fill it cell by cell, row after row; table_release() frees it.
 */
#ifndef TALLY_TOOLS_TABLE_H
#define TALLY_TOOLS_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct table {
    const char *const *columns; /* borrowed; NULL ends them */
    char **cells;               /* owned, row after row */
    int count, room;
};

void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *out, bool csv);
void table_release(struct table *table);

/* One CSV field, quoted where RFC 4180 asks for it. */
void table_csv_field(FILE *out, const char *text);

#endif
