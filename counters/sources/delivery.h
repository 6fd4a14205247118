/*
 * What one overflow costs before and after the handler's own work: taking the event, delivering the
 * signal, returning from it. Measured on the calling thread with a handler that does nothing.
 */
#ifndef TALLY_SOURCES_DELIVERY_H
#define TALLY_SOURCES_DELIVERY_H

enum tally_delivery {
    TALLY_DELIVERY_FAULT, /* of an event that happens in the thread itself */
    TALLY_DELIVERY_CLOCK, /* of a clock's: with the interrupt of its timer */
    TALLY_DELIVERY_TIMER, /* the signal of a CPU timer, which comes with the kernel's tick */
};

/* Nanoseconds per overflow. Takes some 20 ms for a clock. */
double tally_delivery_cost(enum tally_delivery kind);

#endif
