/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree of cells and contexts that attribution.h describes: finding and making them. None is
 * freed before the process ends. */
#ifndef TALLY_SIMULATOR_CELLS_H
#define TALLY_SIMULATOR_CELLS_H

#include "simulator/attribution.h"

/* `context` is NULL for the root of a thread. */
struct cell *cells_new(struct thread *thread, struct context *context, uint32_t line);
/* Of `code` when it is called from `caller`; of too many call paths, one that it had before. */
struct context *cells_context(struct cell *caller, struct code *code);
/* Sets the counts of all C functions back. */
void cells_clear(struct cell *cell);

/* Of the line with this number in the code object, in the running thread. */
static inline struct cell *cells_of(struct context *context, uint32_t line)
{
    struct cell **cell = &context->cells[line];
    if (!*cell)
        *cell = cells_new(attribution.thread, context, line);
    return *cell;
}

/* What the C function that runs did for the cell. */
struct counts *cells_other_counts(struct cell *cell);
static inline struct counts *cells_counts(struct cell *cell)
{
    return cell->first.native == attribution.native ? &cell->first.counts
                                                    : cells_other_counts(cell);
}

#endif
