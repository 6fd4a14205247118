/* The totals of a recording, for stat -i. */
#ifndef TALLY_TOOLS_STAT_RECORDING_H
#define TALLY_TOOLS_STAT_RECORDING_H

#include <stdbool.h>

/* `output`: a file, NULL for the standard output. Returns the exit status. */
int stat_recording(const char *path, const char *output, bool csv);

#endif
