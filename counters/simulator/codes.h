/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code objects that were seen, copied when first seen: the interpreter may free one and put another
 * at its address, so an address alone does not tell them apart.
 */
#ifndef TALLY_SIMULATOR_CODES_H
#define TALLY_SIMULATOR_CODES_H

#include "python/walk.h"

struct code {
    struct code *next;
    uint64_t address;
    struct py_code key;
    uint64_t texts;        /* py_code_texts() */
    uint32_t id;           /* from 1 */
    bool is_written;       /* to the image */
    bool is_generator;     /* also a coroutine: the first call makes it and runs nothing of it */
    bool is_shim;          /* see py_code_is_shim(): its calls are not counted */
    uint32_t unit_count;   /* code units that have a line */
    uint32_t *line_of;     /* unit -> number of its line, see below */
    uint32_t line_count;   /* lines are numbered from 1 as met; 0 stands for the def line */
    uint32_t *first_units; /* number of a line -> the first unit of it */
    uint32_t *lines;       /* number of a line -> the line; only while it is looked at first */
    bool is_within;        /* it is the function of --within */
    char *text;            /* qualified name, then file name */
    uint32_t name_size, file_size;
    uint8_t *table; /* line table */
    uint32_t table_size;
};

/* The code object at `address`, which a frame refers to; NULL if it is none. */
struct code *codes_find(uint64_t address);
/* Whether what the thread runs is the import system, looking for a module in a folder. */
bool codes_import_calls(uint64_t tstate);
void codes_forget_written(void);

uint32_t codes_line(const struct code *code, uint64_t ip);

#endif
