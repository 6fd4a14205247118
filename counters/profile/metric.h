/*
 * Metrics of a row of a view, with the intervals of its counts carried through their formula.
 *
 * The counts of a row are sampled independently of each other. Each in turn is put at the ends of
 * its 95 % interval, the others at their values, and the changes of the metric are added in
 * quadrature, upwards and downwards apart:
 *
 *   high = f + sqrt(sum over the counts i of max(0, f(.. at an end of i ..) - f)^2)
 *
 * and so for low. For a sum this is the method of variance estimates recovery (G. Y. Zou and A.
 * Donner, "Construction of confidence limits about effect measures: a general approach", Statistics
 * in Medicine 27, 2008), which keeps intervals that are not symmetric; for other formulas it is
 * Kragten's numerical propagation of uncertainty (J. Kragten, The Analyst 119, 1994), which agrees
 * with the Guide to the expression of uncertainty in measurement (JCGM 100:2008, 5.1.2) to first
 * order.
 */
#ifndef TALLY_PROFILE_METRIC_H
#define TALLY_PROFILE_METRIC_H

#include "events/group.h"

#include <stdbool.h>
#include <stdint.h>

/* What a symbol stands for in one row, in the symbol's unit. */
struct tally_measured {
    double value, low, high;
    bool has_interval;   /* false: no statement about how sure it is */
    const char *missing; /* borrowed reason; NULL when there is a value */
    uint64_t samples;
    bool is_exact;
};

/* In the metric's unit. */
struct tally_metric_value {
    bool has_value, has_low, has_high;
    double value, low, high;
    uint64_t samples; /* the least over the counts that were sampled; 0 when none was */
    bool is_exact;
    char why[256]; /* there is no value */
};

/* `measured` has one for each symbol of the variant. */
void tally_metric_measure(const struct tally_variant *variant, const struct tally_metric *metric,
                          const struct tally_measured *measured, struct tally_metric_value *out);

#endif
