#include "events/formula.h"

#include "base/error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct tally_formula *out;
    const char *at; /* in out->text */
    const struct tally_symbol *symbols;
    int symbol_count, depth;
};

static int parse_sum(struct parser *parser, struct tally_dimension *dimension);

static void skip_blanks(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at))
        parser->at++;
}

static bool take(struct parser *parser, char letter)
{
    skip_blanks(parser);
    if (*parser->at != letter)
        return false;
    parser->at++;
    return true;
}

static struct tally_operation *emit(struct parser *parser, char kind)
{
    struct tally_formula *out = parser->out;
    if (out->count == TALLY_MAX_OPERATIONS) {
        tally_error("the formula is too long");
        return NULL;
    }
    out->operations[out->count] = (struct tally_operation){.kind = kind};
    return &out->operations[out->count++];
}

static int unexpected(const struct parser *parser)
{
    if (*parser->at)
        return tally_error("\"%s\" is not expected in the formula", parser->at);
    return tally_error("the formula ends too early");
}

static int parse_number(struct parser *parser, struct tally_dimension *dimension)
{
    char *end;
    struct tally_quantity unit = {.scale = 1};
    double number = strtod(parser->at, &end);
    parser->at = end;
    if (*parser->at == '[') {
        size_t size = strcspn(parser->at + 1, "]");
        if (parser->at[1 + size] != ']')
            return tally_error("a \"]\" is missing in the formula");
        if (tally_quantity_parse(&unit, parser->at + 1, size) < 0)
            return TALLY_ERROR;
        parser->at += size + 2;
    }
    struct tally_operation *operation = emit(parser, 'n');
    if (!operation)
        return TALLY_ERROR;
    operation->number = number * unit.scale;
    *dimension = unit.dimension;
    return 0;
}

static int must_be_equal(struct tally_dimension a, struct tally_dimension b, const char *doing)
{
    char left[96];
    if (tally_dimension_equal(a, b))
        return 0;
    snprintf(left, sizeof(left), "%s", tally_dimension_text(a));
    return tally_error("%s and %s cannot be %s", left, tally_dimension_text(b), doing);
}

static int parse_choice(struct parser *parser, char kind, struct tally_dimension *dimension)
{
    struct tally_dimension other = {0};
    if (!take(parser, '('))
        return unexpected(parser);
    if (parse_sum(parser, dimension) < 0)
        return TALLY_ERROR;
    while (take(parser, ','))
        if (parse_sum(parser, &other) < 0 || must_be_equal(*dimension, other, "compared") < 0 ||
            !emit(parser, kind))
            return TALLY_ERROR;
    return take(parser, ')') ? 0 : unexpected(parser);
}

static int parse_name(struct parser *parser, struct tally_dimension *dimension)
{
    size_t size = 0;
    const char *name = parser->at;
    while (isalnum((unsigned char)name[size]) || name[size] == '_')
        size++;
    parser->at += size;
    if (size == 3 && !strncmp(name, "min", size))
        return parse_choice(parser, '<', dimension);
    if (size == 3 && !strncmp(name, "max", size))
        return parse_choice(parser, '>', dimension);
    for (int i = 0; i < parser->symbol_count; i++) {
        const struct tally_symbol *symbol = &parser->symbols[i];
        if (strlen(symbol->name) != size || strncmp(symbol->name, name, size) != 0)
            continue;
        struct tally_operation *operation = emit(parser, 's');
        if (!operation)
            return TALLY_ERROR;
        operation->symbol = i;
        *dimension = symbol->unit.dimension;
        return 0;
    }
    return tally_error("there is no event \"%.*s\" for the formula", (int)size, name);
}

static int parse_factor(struct parser *parser, struct tally_dimension *dimension)
{
    enum { DEEPEST = 32 };
    int result;
    if (++parser->depth > DEEPEST)
        return tally_error("the formula is nested too deep");
    skip_blanks(parser);
    if (take(parser, '-'))
        result = parse_factor(parser, dimension) < 0 || !emit(parser, '~') ? TALLY_ERROR : 0;
    else if (take(parser, '('))
        result = parse_sum(parser, dimension) < 0 ? TALLY_ERROR
                 : take(parser, ')')              ? 0
                                                  : unexpected(parser);
    else if (isdigit((unsigned char)*parser->at))
        result = parse_number(parser, dimension);
    else if (isalpha((unsigned char)*parser->at))
        result = parse_name(parser, dimension);
    else
        result = unexpected(parser);
    parser->depth--;
    return result;
}

static int parse_product(struct parser *parser, struct tally_dimension *dimension)
{
    struct tally_dimension other = {0};
    if (parse_factor(parser, dimension) < 0)
        return TALLY_ERROR;
    for (;;) {
        bool divides = take(parser, '/');
        if (!divides && !take(parser, '*'))
            return 0;
        skip_blanks(parser);
        const char *start = parser->at;
        if (parse_factor(parser, &other) < 0)
            return TALLY_ERROR;
        struct tally_operation *operation = emit(parser, divides ? '/' : '*');
        if (!operation)
            return TALLY_ERROR;
        operation->text = (unsigned char)(start - parser->out->text);
        operation->size = (unsigned char)(parser->at - start);
        *dimension = tally_dimension_times(*dimension, other, divides ? -1 : 1);
    }
}

static int parse_sum(struct parser *parser, struct tally_dimension *dimension)
{
    struct tally_dimension other = {0};
    if (parse_product(parser, dimension) < 0)
        return TALLY_ERROR;
    for (;;) {
        bool adds = take(parser, '+');
        if (!adds && !take(parser, '-'))
            return 0;
        if (parse_product(parser, &other) < 0 ||
            must_be_equal(*dimension, other, adds ? "added" : "subtracted") < 0 ||
            !emit(parser, adds ? '+' : '-'))
            return TALLY_ERROR;
    }
}

int tally_formula_parse(struct tally_formula *out, const char *text,
                        const struct tally_symbol *symbols, int count)
{
    struct tally_formula found = {0};
    struct parser parser = {.out = &found, .symbols = symbols, .symbol_count = count};
    if (strlen(text) >= sizeof(found.text))
        return tally_error("the formula is longer than %zu characters", sizeof(found.text) - 1);
    snprintf(found.text, sizeof(found.text), "%s", text);
    parser.at = found.text;
    if (parse_sum(&parser, &found.dimension) < 0)
        return TALLY_ERROR;
    skip_blanks(&parser);
    if (*parser.at)
        return unexpected(&parser);
    *out = found;
    return 0;
}

bool tally_formula_uses(const struct tally_formula *formula, int symbol)
{
    for (int i = 0; i < formula->count; i++)
        if (formula->operations[i].kind == 's' && formula->operations[i].symbol == symbol)
            return true;
    return false;
}

static double apply(char kind, double a, double b)
{
    switch (kind) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    case '/':
        return a / b;
    case '<':
        return fmin(a, b);
    default:
        return fmax(a, b);
    }
}

/* Takes the operands of an operation off the stack and puts its result there. */
static int operate(const struct tally_formula *formula, const struct tally_operation *operation,
                   double *stack, int *depth)
{
    if (operation->kind == '~') {
        stack[*depth - 1] *= -1;
        return 0;
    }
    if (operation->kind == '/' && stack[*depth - 1] == 0)
        return tally_error("its divisor, %.*s, is 0.", operation->size,
                           formula->text + operation->text);
    stack[*depth - 2] = apply(operation->kind, stack[*depth - 2], stack[*depth - 1]);
    --*depth;
    return 0;
}

int tally_formula_evaluate(const struct tally_formula *formula, const struct tally_symbol *symbols,
                           const struct tally_operand *operands, double *out)
{
    double stack[TALLY_MAX_OPERATIONS] = {0};
    int depth = 0;
    for (int i = 0; i < formula->count; i++) {
        const struct tally_operation *operation = &formula->operations[i];
        if (operation->kind == 'n') {
            stack[depth++] = operation->number;
        } else if (operation->kind == 's') {
            const struct tally_operand *operand = &operands[operation->symbol];
            if (operand->missing)
                return tally_error("%s", operand->missing);
            stack[depth++] = operand->value * symbols[operation->symbol].unit.scale;
        } else if (operate(formula, operation, stack, &depth) < 0) {
            return TALLY_ERROR;
        }
    }
    *out = stack[0];
    return 0;
}
