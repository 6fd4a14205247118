/*
 * Reasons under a table: each is told once, and rows refer to it by number.
 *
 * Zero-initialise it; notes_release() frees it.
 */
#ifndef TALLY_TOOLS_NOTES_H
#define TALLY_TOOLS_NOTES_H

#include <stdio.h>

struct notes {
    char **texts;
    int count;
};

/* The number, from 1, of a reason, of which the quoted name at its start is left out. */
int notes_number(struct notes *notes, const char *reason);

/* The lines, after an empty one; nothing if there are none. */
void notes_print(const struct notes *notes, FILE *out);
void notes_release(struct notes *notes);

#endif
