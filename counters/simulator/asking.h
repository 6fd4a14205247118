/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking the recorder for files: the tool's side of channel.h. */
#ifndef TALLY_SIMULATOR_ASKING_H
#define TALLY_SIMULATOR_ASKING_H

#include <stdbool.h>
#include <stdint.h>

/* The value of TALLY_CHANNEL_OPTION. */
bool asking_option(const char *value);
/* After all options: moves what was inherited out of the program's reach. What Valgrind says goes
 * to the recorder from here on. */
void asking_begin(void);
/* A new file for this process's image, and its PID as the recorder sees it; -1: there is none, for
 * the run is over. */
int asking_image(uint32_t *pid);
/* Before an exec: whether the tool will run in the new program, too; also after one that failed. */
void asking_inherit(bool is_inherited);

#endif
