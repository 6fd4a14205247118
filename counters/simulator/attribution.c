/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/attribution.h"

#include "simulator/begin.h"
#include "simulator/cells.h"
#include "simulator/core.h"
#include "simulator/tstates.h"
#include "simulator/versions.h"
#include "simulator/within.h"

struct attribution attribution;
uint8_t attribution_watched[WATCH_SIZE];
struct stay attribution_stay;

enum { OWNER_GENERATOR = 1 };

bool guest_readable(uint64_t address, uint64_t size)
{
    return VG_(am_is_valid_for_client)(address, size, VKI_PROT_READ);
}

/* The open tally */

void attribution_close(void)
{
    machine_close(cells_counts(attribution.cell));
}

void attribution_enter_native(const struct native *native)
{
    attribution_close();
    attribution.native = native;
    machine_cell = cells_counts(attribution.cell);
}

static void go_to(struct cell *cell)
{
    if (cell == attribution.cell)
        return;
    attribution_close();
    attribution.cell = cell;
    machine_cell = cells_counts(cell);
}

/* After each change of thread, frame or line. */
static void note_stay(const struct thread *thread)
{
    const struct py_layout *layout = attribution.layout;
    struct stay *stay = &attribution_stay;
    stay->ip_slot = NULL;
    if (!layout || !thread->tstate || thread->is_pending || !thread->depth || thread->looks_left ||
        thread->tstate_count || !thread->holder || thread->uncounted_ip)
        return;
    const struct level *top = &thread->levels[thread->depth - 1];
    const struct code *code = top->context->code;
    if (top->frame != thread->frame)
        return;
    uint16_t offset = layout->frame_by_cframe ? layout->cframe_frame : layout->tstate_frame;
    stay->frame_slot = (const uint64_t *)(thread->holder + offset);
    stay->frame = thread->frame;
    stay->holder_slot = stay->frame_slot;
    stay->holder = thread->frame;
    if (layout->frame_by_cframe) {
        stay->holder_slot = (const uint64_t *)(thread->tstate + layout->tstate_frame);
        stay->holder = thread->holder;
    }
    stay->code_start = code->address + layout->code_start;
    stay->line_of = code->line_of;
    stay->unit_count = code->unit_count;
    stay->line = top->line;
    stay->ip_slot = (const uint64_t *)(thread->frame + layout->frame_ip);
}

static struct cell *top_cell(struct thread *thread)
{
    if (thread->depth == 0)
        return thread->root;
    const struct level *top = &thread->levels[thread->depth - 1];
    return cells_of(top->context, top->line);
}

/* What runs outside the function of --within is not the top's. */
static struct cell *counted_cell(struct thread *thread)
{
    return within.name && !thread->within ? &within.outside : top_cell(thread);
}

/* Which version of the code is to run; searching for a thread state needs the one that counts. */
static void choose_version(const struct thread *thread)
{
    bool is_counted = thread->within || thread->is_pending || thread->looks_left;
    if (versions_on)
        versions_running = is_counted ? VERSION_COUNTED : 0;
}

static void set_depth(struct thread *thread, uint32_t depth)
{
    thread->depth = depth;
    if (thread->within > depth)
        thread->within = 0;
}

/* Watched slots */

static void mark(uint64_t address, uint8_t value)
{
    attribution_watched[address / 8 % WATCH_SIZE] = value;
}

static void watch(const struct thread *thread, uint8_t value)
{
    const struct py_layout *layout = attribution.layout;
    if (!layout || !thread->tstate)
        return;
    if (thread->frame)
        mark(thread->frame + layout->frame_ip, value);
    mark(thread->tstate + layout->tstate_frame, value);
    for (uint32_t i = 0; i < thread->tstate_count; i++)
        mark(thread->tstates[i] + layout->tstate_frame, value);
    if (layout->frame_by_cframe && thread->holder)
        mark(thread->holder + layout->cframe_frame, value);
}

/* Frames */

static uint64_t frame_word(uint64_t frame, uint16_t offset)
{
    return guest_word(frame + offset);
}

static uint64_t code_address(uint64_t frame)
{
    return frame_word(frame, attribution.layout->frame_code) & ~UINT64_C(3);
}

static uint8_t owner_of(uint64_t frame)
{
    return *(const uint8_t *)(frame + attribution.layout->frame_owner);
}

/* The innermost frame of a Python function from `frame` on outwards; 0 if there is none. */
static uint64_t skip_foreign(uint64_t frame)
{
    while (frame && frame % 8 == 0 && guest_readable(frame, attribution.layout->frame_size)) {
        if (owner_of(frame) < attribution.layout->owner_foreign)
            return frame;
        frame = frame_word(frame, attribution.layout->frame_previous);
    }
    return 0;
}

static bool push(struct thread *thread, uint64_t frame)
{
    struct code *code = codes_find(code_address(frame));
    if (!code)
        return false;
    if (thread->depth == thread->room) {
        thread->room = thread->room ? thread->room * 2 : 256;
        thread->levels = VG_(realloc)("tallystack.levels", thread->levels,
                                      thread->room * sizeof(*thread->levels));
    }
    if (!thread->depth)
        begin_watch(code);
    struct context *context = cells_context(top_cell(thread), code);
    uint32_t line = codes_line(code, frame_word(frame, attribution.layout->frame_ip));
    thread->levels[thread->depth++] = (struct level){frame, context, line};
    if (code->is_within && !thread->within) {
        thread->within = thread->depth;
        within.has_run = true;
    }
    return true;
}

static bool is_level(const struct level *level, uint64_t frame)
{
    return level->frame == frame && level->context->code->address == code_address(frame);
}

/* Cuts the shadow stack behind `frame`; false if it is not on it. */
static bool cut_behind(struct thread *thread, uint64_t frame)
{
    for (uint32_t depth = thread->depth; depth > thread->base; depth--)
        if (is_level(&thread->levels[depth - 1], frame)) {
            set_depth(thread, depth);
            return true;
        }
    return false;
}

/* Makes the shadow stack that of the chain that starts at `frame`. */
static bool rebuild(struct thread *thread, uint64_t frame)
{
    enum { DEPTH_MOST = 1 << 20 };
    uint64_t *chain = NULL;
    uint32_t count = 0, room = 0;
    bool is_whole = true;
    while (frame && !cut_behind(thread, frame) && count < DEPTH_MOST) {
        if (count == room) {
            room = room ? room * 2 : 64;
            chain = VG_(realloc)("tallystack.chain", chain, room * sizeof(*chain));
        }
        chain[count++] = frame;
        frame = skip_foreign(frame_word(frame, attribution.layout->frame_previous));
    }
    if (!frame)
        set_depth(thread, thread->base);
    while (count > 0 && is_whole)
        is_whole = push(thread, chain[--count]);
    VG_(free)(chain);
    return is_whole;
}

/* Whether the interpreter's loop was entered anew for the frame. */
static bool is_entered(const struct thread *thread, uint64_t frame)
{
    const struct py_layout *layout = attribution.layout;
    uint64_t previous = frame_word(frame, layout->frame_previous);
    if (!previous || owner_of(previous) >= layout->owner_foreign)
        return true;
    if (!layout->frame_by_cframe)
        return false;
    uint64_t outer = guest_word(thread->holder + layout->cframe_frame + 8u);
    return outer && guest_word(outer + layout->cframe_frame) == previous;
}

/* A generator's creation is no call. Nor is it one that its frame is the current one while a throw
 * is handed on to what it waits for: it has run only when its instruction is another one. */
static void count_call(struct thread *thread)
{
    const struct level *top = &thread->levels[thread->depth - 1];
    if (top->context->code->is_shim)
        return;
    if (top->context->code->is_generator) {
        if (owner_of(top->frame) != OWNER_GENERATOR)
            return;
        if (!thread->uncounted_ip && !is_entered(thread, top->frame)) {
            thread->uncounted_ip = frame_word(top->frame, attribution.layout->frame_ip);
            return;
        }
    }
    thread->uncounted_ip = 0;
    if (within.name && !thread->within)
        return;
    cells_counts(cells_of(top->context, 0))->raw[TALLY_RAW_CALLS]++;
    machine_totals.raw[TALLY_RAW_CALLS]++;
}

/* Whether `frame` is the caller of the innermost one, or none: a return, which needs no look at the
 * frame's chain. */
static bool follow_return(struct thread *thread, uint64_t frame)
{
    if (!frame)
        set_depth(thread, thread->base);
    else if (thread->depth > thread->base + 1 &&
             is_level(&thread->levels[thread->depth - 2], frame))
        set_depth(thread, thread->depth - 1);
    else
        return false;
    return true;
}

/* Brings the shadow stack to `frame`, which is set up; false if it is no frame after all. */
static bool follow(struct thread *thread, uint64_t frame)
{
    if (follow_return(thread, frame))
        return true;
    bool is_call =
        thread->depth > thread->base && frame_word(frame, attribution.layout->frame_previous) ==
                                            thread->levels[thread->depth - 1].frame;
    if (!is_call && cut_behind(thread, frame))
        return true;
    if (!(is_call ? push(thread, frame) : rebuild(thread, frame)))
        return false;
    count_call(thread);
    return true;
}

/* Also tells what holds it now. */
static uint64_t current_frame(const struct thread *thread, uint64_t *holder)
{
    const struct py_layout *layout = attribution.layout;
    *holder = thread->tstate;
    if (!layout->frame_by_cframe)
        return guest_word(thread->tstate + layout->tstate_frame);
    *holder = guest_word(thread->tstate + layout->tstate_frame);
    /* Left for the one before it, or a new one, whose frame is not stored yet. */
    uint64_t left = thread->holder;
    if (left && *holder != left && thread->frame &&
        guest_word(left + layout->cframe_frame + 8u) != *holder)
        return thread->frame;
    if (!*holder || !guest_readable(*holder, layout->cframe_frame + 8u))
        return 0;
    return guest_word(*holder + layout->cframe_frame);
}

/* The line the innermost frame is at now. */
static void read_line(struct thread *thread)
{
    if (thread->depth == 0)
        return;
    struct level *top = &thread->levels[thread->depth - 1];
    uint64_t ip = frame_word(top->frame, attribution.layout->frame_ip);
    top->line = codes_line(top->context->code, ip);
}

/* A new frame is looked at when the next store is seen: its own fields may not be stored yet. */
static void enter_frame(struct thread *thread, uint64_t frame)
{
    uint64_t own = skip_foreign(frame);
    attribution_close();
    thread->is_pending = !follow_return(thread, own);
    if (!thread->is_pending)
        go_to(counted_cell(thread));
    else if (!thread->depth && own)
        begin_watch(codes_find(code_address(own)));
}

/* What ran while the frame was being set up is its function's, on the def line. */
static void settle(struct thread *thread)
{
    thread->is_pending = !follow(thread, skip_foreign(thread->frame));
    if (thread->is_pending)
        return;
    if (within.name && !thread->within)
        attribution.cell = &within.outside;
    else if (thread->depth)
        attribution.cell = cells_of(thread->levels[thread->depth - 1].context, 0);
    machine_cell = cells_counts(attribution.cell);
    attribution_close();
}

static void search(struct thread *thread);
static bool change_by_choice(struct thread *thread);

static void enter_slot(struct thread *thread, uint64_t holder, uint64_t frame)
{
    uint64_t before = thread->frame;
    watch(thread, 0);
    thread->holder = holder;
    thread->frame = frame;
    watch(thread, 1);
    within_watch(thread);
    if (frame != before) {
        thread->uncounted_ip = 0;
        enter_frame(thread, frame);
    }
}

/* Outside the function of --within: its first frame is waited for. What is known of the stack is
 * old then. */
static void look_outside(struct thread *thread, uint64_t holder, uint64_t frame)
{
    bool begins = frame != thread->frame && within_begins(thread, frame);
    watch(thread, 0);
    thread->holder = holder;
    thread->frame = frame;
    within_watch(thread);
    if (!begins)
        return;
    attribution_close();
    thread->depth = thread->base = thread->outer_count = 0;
    thread->uncounted_ip = 0;
    thread->is_pending = true;
    attribution_stay.ip_slot = NULL;
    watch(thread, 1);
}

void attribution_look(uint64_t site)
{
    struct thread *thread = attribution.thread;
    if (thread->looks_left)
        search(thread);
    if (!attribution.layout || !thread->tstate)
        return;
    if (thread->tstate_count && change_by_choice(thread))
        return;
    uint64_t holder = thread->holder;
    uint64_t frame = current_frame(thread, &holder);
    if (within.name && site && frame != thread->frame)
        versions_note_site(site);
    if (within.name && !thread->within && !thread->is_pending) {
        look_outside(thread, holder, frame);
        choose_version(thread);
        return;
    }
    if (thread->is_pending)
        settle(thread);
    if (frame != thread->frame || holder != thread->holder) {
        enter_slot(thread, holder, frame);
    } else if (!thread->is_pending) {
        if (thread->uncounted_ip &&
            thread->uncounted_ip != frame_word(frame, attribution.layout->frame_ip))
            count_call(thread);
        read_line(thread);
        go_to(counted_cell(thread));
    }
    note_stay(thread);
    choose_version(thread);
}

/* Threads */

struct thread *attribution_new_thread(uint32_t tid)
{
    struct thread *thread = VG_(calloc)("tallystack.thread", 1, sizeof(*thread));
    thread->tid = tid;
    thread->root = cells_new(thread, NULL, 0);
    attribution.threads =
        VG_(realloc)("tallystack.threads", attribution.threads,
                     (attribution.thread_count + 1) * sizeof(*attribution.threads));
    attribution.threads[attribution.thread_count++] = thread;
    return thread;
}

void attribution_run_thread(struct thread *thread)
{
    if (thread == attribution.thread)
        return;
    if (attribution.thread) {
        attribution_close();
        VG_(memset)(attribution_watched, 0, sizeof(attribution_watched));
    }
    attribution.thread = thread;
    attribution.cell = counted_cell(thread);
    machine_cell = cells_counts(attribution.cell);
    if (thread->looks_left)
        VG_(memset)(attribution_watched, 1, sizeof(attribution_watched));
    watch(thread, 1);
    within_watch(thread);
    note_stay(thread);
    choose_version(thread);
}

/* What has frames keeps them until it comes back; those of the next one are called by them. */
static void change_tstate(struct thread *thread, uint64_t tstate)
{
    uint32_t end = thread->base; /* of the frames of the one looked at */
    for (uint32_t i = thread->outer_count; i-- > 0; end = thread->outers[i].base) {
        if (thread->outers[i].tstate != tstate)
            continue;
        thread->base = thread->outers[i].base;
        thread->outer_count = i;
        set_depth(thread, end);
        return;
    }
    if (thread->depth > thread->base && thread->outer_count < OUTERS) {
        thread->outers[thread->outer_count++] = (struct outer){thread->tstate, thread->base};
        thread->base = thread->depth;
    }
    set_depth(thread, thread->base);
}

/* The frame that it has now goes on if it was its innermost one before. */
static void resume(struct thread *thread)
{
    uint64_t frame = current_frame(thread, &thread->holder);
    if (thread->depth > thread->base && is_level(&thread->levels[thread->depth - 1], frame))
        thread->frame = frame;
}

void attribution_set_tstate(uint64_t tstate)
{
    struct thread *thread = attribution.thread;
    attribution_close();
    watch(thread, 0);
    change_tstate(thread, tstate);
    thread->tstate = tstate;
    thread->holder = thread->frame = 0;
    thread->is_pending = false;
    thread->uncounted_ip = 0;
    if (tstate)
        resume(thread);
    watch(thread, 1);
    within_watch(thread);
    go_to(counted_cell(thread));
    note_stay(thread);
    choose_version(thread);
    if (tstate)
        attribution_look(0);
}

/*
 * From 3.15 on a thread state is bound by a thread-local variable. It is in the interpreter's list
 * with the thread's number, which is stored about when it becomes known to the thread. A thread
 * that runs subinterpreters has several: newer interpreters are run by functions of older ones, so
 * that it is in the newest where it has frames.
 */
enum { FIRST_LOCAL = 0x030f, LOOKS_MOST = 100000, LOOKS_FOR_MORE = 500 };

void attribution_search(void)
{
    struct thread *thread = attribution.thread;
    if (!attribution.layout || attribution.layout->version < FIRST_LOCAL)
        return;
    thread->looks_left = thread->tstate ? LOOKS_FOR_MORE : LOOKS_MOST;
    attribution_stay.ip_slot = NULL;
    VG_(memset)(attribution_watched, 1, sizeof(attribution_watched));
    choose_version(thread);
}

static uint64_t list_tstates(struct thread *thread)
{
    uint64_t chosen = 0;
    watch(thread, 0);
    thread->tstate_count = tstates_list(thread->tid, thread->tstates, OUTERS);
    for (uint32_t i = 0; i < thread->tstate_count && !chosen; i++)
        if (skip_foreign(guest_word(thread->tstates[i] + attribution.layout->tstate_frame)))
            chosen = thread->tstates[i];
    if (!chosen && thread->tstate_count)
        chosen = thread->tstates[0];
    if (thread->tstate_count == 1 && chosen == thread->tstate)
        thread->tstate_count = 0;
    watch(thread, 1);
    return chosen;
}

/* Whether it is another one than it was. */
static bool change_by_choice(struct thread *thread)
{
    uint64_t chosen = list_tstates(thread);
    if (!chosen || chosen == thread->tstate)
        return false;
    attribution_set_tstate(chosen);
    return true;
}

static void search(struct thread *thread)
{
    uint64_t chosen = list_tstates(thread);
    bool is_first = chosen && !thread->tstate;
    if (!is_first && --thread->looks_left > 0) {
        VG_(memset)(attribution_watched, 1, sizeof(attribution_watched));
        return;
    }
    thread->looks_left = 0;
    VG_(memset)(attribution_watched, 0, sizeof(attribution_watched));
    watch(thread, 1);
    choose_version(thread);
    if (is_first)
        attribution_set_tstate(chosen);
}

void attribution_reset(void)
{
    for (int i = 0; i < TALLY_RAW_LANES; i++)
        machine_run.count[i] = machine_closed.count[i] = 0;
    VG_(memset)(&machine_totals, 0, sizeof(machine_totals));
    cells_clear(&within.outside);
    for (uint32_t i = 0; i < attribution.thread_count; i++)
        for (uint32_t k = 0; k < attribution.threads[i]->cell_count; k++)
            cells_clear(attribution.threads[i]->cells[k]);
    codes_forget_written();
}
