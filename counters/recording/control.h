/* What the agents of a run are told to open for each thread: counters from events. */
#ifndef TALLY_RECORDING_CONTROL_H
#define TALLY_RECORDING_CONTROL_H

#include "agent/protocol.h"
#include "events/event.h"

#include <stdbool.h>

/*
 * One counter for each term of each event, in their order, in groups by core type. `is_clock`: CPU
 * timers sample by the first, and the others are read along. 0, or TALLY_ERROR with the sentence:
 * too many, or a first event that takes no samples.
 */
int tally_control_set_counters(struct tally_control *control, const struct tally_event_list *events,
                               bool is_clock);

#endif
