/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * C functions: whose code runs. A tally belongs to a line and to the function whose code it is, so
 * that what a line calls can be told apart.
 *
 * Functions are told apart by the symbol they have; all code of a library between its symbols
 * counts as one. Names are looked up when the recording is read (profile/symbols.h), from an
 * address.
 */
#ifndef TALLY_SIMULATOR_NATIVES_H
#define TALLY_SIMULATOR_NATIVES_H

#include "simulator/core.h"

#include <stdbool.h>
#include <stdint.h>

/* A library or program, as it was when code of it was first translated. */
struct object {
    struct object *next;
    uint64_t start, end, bias;
    char *path;
    bool is_written; /* to the image */
};

struct native {
    struct native *next;
    struct object *object; /* NULL: code that is in no file */
    uint64_t start;        /* where its symbol is; 0: it has none */
    uint64_t pc;           /* an address in it */
    bool makes_interpreter;
};

/* The function with the instruction at `address`. */
const struct native *natives_find(Addr address);

/* Every object that natives_find() met. */
extern struct object *natives_objects;

#endif
