/*
 * What one overflow costs before and after the handler's own work: taking the event, delivering the
 * signal, returning from it. Measured on the calling thread with a handler that does nothing.
 */
#ifndef TALLY_SOURCES_DELIVERY_H
#define TALLY_SOURCES_DELIVERY_H

#include <stdbool.h>

/* Nanoseconds per overflow. `is_clock`: signals of a CPU timer instead of perf's. */
double tally_delivery_cost(bool is_clock);

#endif
