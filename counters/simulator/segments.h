/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A translation is cut into segments: at each exit, where four accesses have come together, and at
 * its end. What a segment counts is known when it is translated, so that its instructions cost
 * nothing one by one: one call for a segment, or, where neither caches nor branches are asked for,
 * one addition.
 */
#ifndef TALLY_SIMULATOR_SEGMENTS_H
#define TALLY_SIMULATOR_SEGMENTS_H

#include "simulator/core.h"
#include "simulator/machine.h"
#include "simulator/natives.h"

/* A translation in the making. */
struct builder {
    IRSB *out;
    const VexGuestLayout *layout;
    struct segment *first; /* all of the translation */
    struct segment open;
    IRExpr *addresses[SEGMENT_ACCESSES];
    uint64_t last_line; /* fetched last */
    bool has_line;
    bool is_watched;             /* the interpreter's code */
    bool is_counted;             /* else only looked at for the function of --within to begin */
    uint64_t version;            /* of the code that is made */
    Addr address;                /* of the instruction */
    UInt length;                 /* of it */
    bool has_conditional;        /* it has a conditional branch */
    const struct native *native; /* whose code the instruction is */
    bool *is_stack;              /* temporaries that are the stack pointer plus a constant */
};

/* A copy of the open segment that lives as long as its translation. */
struct segment *keep_segment(struct builder *builder);
/* What a call for the segment is given: it, its accesses' addresses, and `outcome` unless NULL. */
IRExpr **arguments_of(const struct builder *builder, const struct segment *segment,
                      IRExpr *outcome);
/* Ends the open segment and begins another. */
void end_segment(struct builder *builder, enum segment_end end, IRExpr *outcome);
/* Whether the line was not the last one fetched. */
bool fetch_line(struct builder *builder, uint64_t line, bool is_joined);
/* Takes the segments of the translation of `address` over, until it is discarded. */
void keep_segments(Addr address, struct segment *first);
void discard_segments(Addr address);

/* Parts of the code that is made. */
static inline IRExpr *number(ULong value)
{
    return IRExpr_Const(IRConst_U64(value));
}

static inline IRExpr *pointer(const void *address)
{
    return number((ULong)address);
}

static inline void add(struct builder *builder, IRStmt *statement)
{
    addStmtToIRSB(builder->out, statement);
}

static inline IRExpr *assign(struct builder *builder, IRType type, IRExpr *value)
{
    IRTemp temp = newIRTemp(builder->out->tyenv, type);
    add(builder, IRStmt_WrTmp(temp, value));
    return IRExpr_RdTmp(temp);
}

#endif
