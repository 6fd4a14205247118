/* The exporters, for the table in stacks.c. */
#ifndef TALLY_OUTPUT_EXPORTERS_H
#define TALLY_OUTPUT_EXPORTERS_H

#include "output/stacks.h"

/* "module.function;module.function WEIGHT" lines, for flamegraph.pl and its kin; one event only. */
extern const struct tally_stack_exporter tally_folded_exporter;

/* JSON for speedscope.app, one profile per event. */
extern const struct tally_stack_exporter tally_speedscope_exporter;

#endif
