/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling of an instruction that the core does not know. */
#ifndef TALLY_SIMULATOR_UNKNOWN_H
#define TALLY_SIMULATOR_UNKNOWN_H

#include <stdint.h>

/* It is about to be run, at this address, and raise SIGILL. Of many the first is told. */
void unknown_note(uint64_t address);

#endif
