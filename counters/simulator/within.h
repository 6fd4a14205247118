/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --within: which code objects are the function that was asked for, and seeing it begin while
 * nothing is counted. (How counting goes on and off is in versions.h.)
 */
#ifndef TALLY_SIMULATOR_WITHIN_H
#define TALLY_SIMULATOR_WITHIN_H

#include "simulator/attribution.h"
#include "simulator/core.h"

#include <stdbool.h>

struct within {
    const char *name; /* a qualified name or FILE:LINE; NULL: all is counted */
    bool has_run;
    struct cell outside; /* takes what must not be counted */
    /* Where the running thread's current frame is stored; 0: nowhere. */
    uint64_t slots[2];
};

extern struct within within;

/* Whether the code object is the function, when it is first seen. */
bool within_matches(const struct code *code);

/* Sets the slots, for the thread that runs now. */
void within_watch(const struct thread *thread);

/* A store to one of the slots while the thread is outside: whether the function begins, or goes on
 * in a frame that was set aside. */
bool within_begins(struct thread *thread, uint64_t frame);

/* The code for a store of `size` bytes where nothing is counted. */
void within_look(IRSB *out, Addr site, IRExpr *address, Int size);

#endif
