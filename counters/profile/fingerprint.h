/*
 * What the sources looked like when they ran, so that lines are not shown beside text that has
 * changed since.
 *
 * Kept in the recording as the file "sources": a line "CRC32 SIZE FILE" per source file.
 */
#ifndef TALLY_PROFILE_FINGERPRINT_H
#define TALLY_PROFILE_FINGERPRINT_H

#include "profile/profile.h"

/* Writes the file into the folder `directory`. */
int tally_fingerprint_write(const struct tally_profile *profile, int directory);

enum tally_source_state {
    TALLY_SOURCE_SAME,
    TALLY_SOURCE_CHANGED,
    TALLY_SOURCE_UNKNOWN, /* the recording does not say */
};

/* Holds `text`, the file's present content, against the recording at `path`. */
enum tally_source_state tally_fingerprint_check(const char *path, const char *file,
                                                const char *text, size_t size);

#endif
