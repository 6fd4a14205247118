/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/unknown.h"

#include "simulator/attribution.h"
#include "simulator/channel.h"
#include "simulator/core.h"
#include "simulator/image.h"

/* How long one is cannot be known. */
#if defined(VGA_amd64)
enum { BYTES = 8 };
#else
enum { BYTES = 4 };
#endif

void unknown_note(uint64_t address)
{
    const HChar *name = NULL;
    const DebugInfo *object = VG_(find_DebugInfo)(VG_(current_DiEpoch)(), address);
    if (image_options.has_unknown)
        return;
    image_options.has_unknown = true;
    VG_(printf)(TALLY_CHANNEL_UNKNOWN);
    for (uint64_t at = address; at < address + BYTES && guest_readable(at, 1); at++)
        VG_(printf)("%s%02x", at > address ? " " : "", *(const uint8_t *)at);
    if (VG_(get_fnname)(VG_(current_DiEpoch)(), address, &name))
        VG_(printf)(" in %s", name);
    if (object)
        VG_(printf)(" (%s)", VG_(DebugInfo_get_filename)(object));
    VG_(printf)("\n");
}
