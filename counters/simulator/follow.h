/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a program that is about to be executed can be simulated. */
#ifndef TALLY_SIMULATOR_FOLLOW_H
#define TALLY_SIMULATOR_FOLLOW_H

enum follow {
    FOLLOW_FAILS,  /* the exec will fail, and the program go on */
    FOLLOW_DONE,   /* it will be simulated */
    FOLLOW_NATIVE, /* it runs as it is: valgrind cannot run it, or cannot be started for it */
};

/* Once, before the program runs: it may not see all files later. */
void follow_init(void);
/* `path` is the program's argument; NULL: not known. */
enum follow follow_exec(const char *path);

#endif
