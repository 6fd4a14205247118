/* The metrics of a group for each row of a view, as text and CSV. */
#ifndef TALLY_OUTPUT_REPORT_METRICS_H
#define TALLY_OUTPUT_REPORT_METRICS_H

#include "events/group.h"
#include "profile/view.h"

#include <stdio.h>

/* `limit` rows of the view at most, 0: all; each gives one line per metric. */
void tally_report_metrics_csv(FILE *out, const struct tally_view *view,
                              const struct tally_variant *variant, size_t limit);
void tally_report_metrics_text(FILE *out, const struct tally_view *view,
                               const struct tally_variant *variant, size_t limit);

#endif
