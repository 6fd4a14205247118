/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Python line a count belongs to.
 *
 * The interpreter keeps the frame it runs in its thread state and the instruction it is at in the
 * frame. Stores to these slots are seen by the code that instrument.c adds; each closes the open
 * tally into the cell of the line that ran until then. A shadow of the thread's stack of frames
 * gives the call path; wherever it does not fit the frames' own chain, the chain is right.
 *
 * A cell's counts are shared out to the C functions whose code ran (natives.h).
 *
 * Cells form the tree of call paths of a thread: a context is a code object called from a cell (a
 * line of the caller), and has one cell for each of its lines that ran.
 */
#ifndef TALLY_SIMULATOR_ATTRIBUTION_H
#define TALLY_SIMULATOR_ATTRIBUTION_H

#include "python/layout.h"
#include "simulator/codes.h"
#include "simulator/machine.h"
#include "simulator/natives.h"

#include <stdbool.h>
#include <stdint.h>

/* What one C function did for a cell. */
struct share {
    struct counts counts;
    const struct native *native; /* NULL: nothing yet */
    struct share *next;          /* of the same cell */
};

struct cell {
    struct share first;
    struct context *context;  /* NULL: the root of a thread, outside Python */
    struct context *children; /* the last one called first */
    uint32_t line;            /* number of it in the code object */
    uint32_t node;            /* while an image is written */
};

struct context {
    struct context *next; /* of the same caller */
    struct cell *caller;
    struct code *code;
    struct cell *cells[]; /* by number of the line; NULL: did not run */
};

struct level {
    uint64_t frame;
    struct context *context;
    uint32_t line;
};

/* A thread state that another one of the thread took the place of, for a time: a subinterpreter's.
 */
struct outer {
    uint64_t tstate;
    uint32_t base;
};
enum { OUTERS = 8 };

struct thread {
    uint64_t tstate; /* 0: none */
    uint64_t holder; /* what has the slot of the current frame: the thread state or its cframe */
    uint64_t frame;  /* in that slot when last seen */
    uint32_t looks_left;   /* while its thread state is being looked for */
    bool is_pending;       /* `frame` is not on the shadow stack yet */
    uint64_t uncounted_ip; /* of a generator that may not run: 0, or its call is not counted yet */
    struct level *levels;
    uint32_t depth, room;
    uint32_t base; /* the levels below it are of outer thread states */
    struct outer outers[OUTERS];
    uint32_t outer_count;
    uint64_t tstates[OUTERS]; /* among which `tstate` is to be chosen at each look */
    uint32_t tstate_count;    /* 0: it is not */
    uint64_t jumped_from;     /* outside of --within: frame before, if this one was no call of it */
    uint32_t within; /* levels up to the first that is the function of --within; 0: none is */
    struct cell *root;
    struct cell **cells; /* all of them; a parent comes before its children */
    uint32_t cell_count, cell_room;
    uint32_t tid; /* as the kernel numbers it */
};

struct attribution {
    const struct py_layout *layout; /* NULL: no interpreter */
    uint32_t version;               /* PY_VERSION_HEX */
    uint64_t code_type;
    uint64_t text_start, text_end; /* of the interpreter's object */
    uint64_t runtime;
    struct thread *thread;       /* that runs; never NULL after the first */
    struct cell *cell;           /* that the open tally belongs to */
    const struct native *native; /* whose code it is */
    struct thread **threads;     /* every thread that ever ran */
    uint32_t thread_count;
    bool has_folded; /* call paths were too many to tell all apart */
};

extern struct attribution attribution;

/* Nonzero where a watched slot may be: by (address / 8) modulo the size. */
enum { WATCH_SIZE = 4096 };
extern uint8_t attribution_watched[WATCH_SIZE];

/* What the open tally's line holds as long as it runs: most stores to watched slots stay in it. */
struct stay {
    const uint64_t *holder_slot, *frame_slot, *ip_slot; /* NULL: look closer at each store */
    uint64_t holder, frame;
    uint64_t code_start; /* address of the first instruction */
    const uint32_t *line_of;
    uint32_t unit_count, line;
};
extern struct stay attribution_stay;

/* A store hit a slot that may be watched: whether another line may run now. */
static inline bool attribution_moves(void)
{
    const struct stay *stay = &attribution_stay;
    if (!stay->ip_slot || *stay->frame_slot != stay->frame || *stay->holder_slot != stay->holder)
        return true;
    uint64_t unit = (*stay->ip_slot - stay->code_start) / 2;
    return unit >= stay->unit_count || stay->line_of[unit] != stay->line;
}

/* Then: finds which, and closes the tally if it is another. `site` is the instruction that stored.
 */
void attribution_look(uint64_t site);

struct thread *attribution_new_thread(uint32_t tid);
void attribution_run_thread(struct thread *thread);
/* Ends the open tally, keeping the current cell. */
void attribution_close(void);
/* The same; code of another C function runs from here on. */
void attribution_enter_native(const struct native *native);
void attribution_set_tstate(uint64_t tstate);
/* Looks for the thread state of a thread that will soon have one, or one more, where the
 * interpreter does not bind it by a call that agent/simulated.c sees. */
void attribution_search(void);
/* Sets all counts back; in the child of a fork, and after an image was written. */
void attribution_reset(void);

bool guest_readable(uint64_t address, uint64_t size);

static inline uint64_t guest_word(uint64_t address)
{
    return *(const uint64_t *)address;
}

#endif
