/*
 * Groups of metrics: events that are counted together, the formulas that make sense of them, and
 * how to read the result. Each is a text file, groups/NAME.group, in this form:
 *
 *   # a comment
 *   SHORT One line that says what the group tells
 *
 *   FOR skl skx                        libpfm4's names of the processors that the following is for;
 *                                      a name with slashes (cpu/slots/) means: where the kernel
 *                                      describes that event; "simulated": with --simulate; without
 *                                      FOR, or with "any": all that no earlier FOR names
 *   EVENTS
 *     cycles = PAPI_TOT_CYC            SYMBOL = EVENT, as -e takes it; [UNIT] follows where it is
 *     busy   = task-clock [ns]         not a count
 *   METRICS
 *     clock rate [GHz] = cycles / busy NAME [UNIT] = FORMULA over the symbols, and `elapsed`
 *
 *   LONG
 *   Prose to the end of the file: what the numbers mean, what is good or bad and why, sources.
 *
 * In which order events stand does not matter, not even for those that the kernel counts only in a
 * group of their own (slots.h).
 *
 * FOR, EVENTS and METRICS may repeat, one variant after the other; the first that fits is used.
 * quantity.h has the units, formula.h the formulas.
 *
 * To add a group: write the file, add it to groups/CMakeLists.txt. The lint test resolves its
 * names for the processors it names, and checks its units. Take PAPI's presets where they say what
 * is meant, so that the group works on many processors, and state in LONG where a formula is from.
 */
#ifndef TALLY_EVENTS_GROUP_H
#define TALLY_EVENTS_GROUP_H

#include "base/buffer.h"
#include "events/formula.h"

struct tally_metric {
    char name[64];
    struct tally_quantity unit;
    struct tally_formula formula; /* over the variant's symbols */
    int line;
};

struct tally_group_event {
    char symbol[32];
    char name[96];
    int line;
};

enum { TALLY_MAX_METRICS = 16 };

struct tally_variant {
    char processors[160]; /* as after FOR; "any" */
    int line;
    int event_count, metric_count;
    struct tally_group_event events[TALLY_MAX_EVENTS];
    struct tally_symbol symbols[TALLY_MAX_EVENTS + 1]; /* of the events, then `elapsed` */
    struct tally_metric metrics[TALLY_MAX_METRICS];
};

struct tally_group {
    char *name, *path;
    char *summary, *description; /* SHORT and LONG */
    int variant_count;
    struct tally_variant **variants;
};

/*
 * Reads a group by name, or by the path of its file (with a slash in it). What is wrong with a file
 * is a sentence that starts with FILE:LINE. The caller ends it with tally_group_free().
 */
int tally_group_load(struct tally_group **out, const char *name);
void tally_group_free(struct tally_group *group);

/* The folder of the groups, beside the command as built or installed; NULL, or the caller's. */
char *tally_group_folder(void);

/* Calls `each` with the name of every installed group, in order, until it returns non-zero. */
int tally_group_each(int (*each)(const char *name, void *data), void *data);

/*
 * The first variant for this machine's processor, or for the simulator; NULL with the sentence when
 * there is none.
 */
const struct tally_variant *tally_group_variant(const struct tally_group *group, bool simulated);

/* The variant that has most of the `count` events called `names`, the first of equals. */
const struct tally_variant *tally_group_variant_with(const struct tally_group *group,
                                                     const char *const *names, int count);

/* The events of a variant, as -e takes them. */
void tally_variant_list(const struct tally_variant *variant, struct tally_buffer *out);

/* What the variant's last symbol, `elapsed`, stands for: wall time of the run, in ns. */
int tally_variant_elapsed(const struct tally_variant *variant);

/* A metric's formula with the names of events in place of their symbols. */
void tally_metric_formula(const struct tally_variant *variant, const struct tally_metric *metric,
                          struct tally_buffer *out);

/* The metric's value in its unit; as tally_formula_evaluate(). */
int tally_metric_evaluate(const struct tally_variant *variant, const struct tally_metric *metric,
                          const struct tally_operand *operands, double *out);

#endif
