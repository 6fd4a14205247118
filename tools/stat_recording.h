/* The totals of a recording, for stat -i. */
#ifndef TALLY_TOOLS_STAT_RECORDING_H
#define TALLY_TOOLS_STAT_RECORDING_H

#include "stat.h"

/* Of options: input, output, group and csv. Returns the exit status. */
int stat_recording(const struct stat_options *options);

#endif
