#include "profile/interval.h"

#include <math.h>

void tally_interval(const struct tally_value *part, const struct tally_value *total, double *low,
                    double *high)
{
    const double z = 1.959963984540054; /* of the normal distribution, 97.5 % */
    *low = *high = part->exact + part->sampled;
    if (total->squares <= 0 || total->sampled <= 0)
        return;
    double n = total->sampled * total->sampled / total->squares;
    double p = part->sampled / total->sampled;
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    double low_share = p <= 0 ? 0 : fmax(0, middle - half);
    double high_share = p >= 1 ? 1 : fmin(1, middle + half);
    *low = part->exact + low_share * total->sampled;
    *high = part->exact + high_share * total->sampled;
}
