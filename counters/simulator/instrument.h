/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The code that is added to the program's. */
#ifndef TALLY_SIMULATOR_INSTRUMENT_H
#define TALLY_SIMULATOR_INSTRUMENT_H

#include "simulator/core.h"

IRSB *instrument(VgCallbackClosure *closure, IRSB *in, const VexGuestLayout *layout,
                 const VexGuestExtents *extents, const VexArchInfo *host, IRType guest_word_type,
                 IRType host_word_type);
void instrument_discard(Addr address, VexGuestExtents extents);

#endif
