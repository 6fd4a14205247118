/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/cells.h"

#include "simulator/core.h"

/* Call paths beyond this many are folded: recursion over several lines has exponentially many. */
enum { CONTEXT_MOST = 1 << 18 };

static uint32_t context_count;

struct cell *cells_new(struct thread *thread, struct context *context, uint32_t line)
{
    struct cell *cell = VG_(calloc)("tallystack.cell", 1, sizeof(*cell));
    cell->context = context;
    cell->line = line;
    if (thread->cell_count == thread->cell_room) {
        thread->cell_room = thread->cell_room ? thread->cell_room * 2 : 64;
        thread->cells = VG_(realloc)("tallystack.cells", thread->cells,
                                     thread->cell_room * sizeof(*thread->cells));
    }
    thread->cells[thread->cell_count++] = cell;
    return cell;
}

/* Of too many call paths: where this code object was called before on the way here. */
static struct context *fold(struct cell *caller, const struct code *code)
{
    for (struct context *context = caller->context; context; context = context->caller->context)
        if (context->code == code)
            return context;
    return NULL;
}

struct context *cells_context(struct cell *caller, struct code *code)
{
    struct context **first = &caller->children;
    for (struct context **at = first; *at; at = &(*at)->next) {
        struct context *context = *at;
        if (context->code != code)
            continue;
        *at = context->next;
        context->next = *first;
        *first = context;
        return context;
    }
    struct context *folded = context_count >= CONTEXT_MOST ? fold(caller, code) : NULL;
    if (folded) {
        attribution.has_folded = true;
        return folded;
    }
    context_count++;
    struct context *context =
        VG_(calloc)("tallystack.context", 1,
                    sizeof(*context) + (code->line_count + 1) * sizeof(context->cells[0]));
    context->caller = caller;
    context->code = code;
    context->next = *first;
    *first = context;
    return context;
}

struct counts *cells_other_counts(struct cell *cell)
{
    struct share *first = &cell->first, *share;
    if (!first->native) {
        first->native = attribution.native;
        return &first->counts;
    }
    for (struct share **at = &first->next; (share = *at); at = &share->next) {
        if (share->native != attribution.native)
            continue;
        *at = share->next;
        share->next = first->next;
        first->next = share;
        return &share->counts;
    }
    share = VG_(calloc)("tallystack.share", 1, sizeof(*share));
    share->native = attribution.native;
    share->next = first->next;
    first->next = share;
    return &share->counts;
}

void cells_clear(struct cell *cell)
{
    for (struct share *share = &cell->first; share; share = share->next)
        VG_(memset)(&share->counts, 0, sizeof(share->counts));
}
