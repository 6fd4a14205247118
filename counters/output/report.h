/*
 * Views of a profile as text and CSV.
 *
 * The columns are one table (columns in report.c): name, the views that have it, how it is printed.
 * To add a column, add a line there, and to the manual page.
 */
#ifndef TALLY_OUTPUT_REPORT_H
#define TALLY_OUTPUT_REPORT_H

#include "profile/view.h"
#include "recording/reader.h"

#include <stdio.h>

/* What was run, on what, how it was counted, how far to trust it. */
void tally_report_heading(FILE *out, const struct tally_recording *recording,
                          const struct tally_profile *profile);

/* `limit` rows at most, 0: all. `sort` is the event that the screen shows in full. */
void tally_report_csv(FILE *out, const struct tally_view *view, size_t limit);
void tally_report_text(FILE *out, const struct tally_view *view, size_t limit, int sort);

/* A value with its unit, for people: "1.234 s", "12 345". At least `room` 24 bytes. */
const char *tally_format_value(char *out, size_t room, double value, enum tally_unit unit);

#endif
