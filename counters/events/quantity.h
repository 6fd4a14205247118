/*
 * Units of metrics and what they measure, so that a formula can be checked before it is used.
 *
 * Values are calculated in base units (counts, bytes, seconds, joules); a unit is a dimension and
 * the size of one of it in base units. Texts are products of words, with * and /:
 *
 *   1  %  count  B  s  J  W  Hz  1000     GHz  kB/s  ns  1/1000  B/count
 *
 * where W is J/s, Hz is count/s, % is 1/100, a number is itself, and count, B, s, J, W and Hz take
 * one of the prefixes n u m k M G T in front (powers of 1000).
 */
#ifndef TALLY_EVENTS_QUANTITY_H
#define TALLY_EVENTS_QUANTITY_H

#include "events/event.h"

#include <stdbool.h>
#include <stddef.h>

/* Powers of the base units. */
struct tally_dimension {
    signed char count, byte, second, joule;
};

struct tally_quantity {
    char text[24]; /* as it was written */
    struct tally_dimension dimension;
    double scale; /* one of this unit, in base units */
};

/* Parses the first `size` bytes of `text`; 0, or negative with the sentence. */
int tally_quantity_parse(struct tally_quantity *out, const char *text, size_t size);

/* That of an event's values: "count", "ns", "J". */
struct tally_quantity tally_quantity_of_event(enum tally_unit unit);

bool tally_dimension_equal(struct tally_dimension a, struct tally_dimension b);

/* The dimension of a product (`sign` 1) or of a quotient (-1). */
struct tally_dimension tally_dimension_times(struct tally_dimension a, struct tally_dimension b,
                                             int sign);

/* In base units, as "count/s"; "1" when there are none. Static per thread. */
const char *tally_dimension_text(struct tally_dimension dimension);

#endif
