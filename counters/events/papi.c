#include "events/papi.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/libpfm.h"

#include <papi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tally_papi_start(void)
{
    static int result;
    if (result == PAPI_VER_CURRENT)
        return 0;
    /* libpfm4 is initialised by whoever comes first, and only we want its inactive encodings. */
    struct tally_term ignored;
    (void)tally_pfm_encode("perf::PAGE-FAULTS", true, true, &ignored);
    result = PAPI_library_init(PAPI_VER_CURRENT);
    tally_pfm_start_again(); /* PAPI ends libpfm4 where it may not or cannot count with it */
    if (result == PAPI_VER_CURRENT)
        return 0;
    if (result > 0)
        return tally_error("the PAPI library is version %d.%d, another than tallystack was built "
                           "for.",
                           PAPI_VERSION_MAJOR(result), PAPI_VERSION_MINOR(result));
    return tally_error("PAPI cannot start: %s.", PAPI_strerror(result));
}

int tally_papi_component(void)
{
    if (tally_papi_start() < 0)
        return TALLY_ERROR;
    int index = PAPI_get_component_index("perf_event");
    if (index == PAPI_ENOCMP)
        return tally_error("this PAPI was built without its perf_event component.");
    const PAPI_component_info_t *info = PAPI_get_component_info(index < 0 ? 0 : index);
    if (index < 0 || !info || info->disabled)
        return tally_error("PAPI disabled its perf_event component: %s.",
                           info && info->disabled_reason[0] ? info->disabled_reason
                                                            : "no reason given");
    return index;
}

const char *tally_papi_version(void)
{
    static char text[48];
    snprintf(text, sizeof(text), "%d.%d.%d", PAPI_VERSION_MAJOR(PAPI_VERSION),
             PAPI_VERSION_MINOR(PAPI_VERSION), PAPI_VERSION_REVISION(PAPI_VERSION));
    return text;
}

/* A value of the formula: constant + sum of factor[i] * Ni. */
struct linear {
    double constant;
    double factor[TALLY_MAX_TERMS];
    bool has_native;
};

static void scale(struct linear *value, double by)
{
    value->constant *= by;
    for (int i = 0; i < TALLY_MAX_TERMS; i++)
        value->factor[i] *= by;
}

/* a = a OP b; false when the result is no longer linear. */
static bool apply(char operator, struct linear * a, struct linear *b)
{
    switch (operator) {
    case '-':
        scale(b, -1);
        /* fall through */
    case '+':
        a->constant += b->constant;
        for (int i = 0; i < TALLY_MAX_TERMS; i++)
            a->factor[i] += b->factor[i];
        a->has_native |= b->has_native;
        return true;
    case '*':
        if (!b->has_native) {
            scale(a, b->constant);
        } else if (!a->has_native) {
            scale(b, a->constant);
            *a = *b;
        } else {
            return false;
        }
        return true;
    case '/':
        if (b->has_native || b->constant == 0)
            return false;
        scale(a, 1 / b->constant);
        return true;
    default:
        return false;
    }
}

static bool push_operand(const char *token, int count, struct linear *value)
{
    char *end;
    *value = (struct linear){0};
    if (token[0] == 'N') {
        long native = strtol(token + 1, &end, 10);
        if (*end || end == token + 1 || native < 0 || native >= count)
            return false;
        value->factor[native] = 1;
        value->has_native = true;
        return true;
    }
    value->constant = strtod(token, &end);
    return *end == '\0' && end != token;
}

int tally_papi_postfix(const char *formula, int count, double *factors)
{
    struct linear stack[8];
    size_t depth = 0;
    char copy[256], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", formula);
    for (char *token = strsep(&rest, "|"); token; token = strsep(&rest, "|")) {
        bool fine = true;
        if (!*token)
            continue;
        if (strchr("+-*/", token[0]) && !token[1]) {
            fine = depth >= 2 && apply(token[0], &stack[depth - 2], &stack[depth - 1]);
            depth--;
        } else {
            fine = depth < sizeof(stack) / sizeof(stack[0]) &&
                   push_operand(token, count, &stack[depth]);
            depth++;
        }
        if (!fine)
            return tally_error("the formula \"%s\" is not a sum of multiples.", formula);
    }
    if (depth != 1 || stack[0].constant != 0)
        return tally_error("the formula \"%s\" is not a sum of multiples.", formula);
    memcpy(factors, stack[0].factor, (size_t)count * sizeof(*factors));
    return 0;
}

static int derive(const PAPI_event_info_t *info, int count, double *factors)
{
    for (int i = 0; i < count; i++)
        factors[i] = 1;
    if (!strcmp(info->derived, "NOT_DERIVED") || !strcmp(info->derived, "DERIVED_CMPD") ||
        !strcmp(info->derived, "DERIVED_ADD"))
        return 0;
    if (!strcmp(info->derived, "DERIVED_SUB")) {
        for (int i = 1; i < count; i++)
            factors[i] = -1;
        return 0;
    }
    if (!strcmp(info->derived, "DERIVED_POSTFIX"))
        return tally_papi_postfix(info->postfix, count, factors);
    return tally_error("its kind is %s.", info->derived);
}

/* What a preset means on any processor, for those that PAPI does not know. */
static const char *meaning(const char *name)
{
    static const char *const table[][2] = {
        {"PAPI_TOT_CYC", "perf::CYCLES"},     {"PAPI_TOT_INS", "perf::INSTRUCTIONS"},
        {"PAPI_BR_INS", "perf::BRANCHES"},    {"PAPI_BR_MSP", "perf::BRANCH-MISSES"},
        {"PAPI_REF_CYC", "perf::REF-CYCLES"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (!strcmp(table[i][0], name))
            return table[i][1];
    return NULL;
}

int tally_papi_preset(const char *name, bool user, bool kernel, struct tally_event *event)
{
    int code = 0;
    PAPI_event_info_t info;
    double factors[TALLY_MAX_TERMS];
    memset(&info, 0, sizeof(info));
    if (tally_papi_start() < 0)
        return TALLY_ERROR;
    if (PAPI_event_name_to_code(name, &code) != PAPI_OK || !(code & (int)PAPI_PRESET_MASK) ||
        PAPI_get_event_info(code, &info) != PAPI_OK)
        return tally_error_code(TALLY_NOT_FOUND, "unknown event \"%s\".", name);
    event->term_count = 0;
    const char *encoding = meaning(name);
    /* PAPI has them of one core type; the kernel of all. */
    if (info.count == 0 || (encoding && tally_is_hybrid())) {
        if (encoding && tally_pfm_encode(encoding, user, kernel, &event->terms[0]) == 0)
            event->term_count = 1;
        return 0;
    }
    int count = (int)info.count;
    if (count > TALLY_MAX_TERMS || derive(&info, count, factors) < 0)
        return tally_error("\"%s\" cannot be counted as a sum here: PAPI derives it by %s%s%s from "
                           "%d events.",
                           name, info.derived, info.postfix[0] ? " " : "", info.postfix, count);
    for (int i = 0; i < count; i++) {
        struct tally_term *term = &event->terms[i];
        if (tally_pfm_encode(info.name[i], user, kernel, term) < 0)
            return TALLY_ERROR;
        term->factor = factors[i];
    }
    event->term_count = count;
    return 0;
}

int tally_papi_each(int (*each)(const char *name, const char *description, void *data), void *data)
{
    int code = (int)PAPI_PRESET_MASK;
    PAPI_event_info_t info;
    if (tally_papi_start() < 0)
        return TALLY_ERROR;
    if (PAPI_enum_event(&code, PAPI_ENUM_FIRST) != PAPI_OK)
        return 0;
    do {
        memset(&info, 0, sizeof(info));
        if (PAPI_get_event_info(code, &info) != PAPI_OK)
            continue;
        int result = each(info.symbol, info.long_descr, data);
        if (result)
            return result;
    } while (PAPI_enum_event(&code, PAPI_ENUM_EVENTS) == PAPI_OK);
    return 0;
}
