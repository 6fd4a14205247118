/*
 * Exporters of call stacks, all fed by one walk over the call tree.
 *
 * To add a format: a `struct tally_stack_exporter` in a file of its own, a line in the table in
 * stacks.c, the format's name in the manual page. begin() comes first, then stack() for every tree
 * node that has some of the event itself, then end().
 */
#ifndef TALLY_OUTPUT_STACKS_H
#define TALLY_OUTPUT_STACKS_H

#include "profile/tree.h"

#include <stdio.h>

struct tally_stack_context {
    FILE *out;
    const struct tally_tree *tree;
    int event;     /* the one that is exported; -1: all of them */
    void *private; /* the exporter's own */
};

struct tally_stack_exporter {
    const char *name;
    void (*begin)(struct tally_stack_context *context);
    /* `path` holds tree nodes, the outermost first. */
    void (*stack)(struct tally_stack_context *context, const uint32_t *path, size_t depth,
                  int event);
    void (*end)(struct tally_stack_context *context);
};

/* NULL if there is no such format. */
const struct tally_stack_exporter *tally_stack_exporter(const char *name);

/* Writes the tree; with `event` -1 each event in turn, where the format can hold several. */
void tally_stacks_write(FILE *out, const struct tally_tree *tree,
                        const struct tally_stack_exporter *exporter, int event);

#endif
