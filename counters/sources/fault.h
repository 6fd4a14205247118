/* What a page fault costs here. */
#ifndef TALLY_SOURCES_FAULT_H
#define TALLY_SOURCES_FAULT_H

/* Nanoseconds for a fresh page, from mapping to unmapping: the best of a few; some 10 ms.
 */
double tally_fault_cost(void);

#endif
