/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/tstates.h"

#include "simulator/attribution.h"

/* Words of _Py_DebugOffsets, with which _PyRuntime begins. */
enum {
    DEBUG_INTERPRETERS = 5,
    DEBUG_NEXT = 8,
    DEBUG_THREADS = 9,
    DEBUG_TSTATE_NEXT = 2, /* behind debug_tstate */
    DEBUG_TSTATE_TID = 9,
};

static uint32_t list_in(uint64_t interpreter, uint32_t tid, uint64_t *out, uint32_t room)
{
    const uint64_t *words = (const uint64_t *)attribution.runtime;
    const uint64_t *tstate_words = words + attribution.layout->debug_tstate;
    uint64_t tstate = guest_word(interpreter + words[DEBUG_THREADS]);
    uint32_t count = 0;
    while (tstate && count < room && guest_readable(tstate + tstate_words[DEBUG_TSTATE_TID], 8)) {
        if (guest_word(tstate + tstate_words[DEBUG_TSTATE_TID]) == tid)
            out[count++] = tstate;
        tstate = guest_word(tstate + tstate_words[DEBUG_TSTATE_NEXT]);
    }
    return count;
}

uint32_t tstates_list(uint32_t tid, uint64_t *out, uint32_t room)
{
    const uint64_t *words = (const uint64_t *)attribution.runtime;
    uint64_t interpreter = guest_word(attribution.runtime + words[DEBUG_INTERPRETERS]);
    uint32_t count = 0;
    while (count < room && interpreter && guest_readable(interpreter + words[DEBUG_THREADS], 8) &&
           guest_readable(interpreter + words[DEBUG_NEXT], 8)) {
        count += list_in(interpreter, tid, out + count, room - count);
        interpreter = guest_word(interpreter + words[DEBUG_NEXT]);
    }
    return count;
}
