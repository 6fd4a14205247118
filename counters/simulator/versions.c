/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Three functions of the core are wrapped (by the linker, see CMakeLists.txt): the one that tells
 * where the code for an address is, the one that translates, and the one that enters translations.
 */
#include "simulator/versions.h"

#if defined(VGA_amd64)
#include <libvex_guest_amd64.h>
typedef VexGuestAMD64State guest_state;
#define GUEST_IP guest_RIP
#else
#include <libvex_guest_arm64.h>
typedef VexGuestARM64State guest_state;
#define GUEST_IP guest_PC
#endif
#include <libvex_trc_values.h>

bool versions_on;
uint64_t versions_running;

/* Of the core. */
enum { TRC_INNER_FASTMISS = 37 };
extern VexControl vex_control;
Bool VG_(search_transtab)(Addr *host, UShort *sector, UShort *entry, Addr guest, Bool keep);
void VG_(discard_translations)(Addr start, ULong size, const HChar *who);
void VG_(set_IP)(ThreadId id, Addr address);

Addr __real_vgPlain_redir_do_lookup(Addr address, Bool *is_wrap);
Addr __wrap_vgPlain_redir_do_lookup(Addr address, Bool *is_wrap);
VexTranslateResult __real_LibVEX_Translate(VexTranslateArgs *arguments);
VexTranslateResult __wrap_LibVEX_Translate(VexTranslateArgs *arguments);
void __real_vgPlain_disp_run_translations(HWord *result, volatile void *guest, Addr host);
void __wrap_vgPlain_disp_run_translations(HWord *result, volatile void *guest, Addr host);

/* Sites */

enum { SITES = 1 << 10 };
static Addr sites[SITES], new_sites[SITES];
static uint32_t site_count, new_count;
static volatile guest_state *running_state;

static Addr *site_slot(Addr site)
{
    uint32_t at = (uint32_t)(site ^ site >> 10) % SITES;
    while (sites[at] && sites[at] != site)
        at = (at + 1) % SITES;
    return &sites[at];
}

void versions_note_site(Addr site)
{
    Addr *slot = site_slot(site);
    if (*slot || site_count >= SITES / 2)
        return;
    *slot = site;
    site_count++;
    new_sites[new_count++] = site;
    /* Back to the scheduler soon: here the translation may be the one that runs. */
    running_state->host_EvC_COUNTER = 0;
}

static void discard_split(void)
{
    while (new_count > 0)
        VG_(discard_translations)(new_sites[--new_count], 1, "tallystack");
}

/* Of the translation that is being made: how many instructions up to its first site; 0: whole. */
static Int split_at;
static bool is_split;

bool versions_must_split(const IRSB *code)
{
    Int count = 0, first = 0;
    for (Int i = 0; i < code->stmts_used; i++)
        if (code->stmts[i]->tag == Ist_IMark) {
            count++;
            if (!first && *site_slot(code->stmts[i]->Ist.IMark.addr))
                first = count;
        }
    split_at = first < count && !is_split ? first : 0;
    return split_at != 0;
}

VexTranslateResult __wrap_LibVEX_Translate(VexTranslateArgs *arguments)
{
    Int most = vex_control.guest_max_insns;
    split_at = 0;
    is_split = false;
    VexTranslateResult result = __real_LibVEX_Translate(arguments);
    if (!split_at)
        return result;
    is_split = true;
    vex_control.guest_max_insns = split_at;
    result = __real_LibVEX_Translate(arguments);
    vex_control.guest_max_insns = most;
    return result;
}

/* Jumps */

static bool stays_in_code(IRJumpKind kind)
{
    return kind == Ijk_Boring || kind == Ijk_Call || kind == Ijk_Ret;
}

static IRExpr *number(uint64_t value)
{
    return IRExpr_Const(IRConst_U64(value));
}

IRStmt *versions_exit(IRStmt *exit, uint64_t version)
{
    if (!version || !stays_in_code(exit->Ist.Exit.jk))
        return exit;
    return IRStmt_Exit(exit->Ist.Exit.guard, exit->Ist.Exit.jk,
                       IRConst_U64(exit->Ist.Exit.dst->Ico.U64 | version), exit->Ist.Exit.offsIP);
}

static IRExpr *assign(IRSB *code, IRType type, IRExpr *value)
{
    IRTemp temp = newIRTemp(code->tyenv, type);
    addStmtToIRSB(code, IRStmt_WrTmp(temp, value));
    return IRExpr_RdTmp(temp);
}

static IRExpr *running(IRSB *code)
{
    IRExpr *at = number((Addr)&versions_running);
    return assign(code, Ity_I64, IRExpr_Load(Iend_LE, Ity_I64, at));
}

void versions_end(IRSB *code, const VexGuestLayout *layout, Addr last, uint64_t version)
{
    bool is_site = *site_slot(last) != 0;
    if (!stays_in_code(code->jumpkind))
        return;
    if (code->next->tag != Iex_Const) {
        IRExpr *bit = is_site ? running(code) : number(version);
        code->next = assign(code, Ity_I64, IRExpr_Binop(Iop_Or64, code->next, bit));
        return;
    }
    uint64_t target = code->next->Iex.Const.con->Ico.U64;
    if (is_site) {
        IRExpr *changes =
            assign(code, Ity_I1, IRExpr_Binop(Iop_CmpNE64, running(code), number(version)));
        addStmtToIRSB(code, IRStmt_Exit(changes, Ijk_Boring,
                                        IRConst_U64(target | (version ^ VERSION_COUNTED)),
                                        layout->offset_IP));
    }
    code->next = number(target | version);
}

/* The core's side */

Addr __wrap_vgPlain_redir_do_lookup(Addr address, Bool *is_wrap)
{
    return __real_vgPlain_redir_do_lookup(address & ~VERSION_COUNTED, is_wrap);
}

void __wrap_vgPlain_disp_run_translations(HWord *result, volatile void *guest, Addr host)
{
    volatile guest_state *state = guest;
    bool is_stale = new_count > 0 || (state->GUEST_IP & VERSION_COUNTED) != versions_running;
    if (versions_on && is_stale) {
        discard_split();
        state->GUEST_IP = (state->GUEST_IP & ~VERSION_COUNTED) | versions_running;
        if (!VG_(search_transtab)(&host, NULL, NULL, state->GUEST_IP, True)) {
            result[0] = TRC_INNER_FASTMISS;
            return;
        }
    }
    running_state = state;
    __real_vgPlain_disp_run_translations(result, guest, host);
}

void versions_before_signal(ThreadId id, Int signal, Bool has_own_stack)
{
    (void)signal;
    (void)has_own_stack;
    VG_(set_IP)(id, VG_(get_IP)(id) & ~VERSION_COUNTED);
}
