/*
 * The call tree of a profile, by function: lines of one function under one caller are one node.
 */
#ifndef TALLY_PROFILE_TREE_H
#define TALLY_PROFILE_TREE_H

#include "profile/profile.h"

struct tally_tree_node {
    uint32_t parent; /* 0 for the outermost; node 0 is the whole program */
    uint32_t function;
    uint32_t first_child, next_sibling; /* 0: none; children by inclusive, the largest first */
    uint32_t depth;
};

struct tally_tree {
    const struct tally_profile *profile;
    size_t count;
    struct tally_tree_node *nodes; /* parents come before their children */
    double *self, *inclusive;      /* count x event_count */
    uint64_t *samples;             /* count x event_count */
};

/* Children are ordered by event number `sort`. The caller ends it with tally_tree_release(). */
void tally_tree_make(struct tally_tree *tree, const struct tally_profile *profile, int sort);
void tally_tree_release(struct tally_tree *tree);

#endif
