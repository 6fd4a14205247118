#include "events/nearest.h"

#include "events/aliases.h"
#include "events/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = TALLY_NEAREST_SIZE };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours, without regard to case. */
static int edits(const char *a, const char *b)
{
    int rows[3][LONGEST + 1];
    int size_a = (int)strnlen(a, LONGEST), size_b = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= size_b; j++)
        rows[0][j] = j;
    for (int i = 1; i <= size_a; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= size_b; j++) {
            int here = tolower((unsigned char)a[i - 1]), there = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(smaller(row[j - 1], above[j]) + 1, above[j - 1] + (here != there));
            if (i > 1 && j > 1 && here == tolower((unsigned char)b[j - 2]) &&
                there == tolower((unsigned char)a[i - 2]))
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[size_a % 3][size_b];
}

/* As if it were the start of a longer name that was mistyped. */
static int edits_of_start(const char *wanted, const char *name)
{
    char start[LONGEST];
    int size = (int)strnlen(wanted, LONGEST - 2), best = size;
    for (int length = size - 1; length <= size + 1; length++) {
        snprintf(start, sizeof(start), "%.*s", length, name);
        best = smaller(best, edits(wanted, start));
    }
    return best;
}

static int distance(const char *wanted, const char *name)
{
    const char *bare = strstr(name, "::");
    int best = edits(wanted, name);
    if (bare)
        best = smaller(best, edits(wanted, bare + 2) + 1);
    if (strlen(wanted) <= 3)
        return best;
    best = smaller(best, edits_of_start(wanted, name) + 1);
    return strcasestr(name, wanted) ? smaller(best, 2) : best;
}

void tally_nearest_consider(struct tally_nearest *search, const char *name)
{
    int wanted_size = (int)strlen(search->wanted), far = distance(search->wanted, name);
    int limit = wanted_size / 2 > 2 ? wanted_size / 2 : 2;
    int place = search->found;
    while (place > 0 && far < search->distance[place - 1])
        place--;
    if (far > limit || place == TALLY_NEAREST)
        return;
    int moved = smaller(search->found, TALLY_NEAREST - 1) - place;
    memmove(search->name[place + 1], search->name[place], (size_t)moved * LONGEST);
    memmove(&search->distance[place + 1], &search->distance[place],
            (size_t)moved * sizeof(search->distance[0]));
    snprintf(search->name[place], LONGEST, "%s", name);
    search->distance[place] = far;
    search->found = smaller(search->found + 1, TALLY_NEAREST);
}

int tally_nearest_print(const struct tally_nearest *search, struct tally_buffer *out)
{
    for (int i = 0; i < search->found; i++)
        tally_buffer_printf(out, "%s%s", i ? ", " : "", search->name[i]);
    return search->found;
}

static int consider(const char *name, enum tally_catalog_kind kind, const char *description,
                    void *data)
{
    (void)description;
    if (kind != TALLY_CATALOG_NATIVE || strncmp(name, "perf::", 6) != 0 ||
        !tally_alias_find(name + 6))
        tally_nearest_consider(data, name);
    return 0;
}

int tally_catalog_nearest(const char *name, struct tally_buffer *out)
{
    struct tally_nearest search = {.wanted = name};
    tally_catalog_each(TALLY_CATALOG_ALL, consider, &search);
    return tally_nearest_print(&search, out);
}
