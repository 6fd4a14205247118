/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding thread states in the interpreters' own lists, from 3.13 on. */
#ifndef TALLY_SIMULATOR_TSTATES_H
#define TALLY_SIMULATOR_TSTATES_H

#include <stdint.h>

/*
 * The thread states of the thread that the kernel numbers `tid`, one in each interpreter that it
 * ran in, the newest interpreter's first. Returns how many were stored, at most `room`.
 */
uint32_t tstates_list(uint32_t tid, uint64_t *out, uint32_t room);

#endif
