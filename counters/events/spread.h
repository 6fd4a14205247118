/*
 * What one name asks for on a hybrid processor: an event that all core types count, if it means the
 * same on them, or one event of each, under a name of its own (cpu_core/L1-dcache-loads/).
 */
#ifndef TALLY_EVENTS_SPREAD_H
#define TALLY_EVENTS_SPREAD_H

#include "events/event.h"

/*
 * Appends `event`, as it was resolved from `base` with `mode` (":u") behind it, to the list: once
 * as it is on other processors, and where the name says itself what counts it. Fails where there
 * are too many, or the same one twice.
 */
int tally_event_spread(const struct tally_event *event, const char *base, const char *mode,
                       struct tally_event_list *list);

/*
 * Resolves CORE/NAME/ of an everyday name or a preset that the kernel does not describe itself,
 * such as cpu_core/cycles/. TALLY_NOT_FOUND, without a sentence, where it is none.
 */
int tally_core_event(const char *name, bool user, bool kernel, struct tally_event *event);

#endif
