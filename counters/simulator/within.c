/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/within.h"

#include "simulator/core.h"
#include "simulator/versions.h"

struct within within;

/* Names */

static bool ends_with(const char *text, uint32_t size, const char *end, uint32_t end_size)
{
    return size >= end_size && !VG_(memcmp)(text + size - end_size, end, end_size);
}

static bool is_argument(const char *file, uint32_t size)
{
    for (Word i = 0; i < VG_(sizeXA)(VG_(args_for_client)); i++) {
        const HChar *argument = *(HChar **)VG_(indexXA)(VG_(args_for_client), i);
        const HChar *slash = VG_(strrchr)(argument, '/');
        const HChar *base = slash ? slash + 1 : argument;
        if (*base && ends_with(file, size, base, (uint32_t)VG_(strlen)(base)))
            return true;
    }
    return false;
}

/* Whether a code object's file is that of the module named by `size` bytes of text. */
static bool is_module(const struct code *code, const char *module, uint32_t size)
{
    static const char package[] = "/__init__";
    const char *file = code->text + code->name_size;
    uint32_t length = code->file_size, i;
    if (size == 8 && !VG_(memcmp)(module, "__main__", 8))
        return length && (file[0] == '<' ? file[1] == 's' : is_argument(file, length));
    if (ends_with(file, length, ".py", 3))
        length -= 3;
    if (ends_with(file, length, package, sizeof(package) - 1))
        length -= sizeof(package) - 1;
    else if (length && file[length - 1] == '>')
        length--;
    for (i = 0; i < size && i < length; i++)
        if (module[size - 1 - i] != file[length - 1 - i] &&
            (module[size - 1 - i] != '.' || file[length - 1 - i] != '/'))
            return false;
    if (i < size)
        return false;
    return i == length || file[length - 1 - i] == '/' || file[length - 1 - i] == ' ';
}

static bool is_named(const struct code *code)
{
    const char *wanted = within.name, *own = code->text;
    uint32_t size = (uint32_t)VG_(strlen)(wanted), own_size = code->name_size;
    if (ends_with(own, own_size, wanted, size))
        return own_size == size || own[own_size - size - 1] == '.';
    return ends_with(wanted, size, own, own_size) && size > own_size + 1 &&
           wanted[size - own_size - 1] == '.' && is_module(code, wanted, size - own_size - 1);
}

/* Lines */

/* Whether a function that the code object makes starts at the line, which then is not its own. The
 * constants are a tuple, whose items start at 24, or from 3.14 on at 32. */
static bool makes_function_at(const struct code *code, uint32_t line)
{
    enum { CODE_CONSTANTS = 24, TUPLE_SIZE = 16, TUPLE_ITEMS = 24, MOST = 1 << 16 };
    uint64_t tuple = guest_word(code->address + CODE_CONSTANTS);
    if (!guest_readable(tuple, TUPLE_ITEMS))
        return false;
    uint64_t count = guest_word(tuple + TUPLE_SIZE) + 1;
    if (count > MOST || !guest_readable(tuple + TUPLE_ITEMS, count * 8))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t item = guest_word(tuple + TUPLE_ITEMS + i * 8);
        struct py_code key;
        if (item % 8 || !guest_readable(item, attribution.layout->code_start) ||
            guest_word(item + 8) != attribution.code_type)
            continue;
        py_code_read(attribution.layout, (const void *)item, &key);
        if (key.first_line == line)
            return true;
    }
    return false;
}

static bool has_line(const struct code *code, uint32_t line)
{
    if (code->key.first_line == line)
        return true;
    for (uint32_t i = 1; i <= code->line_count; i++)
        if (code->lines[i] == line)
            return !makes_function_at(code, line);
    return false;
}

static bool is_at_line(const struct code *code, const char *colon)
{
    uint32_t size = (uint32_t)(colon - within.name);
    const char *file = code->text + code->name_size;
    HChar *end;
    ULong line = VG_(strtoull10)(colon + 1, &end);
    if (*end || !ends_with(file, code->file_size, within.name, size))
        return false;
    return (code->file_size == size || within.name[0] == '/' ||
            file[code->file_size - size - 1] == '/') &&
           has_line(code, (uint32_t)line);
}

bool within_matches(const struct code *code)
{
    if (!within.name)
        return false;
    const char *colon = VG_(strrchr)(within.name, ':');
    return colon ? is_at_line(code, colon) : is_named(code);
}

/* Frames */

void within_watch(const struct thread *thread)
{
    const struct py_layout *layout = attribution.layout;
    within.slots[0] = within.slots[1] = 0;
    if (!layout || !thread->tstate)
        return;
    within.slots[0] = thread->tstate + layout->tstate_frame;
    if (layout->frame_by_cframe && thread->holder)
        within.slots[1] = thread->holder + layout->cframe_frame;
}

static bool is_function(uint64_t frame)
{
    const struct py_layout *layout = attribution.layout;
    if (*(const uint8_t *)(frame + layout->frame_owner) >= layout->owner_foreign)
        return false;
    const struct code *code = codes_find(guest_word(frame + layout->frame_code) & ~UINT64_C(3));
    return code && code->is_within;
}

static uint64_t caller_of(uint64_t frame)
{
    return guest_word(frame + attribution.layout->frame_previous);
}

static bool is_frame(uint64_t frame)
{
    return frame && frame % 8 == 0 && guest_readable(frame, attribution.layout->frame_size);
}

static bool is_behind(uint64_t frame)
{
    enum { DEPTH_MOST = 1 << 20 };
    for (int depth = 0; is_frame(frame) && depth < DEPTH_MOST; depth++) {
        if (is_function(frame))
            return true;
        frame = caller_of(frame);
    }
    return false;
}

/* Neither a call nor a return is another stack of frames (greenlets). What is behind a new frame
 * may not be stored yet, so that is looked at with the store after it. */
bool within_begins(struct thread *thread, uint64_t frame)
{
    uint64_t before = thread->frame;
    bool begins = is_frame(frame) && is_function(frame);
    if (thread->jumped_from && is_frame(before) && caller_of(before) != thread->jumped_from)
        begins |= is_behind(before);
    thread->jumped_from = 0;
    if (before && is_frame(frame) && caller_of(frame) != before &&
        !(is_frame(before) && caller_of(before) == frame))
        thread->jumped_from = before;
    return begins;
}

/* Code */

static IRExpr *assign(IRSB *out, IRType type, IRExpr *value)
{
    IRTemp temp = newIRTemp(out->tyenv, type);
    addStmtToIRSB(out, IRStmt_WrTmp(temp, value));
    return IRExpr_RdTmp(temp);
}

static IRExpr *is_slot(IRSB *out, int slot, IRExpr *address, Int size)
{
    IRExpr *at = IRExpr_Const(IRConst_U64((Addr)&within.slots[slot]));
    IRExpr *watched = assign(out, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, at));
    if (size == 8)
        return assign(out, Ity_I1, IRExpr_Binop(Iop_CmpEQ64, watched, address));
    IRExpr *offset = assign(out, Ity_I64, IRExpr_Binop(Iop_Sub64, watched, address));
    IRExpr *end = IRExpr_Const(IRConst_U64((ULong)size));
    return assign(out, Ity_I1, IRExpr_Binop(Iop_CmpLT64U, offset, end));
}

void within_look(IRSB *out, Addr site, IRExpr *address, Int size)
{
    int slots = attribution.layout->frame_by_cframe ? 2 : 1;
    for (int i = 0; i < slots; i++) {
        IRDirty *call = unsafeIRDirty_0_N(0, "tallystack_look", (void *)attribution_look,
                                          mkIRExprVec_1(IRExpr_Const(IRConst_U64(site))));
        call->guard = is_slot(out, i, address, size);
        addStmtToIRSB(out, IRStmt_Dirty(call));
    }
}
