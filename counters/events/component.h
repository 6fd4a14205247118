/*
 * Events of PAPI's other components, by PAPI's names: energy, network, ... They count for the whole
 * machine while a program runs, not for the program.
 *
 * A component that is not known here is taken to count. One that tells of the process that asks, or
 * states rather than counts, gets a line in the table of component.c.
 */
#ifndef TALLY_EVENTS_COMPONENT_H
#define TALLY_EVENTS_COMPONENT_H

#include "events/event.h"

/* Whether the name is one that PAPI's other components may know: "net:::lo:rx:bytes". */
bool tally_component_is_name(const char *name);

/* Some components find out what they have only when that is asked for the first time. */
void tally_component_wake(int index);

/*
 * Resolves a name. TALLY_NOT_FOUND, with a sentence, where this PAPI does not have it or where its
 * component is off. The event has no terms; `is_machine_wide` is set.
 */
int tally_component_event(const char *name, struct tally_event *event);

/* What one of PAPI's units is in one of ours; 1 where it is the same. */
double tally_component_factor(const struct tally_event *event);

/* How long PAPI may answer with what it read before; 0 when it reads each time. */
double tally_component_refresh_ns(const struct tally_event *event);

/*
 * An event set of all those `count` events that belong to the component of the first one not yet
 * `taken`, started; their places in it are set in `place`. Returns the set, or PAPI_NULL with the
 * sentence.
 */
int tally_component_start(const struct tally_event *events, int count, bool *taken, int *place);

/* Starts the event, runs `exercise`, and reads it: 0, or negative with the reason. */
int tally_component_try(const struct tally_event *event, void (*exercise)(void), double *value);

/* Calls `each` for the events of all other components that are on, until it returns non-zero. */
int tally_component_each(int (*each)(const char *name, const char *description, void *data),
                         void *data);

#endif
