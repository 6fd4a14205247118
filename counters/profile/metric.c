#include "profile/metric.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct spread {
    double up, down; /* sums of squares */
    bool is_up_known, is_down_known;
};

/* Adds what one end of a count's interval does to the metric. */
static void add_end(const struct tally_variant *variant, const struct tally_metric *metric,
                    struct tally_operand *operand, const struct tally_operand *operands, double end,
                    double value, struct spread *spread)
{
    const double middle = operand->value;
    double moved = value;
    operand->value = end;
    if (tally_metric_evaluate(variant, metric, operands, &moved) < 0) {
        /* A divisor reaches 0: there is no bound on the side to which the metric goes. */
        operand->value = end + (middle - end) / 1000;
        bool is_known = tally_metric_evaluate(variant, metric, operands, &moved) == 0;
        spread->is_up_known &= is_known && moved <= value;
        spread->is_down_known &= is_known && moved >= value;
    } else {
        *(moved > value ? &spread->up : &spread->down) += (moved - value) * (moved - value);
    }
    operand->value = middle;
}

static void add_count(const struct tally_variant *variant, const struct tally_metric *metric,
                      struct tally_operand *operands, int symbol,
                      const struct tally_measured *measured, double value, struct spread *spread)
{
    if (!measured->has_interval)
        spread->is_up_known = spread->is_down_known = false;
    if (!measured->has_interval || measured->low == measured->high)
        return;
    add_end(variant, metric, &operands[symbol], operands, measured->low, value, spread);
    add_end(variant, metric, &operands[symbol], operands, measured->high, value, spread);
}

void tally_metric_measure(const struct tally_variant *variant, const struct tally_metric *metric,
                          const struct tally_measured *measured, struct tally_metric_value *out)
{
    struct tally_operand operands[TALLY_MAX_EVENTS + 1];
    struct spread spread = {.is_up_known = true, .is_down_known = true};
    *out = (struct tally_metric_value){.is_exact = true};
    for (int i = 0; i <= variant->event_count; i++)
        operands[i] = (struct tally_operand){measured[i].value, measured[i].missing};
    if (tally_metric_evaluate(variant, metric, operands, &out->value) < 0) {
        snprintf(out->why, sizeof(out->why), "%s", tally_error_text());
        return;
    }
    out->has_value = true;
    for (int i = 0; i <= variant->event_count; i++) {
        const struct tally_measured *count = &measured[i];
        if (!tally_formula_uses(&metric->formula, i))
            continue;
        add_count(variant, metric, operands, i, count, out->value, &spread);
        out->is_exact &= count->is_exact;
        if (!count->is_exact && (!out->samples || count->samples < out->samples))
            out->samples = count->samples;
    }
    out->has_low = spread.is_down_known;
    out->has_high = spread.is_up_known;
    out->low = out->value - sqrt(spread.down);
    out->high = out->value + sqrt(spread.up);
}
