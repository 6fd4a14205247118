#include "events/quantity.h"

#include "base/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    struct tally_dimension dimension;
    double scale;
    bool takes_prefix;
} words[] = {
    {"%", {0}, 0.01, false},
    {"count", {.count = 1}, 1, true},
    {"B", {.byte = 1}, 1, true},
    {"s", {.second = 1}, 1, true},
    {"J", {.joule = 1}, 1, true},
    {"W", {.joule = 1, .second = -1}, 1, true},
    {"Hz", {.count = 1, .second = -1}, 1, true},
};

static const struct {
    char letter;
    double factor;
} prefixes[] = {{'n', 1e-9}, {'u', 1e-6}, {'m', 1e-3}, {'k', 1e3},
                {'M', 1e6},  {'G', 1e9},  {'T', 1e12}};

bool tally_dimension_equal(struct tally_dimension a, struct tally_dimension b)
{
    return a.count == b.count && a.byte == b.byte && a.second == b.second && a.joule == b.joule;
}

struct tally_dimension tally_dimension_times(struct tally_dimension a, struct tally_dimension b,
                                             int sign)
{
    a.count = (signed char)(a.count + sign * b.count);
    a.byte = (signed char)(a.byte + sign * b.byte);
    a.second = (signed char)(a.second + sign * b.second);
    a.joule = (signed char)(a.joule + sign * b.joule);
    return a;
}

const char *tally_dimension_text(struct tally_dimension dimension)
{
    static _Thread_local char text[96];
    const int powers[] = {dimension.count, dimension.byte, dimension.joule, dimension.second};
    static const char *const names[] = {"count", "B", "J", "s"};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < 4; i++)
        for (int n = powers[i]; n > 0 && used < sizeof(text); n--)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "*" : "",
                                     names[i]);
    if (!used)
        used = (size_t)snprintf(text, sizeof(text), "1");
    for (size_t i = 0; i < 4; i++)
        for (int n = powers[i]; n < 0 && used < sizeof(text); n++)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "/%s", names[i]);
    return text;
}

static bool find_word(const char *text, size_t size, bool has_prefix, struct tally_quantity *out)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].name) != size || strncmp(words[i].name, text, size) != 0 ||
            (has_prefix && !words[i].takes_prefix))
            continue;
        out->dimension = words[i].dimension;
        out->scale = words[i].scale;
        return true;
    }
    return false;
}

static bool parse_word(const char *text, size_t size, struct tally_quantity *out)
{
    *out = (struct tally_quantity){.scale = 1};
    if (size && isdigit((unsigned char)text[0])) {
        char *end;
        out->scale = (double)strtoul(text, &end, 10);
        return end == text + size && out->scale > 0;
    }
    if (find_word(text, size, false, out))
        return true;
    for (size_t i = 0; size && i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (prefixes[i].letter == text[0] && find_word(text + 1, size - 1, true, out)) {
            out->scale *= prefixes[i].factor;
            return true;
        }
    return false;
}

int tally_quantity_parse(struct tally_quantity *out, const char *text, size_t size)
{
    struct tally_quantity found = {.scale = 1}, word;
    int sign = 1;
    if (size >= sizeof(found.text))
        return tally_error("the unit \"%.*s\" is too long", (int)size, text);
    memcpy(found.text, text, size);
    for (const char *at = found.text;;) {
        size_t length = strcspn(at, "*/");
        if (!parse_word(at, length, &word))
            return tally_error("there is no unit \"%s\"", found.text);
        found.dimension = tally_dimension_times(found.dimension, word.dimension, sign);
        found.scale = sign > 0 ? found.scale * word.scale : found.scale / word.scale;
        if (!at[length])
            break;
        sign = at[length] == '*' ? 1 : -1;
        at += length + 1;
    }
    *out = found;
    return 0;
}

struct tally_quantity tally_quantity_of_event(enum tally_unit unit)
{
    struct tally_quantity found = {0};
    const char *name = unit == TALLY_UNIT_BYTE ? "B" : tally_unit_name(unit);
    tally_quantity_parse(&found, name, strlen(name));
    return found;
}
