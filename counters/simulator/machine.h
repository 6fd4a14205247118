/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model machine: caches, data TLB and branch predictor, and what is counted on it.
 *
 * Caches are set-associative with least-recently-used replacement and allocate on writes. An access
 * that crosses lines touches each of them and counts as one miss if it misses any; a miss goes on
 * to the next level. The kernel is not simulated.
 */
#ifndef TALLY_SIMULATOR_MACHINE_H
#define TALLY_SIMULATOR_MACHINE_H

#include "simulator/raw.h"

#include <stdbool.h>
#include <stdint.h>

/* The first counters of enum tally_raw, whose number is known when code is translated. */
struct lanes {
    int32_t count[TALLY_RAW_LANES];
} __attribute__((aligned(16)));

/* The tags of a set are kept in order of use, the newest first. */
struct cache {
    uint64_t *tags;   /* line numbers; NULL: the model has no such level */
    uint64_t *newest; /* of L1: the line of each set that was used last, for a quick look */
    uint64_t sets;
    uint64_t mask; /* sets - 1 if that is a power of two, else 0 */
    uint32_t ways;
};

struct machine {
    struct cache l1i, l1d, l2, l3, tlb, itlb;
    bool has_fetches, has_accesses, has_branches; /* what is asked for */
    uint32_t line_shift;
    uint64_t line_mask;
};

struct counts {
    uint64_t raw[TALLY_RAW_COUNT];
};

extern struct machine machine;
extern struct lanes machine_run;     /* counted since the totals were last brought up to date */
extern struct lanes machine_closed;  /* how much of it is in cells */
extern struct counts *machine_cell;  /* where misses go */
extern struct counts machine_totals; /* of the process */

enum { SEGMENT_LINES = 6, SEGMENT_ACCESSES = 4, SEGMENT_ALIGNMENT = 64 };

/*
 * A stretch of instructions that are executed together: what is known of it before. Addresses and
 * the outcome of the branch at its end are given when it is run. What most need fills a cache line.
 */
struct segment {
    struct lanes lanes;
    uint64_t branch; /* address of the instruction that ends it */
    uint8_t fetch_count, access_count;
    uint8_t joined; /* bits: lines that the same instruction fetches as the one before */
    uint8_t stores; /* bits: accesses that are */
    uint8_t size[SEGMENT_ACCESSES];
    struct fetch {
        uint64_t line;
        uint64_t *newest; /* of its set */
    } fetches[SEGMENT_LINES];
    struct segment *next; /* of the same translation */
    uint64_t site;        /* of one that is run up to a store: the instruction that stores */
} __attribute__((aligned(SEGMENT_ALIGNMENT)));

enum segment_end { END_PLAIN, END_CONDITIONAL, END_INDIRECT };

/* "NAME=SIZE,WAYS": l1i, l1d, l2, l3 (bytes; 0: no such level), tlb and itlb (entries);
 * "line=SIZE"; of the branch predictor "outcomes=ENTRIES", "targets=ENTRIES" and "history=0" or 1.
 */
bool machine_option(const char *text);
/* After all options: `used` has a bit for each counter of enum tally_raw that is wanted. */
void machine_init(uint64_t used);

uint64_t *machine_fetch_newest(uint64_t line);

/* The function to call for a segment: segment, its addresses, then the outcome unless plain. */
void *machine_run_function(unsigned accesses, enum segment_end end);
void machine_run_plain(const struct segment *segment, const uint64_t *addresses);

/* An access of any size that is not part of a segment. */
void machine_access(uint64_t address, uint64_t size, uint64_t is_store);

/* Around work that leaves no trace in caches and predictor, though it is counted. */
void machine_set_aside(void);
void machine_take_up(void);

/* The data from `start` to `end` take no other's place in a cache: a line of theirs misses once, in
 * all levels. None of it was touched yet. `which` is below MACHINE_APART. */
enum { MACHINE_APART = 3 };
void machine_keep_apart(unsigned which, uint64_t start, uint64_t end);

/* When the interpreter is ready: branch predictor and TLBs begin anew. */
void machine_begin_program(void);

/* Adds to `cell` what was counted since the last close. */
static inline void machine_close(struct counts *cell)
{
    for (int i = 0; i < TALLY_RAW_LANES; i++) {
        cell->raw[i] += (uint64_t)(int64_t)(machine_run.count[i] - machine_closed.count[i]);
        machine_closed.count[i] = machine_run.count[i];
    }
}

/* After a close, now and then: adds to the totals, so that the lanes do not run over. */
static inline void machine_settle(void)
{
    for (int i = 0; i < TALLY_RAW_LANES; i++) {
        machine_totals.raw[i] += (uint64_t)(int64_t)machine_run.count[i];
        machine_run.count[i] = machine_closed.count[i] = 0;
    }
}

#endif
