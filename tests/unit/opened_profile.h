/*
 * A recording made by hand, written, opened and viewed; for tests of what its numbers become.
 */
#ifndef TALLY_TESTS_OPENED_PROFILE_H
#define TALLY_TESTS_OPENED_PROFILE_H

#include "fake_recording.h"
#include "profile/profile.h"
#include "profile/view.h"

#define MAIN "/home/user/program.py"
#define JSON "/usr/lib/python3.11/json/decoder.py"

struct opened {
    struct tally_recording *recording;
    struct tally_profile *profile;
    struct tally_view view;
};

/* main (1) of MAIN calls load (2) of JSON at line 3 and itself again at line 5. Period 1. */
struct fake_image *start(struct fake_recording **fake, uint64_t total);

/* close_profile() releases both. */
void open_profile(struct opened *opened, struct fake_recording *fake, enum tally_view_kind kind);
void close_profile(struct opened *opened, struct fake_recording *fake);
void view_by(struct opened *opened, enum tally_view_kind kind);
/* Writes it anew after a change. */
void view_again(struct opened *opened, struct fake_recording *fake);

/* The row of that function, or in views that have none of that process, thread or module; NULL:
 * there is none. Line 0: any. */
const struct tally_row *find_row(const struct opened *opened, const char *name, uint32_t line);
/* The same; the test fails if there is none. */
const struct tally_row *row_of(const struct opened *opened, const char *name);
/* 0 where there is no such row. */
double self_of(const struct opened *opened, const char *name, size_t event);
double inclusive_of(const struct opened *opened, const char *name); /* of the first event */

/* In every view the rows of each event sum to its total. */
void assert_sums_close(struct opened *opened);

#endif
