/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A translation is cut into segments: at each exit, where four accesses have come together, and at
 * its end. What a segment counts is known when it is translated, so that its instructions cost
 * nothing one by one: one call for a segment, or, where neither caches nor branches are asked for,
 * one addition.
 *
 * In the interpreter's code each store of a pointer is followed by a look whether its slot may be
 * watched. A hit closes the tally in the middle of a segment: the part before it is run at once,
 * and taken off again, since the whole segment will add it once more. The caches do not mind: what
 * they are asked for a second time they have.
 */
#include "simulator/instrument.h"

#include "simulator/attribution.h"
#include "simulator/image.h"
#include "simulator/versions.h"
#include "simulator/within.h"

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

/* Segments of a translation, so that they can be freed with it. */
struct translation {
    struct translation *next;
    Addr address;
    struct segment *first;
};

enum { TRANSLATIONS = 1 << 14 };
static struct translation *translations[TRANSLATIONS];

static struct translation **bucket_of(Addr address)
{
    return &translations[(address ^ address >> 14) % TRANSLATIONS];
}

static void keep_segments(Addr address, struct segment *first)
{
    if (!first)
        return;
    struct translation *translation = VG_(malloc)("tallystack.translation", sizeof(*translation));
    struct translation **bucket = bucket_of(address);
    *translation = (struct translation){*bucket, address, first};
    *bucket = translation;
}

void instrument_discard(Addr address, VexGuestExtents extents)
{
    (void)extents;
    for (struct translation **at = bucket_of(address); *at; at = &(*at)->next) {
        struct translation *translation = *at;
        if (translation->address != address)
            continue;
        while (translation->first) {
            struct segment *next = translation->first->next;
            VG_(free)(translation->first);
            translation->first = next;
        }
        *at = translation->next;
        VG_(free)(translation);
        return;
    }
}

/* Small parts */

static IRExpr *number(ULong value)
{
    return IRExpr_Const(IRConst_U64(value));
}

static IRExpr *pointer(const void *address)
{
    return number((ULong)address);
}

static void add(struct builder *builder, IRStmt *statement)
{
    addStmtToIRSB(builder->out, statement);
}

static IRExpr *assign(struct builder *builder, IRType type, IRExpr *value)
{
    IRTemp temp = newIRTemp(builder->out->tyenv, type);
    add(builder, IRStmt_WrTmp(temp, value));
    return IRExpr_RdTmp(temp);
}

static bool is_simulating(void)
{
    return machine.has_fetches || machine.has_accesses || machine.has_branches;
}

/* Segments */

static struct segment *keep_segment(struct builder *builder)
{
    struct segment *segment = VG_(malloc)("tallystack.segment", sizeof(*segment));
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

static IRExpr **arguments_of(const struct builder *builder, const struct segment *segment,
                             IRExpr *outcome)
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

/* Ends the open segment and begins another. */
static void end_segment(struct builder *builder, enum segment_end end, IRExpr *outcome)
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

static bool fetch_line(struct builder *builder, uint64_t line, bool is_joined)
{
    if (builder->has_line && builder->last_line == line)
        return false;
    if (builder->open.fetch_count == SEGMENT_LINES)
        end_segment(builder, END_PLAIN, NULL);
    unsigned at = builder->open.fetch_count++;
    builder->open.fetches[at].line = line;
    builder->open.fetches[at].newest = machine_fetch_newest(line);
    builder->open.fetches[at].is_joined = is_joined;
    builder->has_line = true;
    builder->last_line = line;
    return true;
}

/* Code of another function may begin where a translation does, and where it follows a jump. */
static void enter_native(struct builder *builder, Addr address)
{
    const struct native *native = natives_find(address);
    if (native == builder->native)
        return;
    end_segment(builder, END_PLAIN, NULL);
    builder->native = native;
    IRExpr *running =
        assign(builder, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, pointer(&attribution.native)));
    IRDirty *call = unsafeIRDirty_0_N(0, "tallystack_native", (void *)attribution_enter_native,
                                      mkIRExprVec_1(pointer(native)));
    call->guard = assign(builder, Ity_I1, IRExpr_Binop(Iop_CmpNE64, running, pointer(native)));
    add(builder, IRStmt_Dirty(call));
}

static void begin_instruction(struct builder *builder, const IRStmt *mark)
{
    Addr address = mark->Ist.IMark.addr;
    UInt length = mark->Ist.IMark.len;
    /* Jumps and calls to a known address are followed by the translator without a trace. */
    if (builder->length && builder->address + builder->length != address &&
        !builder->has_conditional)
        builder->open.lanes.count[TALLY_RAW_BRANCHES]++;
    if (!builder->length || builder->address + builder->length != address)
        enter_native(builder, address);
    builder->address = address;
    builder->length = length;
    builder->has_conditional = false;
    if (machine.has_fetches && length) {
        bool is_new = fetch_line(builder, address >> machine.line_shift, false);
        fetch_line(builder, (address + length - 1) >> machine.line_shift, is_new);
    }
    builder->open.lanes.count[TALLY_RAW_INSTRUCTIONS]++;
}

/* Accesses */

static void access(struct builder *builder, IRExpr *address, Int size, bool is_store)
{
    struct segment *open = &builder->open;
    if (machine.has_accesses) {
        if (open->access_count == SEGMENT_ACCESSES)
            end_segment(builder, END_PLAIN, NULL);
        unsigned at = open->access_count++;
        open->size[at] = (uint8_t)size;
        open->is_store[at] = is_store;
        builder->addresses[at] = address;
    }
    open->lanes.count[is_store ? TALLY_RAW_STORES : TALLY_RAW_LOADS]++;
}

static void guarded_access(uint64_t address, uint64_t size, uint64_t is_store)
{
    machine_run.count[is_store ? TALLY_RAW_STORES : TALLY_RAW_LOADS]++;
    if (machine.has_accesses)
        machine_access(address, size, is_store);
}

/* One that may not happen, or is larger than a line; after what came before it. */
static void odd_access(struct builder *builder, IRExpr *address, Int size, bool is_store,
                       IRExpr *guard)
{
    end_segment(builder, END_PLAIN, NULL);
    IRDirty *call =
        unsafeIRDirty_0_N(0, "tallystack_access", (void *)guarded_access,
                          mkIRExprVec_3(address, number((ULong)size), number(is_store)));
    if (guard)
        call->guard = guard;
    add(builder, IRStmt_Dirty(call));
}

/* Watched slots */

static void hit(const struct segment *before, const uint64_t *addresses)
{
    if (!attribution_moves())
        return;
    machine_run_plain(before, addresses);
    attribution_look(before->site);
    for (int i = 0; i < TALLY_RAW_LANES; i++)
        machine_run.count[i] -= before->lanes.count[i];
}

static void hit0(const struct segment *before)
{
    hit(before, NULL);
}

static void hit1(const struct segment *before, uint64_t a)
{
    hit(before, (const uint64_t[]){a});
}

static void hit2(const struct segment *before, uint64_t a, uint64_t b)
{
    hit(before, (const uint64_t[]){a, b});
}

static void hit3(const struct segment *before, uint64_t a, uint64_t b, uint64_t c)
{
    hit(before, (const uint64_t[]){a, b, c});
}

static void hit4(const struct segment *before, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    hit(before, (const uint64_t[]){a, b, c, d});
}

static IRExpr *mark_of(struct builder *builder, IRExpr *address, ULong offset)
{
    IRExpr *at = address;
    if (offset)
        at = assign(builder, Ity_I64, IRExpr_Binop(Iop_Add64, at, number(offset)));
    at = assign(builder, Ity_I64, IRExpr_Binop(Iop_Shr64, at, IRExpr_Const(IRConst_U8(3))));
    at = assign(builder, Ity_I64, IRExpr_Binop(Iop_And64, at, number(WATCH_SIZE - 1)));
    at = assign(builder, Ity_I64, IRExpr_Binop(Iop_Add64, at, pointer(attribution_watched)));
    return assign(builder, Ity_I8, IRExpr_Load(Iend_LE, Ity_I8, at));
}

/* After a store of `size` bytes: whether it was to a watched slot. */
static void look(struct builder *builder, IRExpr *address, Int size)
{
    static void *const functions[] = {(void *)hit0, (void *)hit1, (void *)hit2, (void *)hit3,
                                      (void *)hit4};
    bool is_stack = address->tag == Iex_RdTmp && builder->is_stack[address->Iex.RdTmp.tmp];
    if (!builder->is_watched || size < 8 || (is_stack && !attribution.layout->frame_by_cframe))
        return;
    if (!builder->is_counted) {
        within_look(builder->out, builder->address, address, size);
        return;
    }
    IRExpr *mark = mark_of(builder, address, 0);
    for (Int offset = 8; offset < size; offset += 8) {
        IRExpr *another = mark_of(builder, address, (ULong)offset);
        mark = assign(builder, Ity_I8, IRExpr_Binop(Iop_Or8, mark, another));
    }
    IRExpr *guard =
        assign(builder, Ity_I1, IRExpr_Binop(Iop_CmpNE8, mark, IRExpr_Const(IRConst_U8(0))));
    struct segment *before = keep_segment(builder);
    before->site = builder->address;
    IRDirty *call = unsafeIRDirty_0_N(0, "tallystack_hit", functions[before->access_count],
                                      arguments_of(builder, before, NULL));
    call->guard = guard;
    add(builder, IRStmt_Dirty(call));
}

/* Branches */

/* x86's repeated string instructions, which the translator makes loops of. */
static bool is_repeated(Addr address)
{
#if defined(VGA_amd64)
    const uint8_t *code = (const uint8_t *)address;
    if (code[0] != 0xf2 && code[0] != 0xf3)
        return false;
    do
        code++;
    while ((*code & 0xf0) == 0x40 || *code == 0x66 || *code == 0xf2 || *code == 0xf3);
    return (*code >= 0xa4 && *code <= 0xa7) || (*code >= 0xaa && *code <= 0xaf);
#else
    (void)address;
    return false;
#endif
}

/* A conditional branch of the program, not an exit that the translator needs for its own ends. */
static bool is_conditional(const struct builder *builder, const IRStmt *exit, Addr target)
{
    return exit->Ist.Exit.jk == Ijk_Boring && target != builder->address &&
           !is_repeated(builder->address);
}

static bool is_fatal(IRJumpKind kind)
{
    return kind == Ijk_SigILL || kind == Ijk_SigTRAP || kind == Ijk_SigSEGV || kind == Ijk_SigBUS ||
           kind == Ijk_SigFPE || kind == Ijk_SigFPE_IntDiv || kind == Ijk_SigFPE_IntOvf;
}

static void conditional(struct builder *builder, const IRStmt *exit, Addr target)
{
    struct segment *open = &builder->open;
    builder->has_conditional = true;
    open->lanes.count[TALLY_RAW_BRANCHES]++;
    open->lanes.count[TALLY_RAW_CONDITIONAL]++;
    open->branch = builder->address;
    if (!machine.has_branches) {
        end_segment(builder, END_PLAIN, NULL);
        return;
    }
    /* The translator may have turned the branch round. */
    IRExpr *taken = exit->Ist.Exit.guard;
    if (target == builder->address + builder->length)
        taken = assign(builder, Ity_I1, IRExpr_Unop(Iop_Not1, taken));
    taken = assign(builder, Ity_I64, IRExpr_Unop(Iop_1Uto64, taken));
    end_segment(builder, END_CONDITIONAL, taken);
}

static void leave(struct builder *builder, const IRStmt *exit)
{
    Addr target = exit->Ist.Exit.dst->Ico.U64;
    if (is_conditional(builder, exit, target))
        conditional(builder, exit, target);
    else if (!is_fatal(exit->Ist.Exit.jk))
        end_segment(builder, END_PLAIN, NULL);
}

static void last_jump(struct builder *builder, const IRSB *in)
{
    struct segment *open = &builder->open;
    bool is_jump = in->jumpkind == Ijk_Boring && in->next->tag == Iex_Const &&
                   in->next->Iex.Const.con->Ico.U64 != builder->address + builder->length &&
                   in->next->Iex.Const.con->Ico.U64 != builder->address &&
                   !builder->has_conditional;
    bool is_indirect =
        (in->jumpkind == Ijk_Boring || in->jumpkind == Ijk_Call) && in->next->tag == Iex_RdTmp;
    if (is_jump || is_indirect || in->jumpkind == Ijk_Call || in->jumpkind == Ijk_Ret)
        open->lanes.count[TALLY_RAW_BRANCHES]++;
    open->branch = builder->address;
    if (is_indirect)
        open->lanes.count[TALLY_RAW_INDIRECT]++;
    if (is_indirect && machine.has_branches)
        end_segment(builder, END_INDIRECT, in->next);
    else
        end_segment(builder, END_PLAIN, NULL);
}

/* Statements */

static void note_stack(struct builder *builder, const IRStmt *statement)
{
    const IRExpr *value = statement->Ist.WrTmp.data;
    bool *is_stack = &builder->is_stack[statement->Ist.WrTmp.tmp];
    if (value->tag == Iex_Get)
        *is_stack = value->Iex.Get.offset == builder->layout->offset_SP;
    else if (value->tag == Iex_RdTmp)
        *is_stack = builder->is_stack[value->Iex.RdTmp.tmp];
    else if (value->tag == Iex_Binop &&
             (value->Iex.Binop.op == Iop_Add64 || value->Iex.Binop.op == Iop_Sub64) &&
             value->Iex.Binop.arg1->tag == Iex_RdTmp && value->Iex.Binop.arg2->tag == Iex_Const)
        *is_stack = builder->is_stack[value->Iex.Binop.arg1->Iex.RdTmp.tmp];
}

static void write_temp(struct builder *builder, IRStmt *statement)
{
    IRExpr *value = statement->Ist.WrTmp.data;
    note_stack(builder, statement);
    if (value->tag == Iex_Load)
        access(builder, value->Iex.Load.addr, sizeofIRType(value->Iex.Load.ty), false);
    add(builder, statement);
}

static void store(struct builder *builder, IRStmt *statement)
{
    IRExpr *address = statement->Ist.Store.addr;
    Int size = sizeofIRType(typeOfIRExpr(builder->out->tyenv, statement->Ist.Store.data));
    access(builder, address, size, true);
    add(builder, statement);
    look(builder, address, size);
}

static void load_guarded(struct builder *builder, IRStmt *statement)
{
    const IRLoadG *load = statement->Ist.LoadG.details;
    IRType loaded, widened;
    typeOfIRLoadGOp(load->cvt, &widened, &loaded);
    odd_access(builder, load->addr, sizeofIRType(loaded), false, load->guard);
    add(builder, statement);
}

static void store_guarded(struct builder *builder, IRStmt *statement)
{
    const IRStoreG *details = statement->Ist.StoreG.details;
    Int size = sizeofIRType(typeOfIRExpr(builder->out->tyenv, details->data));
    odd_access(builder, details->addr, size, true, details->guard);
    add(builder, statement);
    look(builder, details->addr, size);
}

static void compare_and_swap(struct builder *builder, IRStmt *statement)
{
    const IRCAS *cas = statement->Ist.CAS.details;
    Int size = sizeofIRType(typeOfIRExpr(builder->out->tyenv, cas->dataLo));
    if (cas->dataHi)
        size *= 2;
    access(builder, cas->addr, size, false);
    access(builder, cas->addr, size, true);
    add(builder, statement);
    look(builder, cas->addr, size);
}

static void linked(struct builder *builder, IRStmt *statement)
{
    const IRExpr *stored = statement->Ist.LLSC.storedata;
    IRType type = stored ? typeOfIRExpr(builder->out->tyenv, stored)
                         : typeOfIRTemp(builder->out->tyenv, statement->Ist.LLSC.result);
    access(builder, statement->Ist.LLSC.addr, sizeofIRType(type), stored != NULL);
    add(builder, statement);
}

static void dirty(struct builder *builder, IRStmt *statement)
{
    const IRDirty *details = statement->Ist.Dirty.details;
    if (details->mFx == Ifx_Read || details->mFx == Ifx_Modify)
        odd_access(builder, details->mAddr, details->mSize, false, details->guard);
    if (details->mFx == Ifx_Write || details->mFx == Ifx_Modify)
        odd_access(builder, details->mAddr, details->mSize, true, details->guard);
    add(builder, statement);
}

static void note_unknown(void)
{
    image_options.has_unknown = true;
}

/* Where nothing is counted: only stores are looked at. */
static void pass(struct builder *builder, IRStmt *statement)
{
    add(builder, statement);
    if (statement->tag == Ist_IMark) {
        builder->address = statement->Ist.IMark.addr;
    } else if (statement->tag == Ist_WrTmp) {
        note_stack(builder, statement);
    } else if (statement->tag == Ist_Store) {
        IRType type = typeOfIRExpr(builder->out->tyenv, statement->Ist.Store.data);
        look(builder, statement->Ist.Store.addr, sizeofIRType(type));
    }
}

static void take(struct builder *builder, IRStmt *statement)
{
    switch (statement->tag) {
    case Ist_IMark:
        begin_instruction(builder, statement);
        add(builder, statement);
        break;
    case Ist_WrTmp:
        write_temp(builder, statement);
        break;
    case Ist_Store:
        store(builder, statement);
        break;
    case Ist_LoadG:
        load_guarded(builder, statement);
        break;
    case Ist_StoreG:
        store_guarded(builder, statement);
        break;
    case Ist_CAS:
        compare_and_swap(builder, statement);
        break;
    case Ist_LLSC:
        linked(builder, statement);
        break;
    case Ist_Dirty:
        dirty(builder, statement);
        break;
    case Ist_Exit:
        leave(builder, statement);
        add(builder, versions_exit(statement, builder->version));
        break;
    default:
        add(builder, statement);
        break;
    }
}

/* Code that may move the interpreter's pointers: its own, what it makes (JIT), and greenlet's. */
static bool may_move_frames(Addr address)
{
    if (!attribution.layout)
        return false;
    if (address >= attribution.text_start && address < attribution.text_end)
        return true;
    const DebugInfo *object = VG_(find_DebugInfo)(VG_(current_DiEpoch)(), address);
    return !object || VG_(strstr)(VG_(DebugInfo_get_filename)(object), "greenlet");
}

IRSB *instrument(VgCallbackClosure *closure, IRSB *in, const VexGuestLayout *layout,
                 const VexGuestExtents *extents, const VexArchInfo *host, IRType guest_word_type,
                 IRType host_word_type)
{
    struct builder builder = {.out = deepCopyIRSBExceptStmts(in), .layout = layout};
    Int i = 0;
    (void)extents;
    (void)host;
    if (guest_word_type != host_word_type || guest_word_type != Ity_I64)
        VG_(tool_panic)("only 64-bit programs are simulated");
    builder.version = closure->nraddr & VERSION_COUNTED;
    builder.is_counted = !versions_on || builder.version;
    builder.is_watched = may_move_frames(closure->readdr);
    if (versions_on && versions_must_split(in))
        return in;
    if (!builder.is_counted && !builder.is_watched && in->jumpkind != Ijk_NoDecode)
        return in;
    builder.is_stack = VG_(calloc)("tallystack.stack", (SizeT)in->tyenv->types_used, sizeof(bool));
    for (; i < in->stmts_used && in->stmts[i]->tag != Ist_IMark; i++)
        add(&builder, in->stmts[i]);
    if (builder.version)
        add(&builder, IRStmt_Put(layout->offset_IP, number(closure->readdr)));
    for (; i < in->stmts_used; i++)
        builder.is_counted ? take(&builder, in->stmts[i]) : pass(&builder, in->stmts[i]);
    if (builder.is_counted)
        last_jump(&builder, in);
    if (in->jumpkind == Ijk_NoDecode)
        add(&builder, IRStmt_Dirty(unsafeIRDirty_0_N(0, "tallystack_unknown", (void *)note_unknown,
                                                     mkIRExprVec_0())));
    if (versions_on)
        versions_end(builder.out, layout, builder.address, builder.version);
    keep_segments(closure->nraddr, builder.first);
    VG_(free)(builder.is_stack);
    return builder.out;
}
