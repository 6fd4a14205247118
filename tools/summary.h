/* The few lines that `record` prints when it is done. */
#ifndef TALLY_TOOLS_SUMMARY_H
#define TALLY_TOOLS_SUMMARY_H

#include "profile/profile.h"

/* The five functions with the most of the first event, to stderr. `path` names the recording. */
void summary_print(const struct tally_profile *profile, const char *path);

#endif
