/* The metrics of a group from rows of counts, whoever counted them: a run, an interval, a thread, a
 * recording. */
#ifndef TALLY_TOOLS_STAT_METRICS_H
#define TALLY_TOOLS_STAT_METRICS_H

#include "events/group.h"
#include "stat_table.h"

/* A metric's row, with the texts that it borrows. */
struct stat_metric {
    struct stat_row row;
    char source[48];
    char why[1024];
};

/*
 * `rows` has each event of the variant by its name, a missing one with its reason. `elapsed_ns` is
 * the wall time in which they were counted; negative: it means nothing (a simulated run).
 * `metrics` has room for TALLY_MAX_METRICS; returns how many there are.
 */
int stat_metrics(const struct tally_variant *variant, const struct stat_row *rows, int count,
                 double elapsed_ns, struct stat_metric *metrics);

/* Prints them below the rows, of the same process and thread. */
void stat_metrics_print(const struct stat_table *table, const struct tally_variant *variant,
                        const struct stat_row *rows, int count, double elapsed_ns);

/* The row of an event that was not counted. `why` is borrowed. */
struct stat_row stat_missing_row(const struct tally_variant *variant, int event, const char *why);

#endif
