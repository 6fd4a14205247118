/* Opening a recording and making its profile, as every command that reads one does. */
#ifndef TALLY_TOOLS_LOADED_H
#define TALLY_TOOLS_LOADED_H

#include "profile/profile.h"
#include "profile/symbols.h"
#include "recording/reader.h"

struct loaded {
    struct tally_recording *recording;
    struct tally_profile *profile;
};

/*
 * Prints what is wrong with the recording to stderr, progress too if that is a terminal. Returns 0,
 * or a negative number with the sentence not yet printed.
 */
int loaded_open(struct loaded *loaded, const char *command, const char *path, bool addresses);
/* Looks the symbols of native code up, showing progress. */
void loaded_resolve(struct tally_symbols *symbols);

void loaded_close(struct loaded *loaded);

/* Number of the event called `name` (NULL: the first), or negative with the sentence. */
int loaded_event(const struct tally_run *run, const char *name);

/* Exit status of a command that showed the recording: 125 where parts of it are damaged. */
int loaded_status(const struct loaded *loaded);

#endif
