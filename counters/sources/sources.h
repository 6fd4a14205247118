/* The sources, for the table in source.c. */
#ifndef TALLY_SOURCES_SOURCES_H
#define TALLY_SOURCES_SOURCES_H

#include "sources/source.h"

extern const struct tally_source tally_software_source;
extern const struct tally_source tally_hardware_source;
extern const struct tally_source tally_clock_source;

/* Of machine-wide events, which tally_source.hardware does not take. */
extern const struct tally_source tally_components_source;

#endif
