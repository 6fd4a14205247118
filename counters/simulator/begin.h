/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the interpreter has started and the program begins. How long it took to start depends on the
 * environment, whose variables it looks through again and again; the predictor must not know.
 */
#ifndef TALLY_SIMULATOR_BEGIN_H
#define TALLY_SIMULATOR_BEGIN_H

#include "simulator/codes.h"

/* `code` (NULL: not known) is run by the outermost frame of a thread. */
void begin_watch(const struct code *code);

#endif
