/* What a page fault costs here. */
#ifndef TALLY_SOURCES_FAULT_H
#define TALLY_SOURCES_FAULT_H

/* Nanoseconds for a fresh page, from mapping to unmapping: the mean of a private and a shared one.
 * Measuring takes some 6 ms. */
double tally_fault_cost(void);

#endif
