/*
 * The table of totals: what `stat` counted, or what a recording holds.
 *
 * Fill rows, let stat_table_metrics() derive what can be derived from them, print them.
 */
#ifndef TALLY_TOOLS_STAT_TABLE_H
#define TALLY_TOOLS_STAT_TABLE_H

#include "events/event.h"

#include <stdbool.h>
#include <stdio.h>

struct stat_row {
    const char *event; /* borrowed, as are unit, source and why */
    const char *unit;  /* "count", "ns", "J" */
    const char *source;
    const char *process;  /* with by_thread: "PID NAME"; NULL: the whole run */
    const char *thread;   /* with by_thread: "TID NAME" */
    const char *why;      /* why it is missing; NULL when not */
    double value;         /* the mean over the runs */
    double deviation;     /* their standard deviation; printed from two runs on */
    double running;       /* 0..1 */
    const char *core;     /* the one core type that it is of, NULL: all there are; borrowed */
    double core_share;    /* of the time, that the program was on cores of that type; 0: unknown */
    int runs;             /* how many there were; 0 when it is missing */
    bool is_machine_wide; /* of all that the machine did meanwhile, not of the program alone */
    bool unproven;        /* its 0 may mean that nothing was counted */
    const struct tally_event *sum; /* its terms are told where they have weights; NULL; borrowed */
    bool is_metric;                /* of a group, not a count: `metric` is its formula */
    char metric[320];              /* set by stat_table_metrics() */
};

struct stat_table {
    FILE *out;
    bool csv;
    bool timed;     /* a first column time_s */
    bool by_thread; /* first columns process and thread */
    double time_s;  /* of the rows that are printed next */
};

/* `elapsed_ns` is the wall time in which the values were counted. */
void stat_table_metrics(struct stat_row *rows, int count, double elapsed_ns);

void stat_table_header(const struct stat_table *table);
void stat_table_rows(const struct stat_table *table, const struct stat_row *rows, int count);

#endif
