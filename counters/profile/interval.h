/*
 * How sure a sampled number is.
 */
#ifndef TALLY_PROFILE_INTERVAL_H
#define TALLY_PROFILE_INTERVAL_H

#include "profile/profile.h"

/*
 * The 95 % interval of a part of a sampled total: Wilson's score interval for a proportion (E. B.
 * Wilson, "Probable inference, the law of succession, and statistical inference", 1927), with
 * (sum w)^2 / sum w^2 as the number of samples where their weights w differ (Kish). What is exact
 * in `part` is added to both ends.
 */
void tally_interval(const struct tally_value *part, const struct tally_value *total, double *low,
                    double *high);

#endif
