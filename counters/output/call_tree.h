/* The call tree as text and CSV. */
#ifndef TALLY_OUTPUT_CALL_TREE_H
#define TALLY_OUTPUT_CALL_TREE_H

#include "profile/tree.h"

#include <stdio.h>

/*
 * The `limit` nodes with the most of event `sort`; 0: all. On a screen those below 0.5 % of it are
 * left out, and frames of one function that call only each other are one line, with their number.
 */
void tally_tree_text(FILE *out, const struct tally_tree *tree, size_t limit, int sort);
void tally_tree_csv(FILE *out, const struct tally_tree *tree, size_t limit, int sort);

#endif
