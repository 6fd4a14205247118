/* This machine as a model: its caches as the kernel, or else the C library, tells them. */
#ifndef TALLY_SOURCES_SIMULATED_HOST_H
#define TALLY_SOURCES_SIMULATED_HOST_H

#include "sources/simulated_model.h"

/*
 * Fills in line, levels and description. No system call tells of TLBs: the one of the model
 * "generic" is taken, and the description says so. Fails where a first-level cache is not told.
 */
int tally_model_of_host(struct tally_model *model);

#endif
