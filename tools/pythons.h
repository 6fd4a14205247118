/*
 * The Python interpreters of this machine: those on PATH and those of pyenv, each asked itself.
 */
#ifndef TALLY_TOOLS_PYTHONS_H
#define TALLY_TOOLS_PYTHONS_H

#include <stdbool.h>

struct python {
    char path[512];    /* with all links followed, as the interpreter says */
    char version[32];  /* "3.11.2" */
    char refusal[128]; /* why it is not supported; "" when it is */
};

/* Calls `each` once for every interpreter that answers. */
void pythons_each(void (*each)(const struct python *python, void *data), void *data);

#endif
