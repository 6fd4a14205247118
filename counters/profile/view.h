/*
 * Views of a profile: one row per function, line, module, thread, process or native symbol.
 *
 * `self` is what was sampled with the thing innermost, `inclusive` with the thing anywhere on the
 * call path, once however often it recurs.
 */
#ifndef TALLY_PROFILE_VIEW_H
#define TALLY_PROFILE_VIEW_H

#include "profile/profile.h"
#include "profile/symbols.h"

enum tally_view_kind {
    TALLY_VIEW_FUNCTION,
    TALLY_VIEW_LINE,
    TALLY_VIEW_MODULE,
    TALLY_VIEW_THREAD,
    TALLY_VIEW_PROCESS,
    TALLY_VIEW_NATIVE,
    TALLY_VIEW_KINDS,
};

/* "function", "line", ... */
extern const char *const tally_view_names[TALLY_VIEW_KINDS];

struct tally_row_value {
    double self, inclusive;
    double low, high;  /* 95 % interval of self; equal to it where the count is exact */
    bool has_interval; /* false: the event was only read along with another's samples */
    bool is_exact;
    uint64_t samples;
};

struct tally_row { /* what a view does not have is NULL or 0; strings are borrowed */
    const char *process, *thread, *module, *function, *file, *native;
    uint32_t line;
    struct tally_row_value *values; /* one per event */
};

struct tally_view {
    enum tally_view_kind kind;
    const struct tally_profile *profile;
    size_t row_count;
    struct tally_row *rows; /* by self of the event `sort`, the largest first */
    struct tally_row_value *values;
};

/*
 * `symbols` is needed for TALLY_VIEW_NATIVE (with a profile that has addresses), else NULL. Rows
 * are sorted by event number `sort`. The caller ends it with tally_view_release().
 */
void tally_view_make(struct tally_view *view, enum tally_view_kind kind,
                     const struct tally_profile *profile, struct tally_symbols *symbols, int sort);
void tally_view_release(struct tally_view *view);

/* Sum of an event over all rows: its total in the recording. */
double tally_profile_total(const struct tally_profile *profile, int event);

#endif
