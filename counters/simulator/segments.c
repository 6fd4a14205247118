/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/segments.h"

/* Segments of a translation, so that they can be freed with it. */
struct translation {
    struct translation *next;
    Addr address;
    struct segment *first;
};

enum { TRANSLATIONS = 1 << 14 };
static struct translation *translations[TRANSLATIONS];
static struct segment *unused;

static struct translation **bucket_of(Addr address)
{
    return &translations[(address ^ address >> 14) % TRANSLATIONS];
}

void keep_segments(Addr address, struct segment *first)
{
    if (!first)
        return;
    struct translation *translation = VG_(malloc)("tallystack.translation", sizeof(*translation));
    struct translation **bucket = bucket_of(address);
    *translation = (struct translation){*bucket, address, first};
    *bucket = translation;
}

void discard_segments(Addr address)
{
    for (struct translation **at = bucket_of(address); *at; at = &(*at)->next) {
        struct translation *translation = *at;
        if (translation->address != address)
            continue;
        while (translation->first) {
            struct segment *next = translation->first->next;
            translation->first->next = unused;
            unused = translation->first;
            translation->first = next;
        }
        *at = translation->next;
        VG_(free)(translation);
        return;
    }
}

/* Many at once, which are kept: Valgrind aligns to less. */
static struct segment *new_segment(void)
{
    enum { MANY = 256 };
    if (!unused) {
        Addr room = (Addr)VG_(malloc)("tallystack.segment",
                                      MANY * sizeof(struct segment) + SEGMENT_ALIGNMENT);
        struct segment *segments = (struct segment *)VG_ROUNDUP(room, (Addr)SEGMENT_ALIGNMENT);
        for (unsigned i = 0; i < MANY; i++) {
            segments[i].next = unused;
            unused = &segments[i];
        }
    }
    struct segment *segment = unused;
    unused = segment->next;
    return segment;
}

static bool is_simulating(void)
{
    return machine.has_fetches || machine.has_accesses || machine.has_branches;
}

struct segment *keep_segment(struct builder *builder)
{
    struct segment *segment = new_segment();
    *segment = builder->open;
    segment->next = builder->first;
    builder->first = segment;
    return segment;
}

/* Without caches and branches: adds what the segment counts. */
static void add_lanes(struct builder *builder)
{
    const struct lanes *lanes = &builder->open.lanes;
    bool is_only_instructions = true;
    for (int i = 1; i < TALLY_RAW_LANES; i++)
        is_only_instructions &= lanes->count[i] == 0;
    if (is_only_instructions) {
        IRExpr *at = pointer(&machine_run.count[0]);
        IRExpr *old = assign(builder, Ity_I32, IRExpr_Load(Iend_LE, Ity_I32, at));
        IRExpr *more = IRExpr_Const(IRConst_U32((UInt)lanes->count[0]));
        IRExpr *sum = assign(builder, Ity_I32, IRExpr_Binop(Iop_Add32, old, more));
        add(builder, IRStmt_Store(Iend_LE, at, sum));
        return;
    }
    const struct segment *segment = keep_segment(builder);
    for (int half = 0; half < TALLY_RAW_LANES; half += 4) {
        const int32_t *count = &lanes->count[half];
        if (!(count[0] | count[1] | count[2] | count[3]))
            continue;
        IRExpr *at = pointer(&machine_run.count[half]);
        IRExpr *old = assign(builder, Ity_V128, IRExpr_Load(Iend_LE, Ity_V128, at));
        IRExpr *more = assign(builder, Ity_V128,
                              IRExpr_Load(Iend_LE, Ity_V128, pointer(&segment->lanes.count[half])));
        IRExpr *sum = assign(builder, Ity_V128, IRExpr_Binop(Iop_Add32x4, old, more));
        add(builder, IRStmt_Store(Iend_LE, at, sum));
    }
}

IRExpr **arguments_of(const struct builder *builder, const struct segment *segment, IRExpr *outcome)
{
    IRExpr *arguments[SEGMENT_ACCESSES + 2];
    unsigned count = 0;
    arguments[count++] = pointer(segment);
    for (unsigned i = 0; i < segment->access_count; i++)
        arguments[count++] = builder->addresses[i];
    if (outcome)
        arguments[count++] = outcome;
    switch (count) {
    case 1:
        return mkIRExprVec_1(arguments[0]);
    case 2:
        return mkIRExprVec_2(arguments[0], arguments[1]);
    case 3:
        return mkIRExprVec_3(arguments[0], arguments[1], arguments[2]);
    case 4:
        return mkIRExprVec_4(arguments[0], arguments[1], arguments[2], arguments[3]);
    case 5:
        return mkIRExprVec_5(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
    default:
        return mkIRExprVec_6(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                             arguments[5]);
    }
}

static void call_run(struct builder *builder, enum segment_end end, IRExpr *outcome)
{
    struct segment *segment = keep_segment(builder);
    void *function = machine_run_function(segment->access_count, end);
    add(builder, IRStmt_Dirty(unsafeIRDirty_0_N(0, "tallystack_segment", function,
                                                arguments_of(builder, segment, outcome))));
}

void end_segment(struct builder *builder, enum segment_end end, IRExpr *outcome)
{
    struct segment *open = &builder->open;
    bool is_empty = true;
    for (int i = 0; i < TALLY_RAW_LANES; i++)
        is_empty &= open->lanes.count[i] == 0;
    if (is_empty && !open->fetch_count && !open->access_count && end == END_PLAIN)
        return;
    if (is_simulating())
        call_run(builder, end, outcome);
    else
        add_lanes(builder);
    VG_(memset)(open, 0, sizeof(*open));
}

bool fetch_line(struct builder *builder, uint64_t line, bool is_joined)
{
    if (builder->has_line && builder->last_line == line)
        return false;
    if (builder->open.fetch_count == SEGMENT_LINES)
        end_segment(builder, END_PLAIN, NULL);
    unsigned at = builder->open.fetch_count++;
    builder->open.fetches[at].line = line;
    builder->open.fetches[at].newest = machine_fetch_newest(line);
    builder->open.joined |= (uint8_t)(is_joined << at);
    builder->has_line = true;
    builder->last_line = line;
    return true;
}
