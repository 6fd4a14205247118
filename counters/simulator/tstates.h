/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding thread states in the interpreters' own lists, from 3.13 on. */
#ifndef TALLY_SIMULATOR_TSTATES_H
#define TALLY_SIMULATOR_TSTATES_H

#include <stdint.h>

/* The thread state of the thread that the kernel numbers `tid`; 0: there is none yet. */
uint64_t tstates_find(uint32_t tid);

#endif
