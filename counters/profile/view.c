#include "profile/view.h"

#include "base/buffer.h"
#include "profile/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

const char *const tally_view_names[TALLY_VIEW_KINDS] = {"function", "line",    "module",
                                                        "thread",   "process", "native"};

/* What makes two things one row; unused members are 0. Compared as bytes. */
struct row_key {
    const void *a, *b, *c;
    uint64_t number;
};

struct row {
    struct row_key key;
    struct tally_row shown;
    struct tally_value *values;
    double *inclusive;
    uint32_t seen_by; /* the last path walked that counted it in: one time however it recurs */
    UT_hash_handle hh;
};

struct maker {
    enum tally_view_kind kind;
    const struct tally_profile *profile;
    struct tally_symbols *symbols;
    struct row *rows;
    struct row **of_path; /* row of each path, where the view is by path; NULL: not yet known */
};

static struct row_key key_of_path(const struct maker *maker, uint32_t path_index)
{
    const struct tally_path *path = &maker->profile->paths[path_index];
    const struct tally_function *function = &maker->profile->functions[path->function];
    switch (maker->kind) {
    case TALLY_VIEW_LINE:
    case TALLY_VIEW_NATIVE:
        return (struct row_key){function, NULL, NULL, path->line};
    case TALLY_VIEW_MODULE:
        if (tally_function_is_special(function))
            return (struct row_key){function, NULL, NULL, 0};
        return (struct row_key){function->module, NULL, NULL, 1};
    default:
        return (struct row_key){function, NULL, NULL, 0};
    }
}

static void describe_path(const struct maker *maker, struct tally_row *row, uint32_t path_index)
{
    const struct tally_path *path = &maker->profile->paths[path_index];
    const struct tally_function *function = &maker->profile->functions[path->function];
    if (maker->kind == TALLY_VIEW_MODULE) {
        row->module = tally_function_is_special(function) ? function->name : function->module;
        return;
    }
    bool is_line = maker->kind == TALLY_VIEW_LINE || maker->kind == TALLY_VIEW_NATIVE;
    row->module = function->module;
    row->function = function->name;
    row->file = function->file;
    row->line = is_line ? path->line : function->first_line;
}

static struct row *row_at(struct maker *maker, struct row_key key, bool *is_new)
{
    struct row *row;
    HASH_FIND(hh, maker->rows, &key, sizeof(key), row);
    *is_new = !row;
    if (row)
        return row;
    size_t events = maker->profile->event_count;
    row = tally_alloc_zeroed(1, sizeof(*row));
    row->key = key;
    row->values = tally_alloc_zeroed(events, sizeof(*row->values));
    row->inclusive = tally_alloc_zeroed(events, sizeof(*row->inclusive));
    HASH_ADD(hh, maker->rows, key, sizeof(key), row);
    return row;
}

static struct row *row_of_path(struct maker *maker, uint32_t path)
{
    if (!maker->of_path[path]) {
        bool is_new;
        maker->of_path[path] = row_at(maker, key_of_path(maker, path), &is_new);
        if (is_new)
            describe_path(maker, &maker->of_path[path]->shown, path);
    }
    return maker->of_path[path];
}

static struct row *row_of_cell(struct maker *maker, const struct tally_cell *cell)
{
    const struct tally_profile_thread *thread = &maker->profile->threads[cell->thread];
    const struct tally_process *process = &maker->profile->processes[thread->process];
    const struct tally_path *path = &maker->profile->paths[cell->path];
    const struct tally_function *function = &maker->profile->functions[path->function];
    struct row_key key;
    struct row *row;
    bool is_new;
    bool is_nobody = process->pid == 0 || !strcmp(function->name, "[no agent]");
    if (maker->kind == TALLY_VIEW_THREAD || maker->kind == TALLY_VIEW_PROCESS) {
        bool by_thread = maker->kind == TALLY_VIEW_THREAD;
        key = (struct row_key){is_nobody ? NULL : process, by_thread && !is_nobody ? thread : NULL,
                               is_nobody ? function : NULL, 0};
        row = row_at(maker, key, &is_new);
        row->shown.process = is_nobody ? function->name : process->name;
        if (by_thread)
            row->shown.thread = is_nobody ? "" : thread->name;
        return row;
    }
    if (maker->kind != TALLY_VIEW_NATIVE)
        return row_of_path(maker, cell->path);
    key = key_of_path(maker, cell->path);
    const char *name = cell->pc ? tally_symbols_name(maker->symbols, cell->image, cell->pc) : "";
    key.b = name;
    row = row_at(maker, key, &is_new);
    row->shown.native = name;
    if (is_new)
        describe_path(maker, &row->shown, cell->path);
    return row;
}

static double amount_of(const struct tally_value *value)
{
    return value->sampled + value->exact;
}

static void add_inclusive(struct maker *maker, struct row *row, const struct tally_value *values,
                          uint32_t mark)
{
    if (row->seen_by == mark)
        return;
    row->seen_by = mark;
    for (size_t i = 0; i < maker->profile->event_count; i++)
        row->inclusive[i] += amount_of(&values[i]);
}

static void add_cell(struct maker *maker, size_t index)
{
    size_t events = maker->profile->event_count;
    const struct tally_cell *cell = &maker->profile->cells[index];
    const struct tally_value *values = &maker->profile->values[index * events];
    struct row *row = row_of_cell(maker, cell);
    uint32_t mark = (uint32_t)index + 1;
    for (size_t i = 0; i < events; i++) {
        row->values[i].sampled += values[i].sampled;
        row->values[i].squares += values[i].squares;
        row->values[i].exact += values[i].exact;
        row->values[i].samples += values[i].samples;
    }
    add_inclusive(maker, row, values, mark);
    if (maker->kind != TALLY_VIEW_FUNCTION && maker->kind != TALLY_VIEW_LINE &&
        maker->kind != TALLY_VIEW_MODULE)
        return;
    for (uint32_t path = maker->profile->paths[cell->path].parent; path != TALLY_NO_PATH;
         path = maker->profile->paths[path].parent)
        add_inclusive(maker, row_of_path(maker, path), values, mark);
}

/* What may be another row's though it is in the one of ends, or the other way round. */
static double unfinished_of(const struct maker *maker, const struct row *row, size_t event,
                            bool *is_ends)
{
    const char *name = maker->kind == TALLY_VIEW_MODULE ? row->shown.module : row->shown.function;
    *is_ends = name && !strcmp(name, "[start-up and exit]");
    bool is_apart = maker->kind != TALLY_VIEW_PROCESS && maker->kind != TALLY_VIEW_THREAD;
    return is_apart ? maker->profile->unfinished[event] : 0;
}

static void finish_row(const struct maker *maker, const struct row *row,
                       struct tally_row_value *out)
{
    const struct tally_value *pools =
        maker->profile->pools ? maker->profile->pools : maker->profile->totals;
    for (size_t i = 0; i < maker->profile->event_count; i++) {
        const struct tally_run_event *event = &maker->profile->run->events[i];
        const struct tally_value *value = &row->values[i];
        out[i] = (struct tally_row_value){.self = amount_of(value),
                                          .inclusive = row->inclusive[i],
                                          .low = amount_of(value),
                                          .high = amount_of(value),
                                          .samples = value->samples};
        bool is_read = event->event.read_only;
        bool is_count = !is_read && !value->samples && value->exact != 0; /* of a bracketed row */
        bool is_ends = false;
        double unfinished = is_read ? 0 : unfinished_of(maker, row, i, &is_ends);
        double lost = is_count ? 0 : maker->profile->lost[i];
        out[i].is_exact =
            is_count ? unfinished <= 0 || !is_ends : tally_run_is_exact(event) && lost <= 0;
        out[i].has_interval = !is_read;
        if (!is_read && !tally_run_is_exact(event) && !is_count)
            tally_interval(value, &pools[i], &out[i].low, &out[i].high);
        if (unfinished > 0 && is_ends)
            out[i].low = fmax(0, out[i].low - unfinished);
        else if (!is_count)
            lost += unfinished;
        /* All that is lost may have been this row's. */
        out[i].high =
            fmin(out[i].high + lost, fmax(amount_of(&maker->profile->totals[i]), out[i].high));
    }
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static size_t sort_event, sort_events; /* the one to sort by; how many there are */

static int by_event(const struct tally_row_value *left, const struct tally_row_value *right)
{
    if (left->self != right->self)
        return left->self > right->self ? -1 : 1;
    if (left->inclusive != right->inclusive)
        return left->inclusive > right->inclusive ? -1 : 1;
    return 0;
}

/* Rows that are equal in the event follow by the others in their order, then by name. */
static int by_value(const void *a, const void *b)
{
    const struct tally_row *left = a, *right = b;
    int order = by_event(&left->values[sort_event], &right->values[sort_event]);
    for (size_t i = 0; !order && i < sort_events; i++)
        order = by_event(&left->values[i], &right->values[i]);
    if (!order)
        order = strcmp(text_or_empty(left->file), text_or_empty(right->file));
    if (!order)
        order = left->line < right->line ? -1 : left->line > right->line;
    if (!order)
        order = strcmp(text_or_empty(left->function), text_or_empty(right->function));
    if (!order)
        order = strcmp(text_or_empty(left->native), text_or_empty(right->native));
    if (!order)
        order = strcmp(text_or_empty(left->module), text_or_empty(right->module));
    return order ? order : strcmp(text_or_empty(left->thread), text_or_empty(right->thread));
}

void tally_view_make(struct tally_view *view, enum tally_view_kind kind,
                     const struct tally_profile *profile, struct tally_symbols *symbols, int sort)
{
    struct maker maker = {.kind = kind, .profile = profile, .symbols = symbols};
    maker.of_path = tally_alloc_zeroed(profile->path_count, sizeof(*maker.of_path));
    for (size_t i = 0; i < profile->cell_count; i++)
        add_cell(&maker, i);
    free(maker.of_path);
    size_t count = HASH_COUNT(maker.rows), at = 0;
    *view = (struct tally_view){.kind = kind, .profile = profile, .row_count = count};
    view->rows = tally_alloc_zeroed(count, sizeof(*view->rows));
    view->values = tally_alloc_zeroed(count * profile->event_count, sizeof(*view->values));
    struct row *row = maker.rows, *next;
    HASH_CLEAR(hh, maker.rows);
    for (; row; row = next) {
        next = row->hh.next;
        row->shown.values = &view->values[at * profile->event_count];
        finish_row(&maker, row, row->shown.values);
        view->rows[at++] = row->shown;
        free(row->values);
        free(row->inclusive);
        free(row);
    }
    sort_event = (size_t)sort;
    sort_events = profile->event_count;
    if (count)
        qsort(view->rows, count, sizeof(*view->rows), by_value);
}

void tally_view_release(struct tally_view *view)
{
    free(view->rows);
    free(view->values);
    *view = (struct tally_view){0};
}

double tally_profile_total(const struct tally_profile *profile, int event)
{
    return amount_of(&profile->totals[event]);
}
