/*
 * libpfm4, the library of event names and encodings, behind the few calls this project needs.
 *
 * Its header redefines the kernel's perf_event_attr, so only libpfm.c includes it.
 */
#ifndef TALLY_EVENTS_LIBPFM_H
#define TALLY_EVENTS_LIBPFM_H

#include "events/event.h"

/*
 * Encodes a libpfm4 name that counts user time, kernel time or both, unless its own modifiers say
 * otherwise. TALLY_NOT_FOUND when the name, or one of its masks, is unknown.
 */
int tally_pfm_encode(const char *name, bool user, bool kernel, struct tally_term *term);

/*
 * As tally_pfm_encode() for a name without a processor in front, tried on all the processors that
 * libpfm4 knows and this machine is not: the name is then right, and its absence can be explained.
 */
int tally_pfm_encode_elsewhere(const char *name, bool user, bool kernel, struct tally_term *term);

/*
 * Whether an encoding belongs to a processor other than this machine's. Opening it all the same
 * would count something else under its name. `*description` is borrowed for ever.
 */
bool tally_pfm_is_foreign(const char *encoding, const char **description);

/* After another library may have ended libpfm4. */
void tally_pfm_start_again(void);

/* Whether a name is one of a PMU outside the cores of this machine (energy, memory controllers). */
bool tally_pfm_is_uncore(const char *name);
/* Whether libpfm4 knows a processor of this name ("skl"), and whether this machine has it. */
bool tally_pfm_knows(const char *processor);
bool tally_pfm_is_present(const char *processor);

/* The names of this machine's core types, as in adl_glc::NAME; returns how many, `room` at most. */
int tally_pfm_cores(char names[][32], int room);

/* What libpfm4 calls this machine's processor; NULL when it does not know it. */
const char *tally_pfm_processor(void);

const char *tally_pfm_version(void);

/*
 * Calls `each` with "pmu::EVENT" and "pmu::EVENT:MASK" of every active PMU until it returns
 * non-zero, and returns that. The strings are borrowed for the call.
 */
int tally_pfm_each(int (*each)(const char *name, const char *description, void *data), void *data);

#endif
