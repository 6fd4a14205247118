#include "base/parse.h"

#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_scaled(const char *text, const char *what, const char *letters, uint64_t base,
                        uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno)
        return tally_error("%s must be a whole number, not \"%s\".", what, text);
    uint64_t factor = 1;
    if (*end) {
        const char *letter = strchr(letters, toupper((unsigned char)*end));
        if (!letter || end[1])
            return tally_error("%s must be a whole number, optionally with one of the letters %s, "
                               "not \"%s\".",
                               what, letters, text);
        for (const char *step = letters; step <= letter; step++)
            factor *= base;
    }
    if (number > UINT64_MAX / factor)
        return tally_error("%s is too large: \"%s\".", what, text);
    *out = number * factor;
    return 0;
}

int tally_parse_count(const char *text, const char *what, uint64_t *out)
{
    return parse_scaled(text, what, "KMG", 1000, out);
}

int tally_parse_size(const char *text, const char *what, uint64_t *out)
{
    return parse_scaled(text, what, "KMGT", 1024, out);
}
