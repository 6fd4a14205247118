/*
 * A recording's folder while it is written: made beside its name and moved there when the run
 * begins, which keeps an older recording of that name as NAME.old.
 */
#ifndef TALLY_RECORDING_FOLDER_H
#define TALLY_RECORDING_FOLDER_H

#include <stdbool.h>

struct tally_folder {
    char *path, *temporary;
    bool is_committed, has_rotated;
    int descriptor; /* -1: not made */
};

/* Reserves room for the files that are written last. The folder is to be released even if it fails.
 */
int tally_folder_make(struct tally_folder *folder, const char *path);

/* Gives it its name. */
int tally_folder_commit(struct tally_folder *folder);

/* Removes it after that; the older recording has its name again. */
void tally_folder_discard(const struct tally_folder *folder);

/* Frees the room that was reserved. */
void tally_folder_use_reserve(const struct tally_folder *folder);

/* Removes it if it was never given its name. */
void tally_folder_release(struct tally_folder *folder);

#endif
