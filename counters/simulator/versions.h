/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two versions of the program's code, for --within: one that is counted, and one that only looks
 * for the function to begin.
 *
 * The core finds translations by their address in the program. The counted version of the code at
 * an address is kept under another one, with a bit set that no address has, and its jumps lead to
 * counted code again. So neither version pays for the other, and to change over is a jump.
 *
 * The bit is the core's business and ours alone: it is taken off again before the program could see
 * it in a signal's context. Jumps out of the code (system calls and the like) have none; the
 * scheduler's way back in puts it on.
 *
 * A store that may change the version ends its translation, since only there can the other version
 * go on. Which ones do is not known before: it is learned when they first do so, and until the next
 * jump back the code goes on in the old version.
 */
#ifndef TALLY_SIMULATOR_VERSIONS_H
#define TALLY_SIMULATOR_VERSIONS_H

#include "simulator/core.h"

#include <stdbool.h>
#include <stdint.h>

#define VERSION_COUNTED (UINT64_C(1) << 62)

/* Whether there are two; else all code is counted, under its own address. */
extern bool versions_on;
/* VERSION_COUNTED or 0: of the thread that runs. */
extern uint64_t versions_running;

/* Has `site` end its translation from now on: a store that changed the current frame. */
void versions_note_site(Addr site);

/* Whether the translation has to be made again, so that it ends with the first site in it. */
bool versions_must_split(const IRSB *code);

/* Makes the exits of a translation lead to its own version or, if it ends with a site, to the one
 * that is to run then. `code` is complete but for its last jump. */
void versions_end(IRSB *code, const VexGuestLayout *layout, Addr last, uint64_t version);

/* The same for an exit before the end. */
IRStmt *versions_exit(IRStmt *exit, uint64_t version);

/* A signal is about to be delivered. */
void versions_before_signal(ThreadId id, Int signal, Bool has_own_stack);

#endif
