/*
 * Formulas of metrics: parsed once, checked for their units, evaluated many times.
 *
 *   sum     = product { ("+" | "-") product }
 *   product = factor { ("*" | "/") factor }
 *   factor  = "-" factor | "(" sum ")" | number [ "[" unit "]" ] | name
 *           | ("min" | "max") "(" sum { "," sum } ")"
 *
 * A number without a unit is a pure number. Only what has the same dimension can be added,
 * subtracted or compared: `64[B/count] * misses / elapsed` is B/s, `misses + elapsed` an error.
 */
#ifndef TALLY_EVENTS_FORMULA_H
#define TALLY_EVENTS_FORMULA_H

#include "events/quantity.h"

#include <stddef.h>

enum { TALLY_MAX_OPERATIONS = 48 };

/* What a name in a formula stands for. */
struct tally_symbol {
    const char *name; /* borrowed; a letter, then letters, digits and _ */
    struct tally_quantity unit;
};

struct tally_operation {
    char kind;          /* 'n' number, 's' symbol, + - * / as they are, '~' negation, '<' and '>' */
    unsigned char text; /* of '/': where its divisor is in the formula's text, and its length */
    unsigned char size;
    int symbol;
    double number; /* in base units */
};

/* In reverse Polish order. */
struct tally_formula {
    char text[160];
    struct tally_dimension dimension;
    int count;
    struct tally_operation operations[TALLY_MAX_OPERATIONS];
};

/* 0, or negative with the sentence (without a full stop, to go on after "FILE:LINE: "). */
int tally_formula_parse(struct tally_formula *out, const char *text,
                        const struct tally_symbol *symbols, int count);

bool tally_formula_uses(const struct tally_formula *formula, int symbol);

struct tally_operand {
    double value;        /* in the unit of its symbol */
    const char *missing; /* borrowed reason; NULL when there is a value */
};

/*
 * The value in base units. Where a count that it needs is missing, or a divisor is 0, it returns
 * negative with the reason as the sentence.
 */
int tally_formula_evaluate(const struct tally_formula *formula, const struct tally_symbol *symbols,
                           const struct tally_operand *operands, double *out);

#endif
