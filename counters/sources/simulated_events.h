/*
 * The events that the simulator counts, under the names that PAPI and perf have for them.
 *
 * To add one: a row of the table in simulated_events.c, and what it must count in
 * tests/truth/test_simulated_events.py. What no counter of simulator/raw.h has is counted in
 * simulator/machine.c first.
 */
#ifndef TALLY_SOURCES_SIMULATED_EVENTS_H
#define TALLY_SOURCES_SIMULATED_EVENTS_H

#include "events/event.h"
#include "recording/run.h"
#include "sources/simulated_model.h"

/*
 * Resolves a list as `-e` takes it; NULL gives the default set. An event that the model has no such
 * cache for is an error, and left out of the default set with a note to `run`.
 */
int tally_simulated_events(const char *list, const struct tally_model *model, struct tally_run *run,
                           struct tally_event_list *out);

/* Calls `each` for all names, aliases last, until it returns non-zero, and returns that. */
int tally_simulated_each(int (*each)(const char *name, const char *description, void *data),
                         void *data);

#endif
