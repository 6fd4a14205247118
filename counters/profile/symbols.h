/* Names of native code: from an address in a process image to a C function and its library. */
#ifndef TALLY_PROFILE_SYMBOLS_H
#define TALLY_PROFILE_SYMBOLS_H

#include "profile/profile.h"

struct tally_symbols;

/* `profile` is borrowed and must outlive the result. */
struct tally_symbols *tally_symbols_new(const struct tally_profile *profile);
/*
 * Finds the symbols of all the profile's addresses, which may mean reading much of large libraries.
 * Names are to be had without it, and then wait for that. `progress` may be NULL.
 */
void tally_symbols_resolve(struct tally_symbols *symbols, tally_progress *progress, void *context);

void tally_symbols_free(struct tally_symbols *symbols);

/*
 * "FUNCTION (LIBRARY)", or "(LIBRARY)" where the library has no symbol there, or "[unknown]".
 * Borrowed until tally_symbols_free(); equal names are equal pointers.
 */
const char *tally_symbols_name(struct tally_symbols *symbols, uint32_t image, uint64_t pc);

#endif
