/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each statement of a translation adds to the open segment (segments.h).
 *
 * In the interpreter's code each store of a pointer is followed by a look whether its slot may be
 * watched. A hit closes the tally in the middle of a segment: the part before it is run at once,
 * and taken off again, since the whole segment will add it once more. The caches do not mind: what
 * they are asked for a second time they have.
 */
#include "simulator/instrument.h"

#include "simulator/attribution.h"
#include "simulator/image.h"
#include "simulator/segments.h"
#include "simulator/unknown.h"
#include "simulator/versions.h"
#include "simulator/within.h"

/* Before 3.12 nothing tells that a thread goes to the state that it has in another interpreter. */
static void note_interpreter(void)
{
    enum { FIRST_TOLD = 0x030c };
    if (attribution.layout && attribution.layout->version < FIRST_TOLD)
        image_options.has_interpreters = true;
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
    if (native->makes_interpreter)
        add(builder, IRStmt_Dirty(unsafeIRDirty_0_N(0, "tallystack_interpreter",
                                                    (void *)note_interpreter, mkIRExprVec_0())));
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
        open->stores |= (uint8_t)(is_store << at);
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

void instrument_discard(Addr address, VexGuestExtents extents)
{
    (void)extents;
    discard_segments(address);
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
        add(&builder, IRStmt_Dirty(unsafeIRDirty_0_N(0, "tallystack_unknown", (void *)unknown_note,
                                                     mkIRExprVec_1(number(builder.address)))));
    if (versions_on)
        versions_end(builder.out, layout, builder.address, builder.version);
    keep_segments(closure->nraddr, builder.first);
    VG_(free)(builder.is_stack);
    return builder.out;
}
