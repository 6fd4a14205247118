/* Names near to a mistyped one, by edit distance. */
#ifndef TALLY_EVENTS_NEAREST_H
#define TALLY_EVENTS_NEAREST_H

#include "base/buffer.h"

enum { TALLY_NEAREST = 3, TALLY_NEAREST_SIZE = 96 };

/* A search: set `wanted`, consider every name there is, print. */
struct tally_nearest {
    const char *wanted;
    int distance[TALLY_NEAREST];
    char name[TALLY_NEAREST][TALLY_NEAREST_SIZE];
    int found;
};

void tally_nearest_consider(struct tally_nearest *search, const char *name);

/* Appends what was found, the nearest first, as "a, b, c"; returns how many. */
int tally_nearest_print(const struct tally_nearest *search, struct tally_buffer *out);

#endif
