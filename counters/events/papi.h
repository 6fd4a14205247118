/*
 * PAPI, behind the few calls the events need: its presets, and whether it can count here.
 *
 * It is started on first use, because starting it takes a noticeable time.
 */
#ifndef TALLY_EVENTS_PAPI_H
#define TALLY_EVENTS_PAPI_H

#include "events/event.h"

/* Starts PAPI once; 0, or negative with the reason. */
int tally_papi_start(void);

/* The index of its perf_event component, or negative with the reason why it cannot count. */
int tally_papi_component(void);

const char *tally_papi_version(void);

/*
 * Resolves a preset into the natives it derives from. A preset that this processor does not have
 * resolves to no term at all; a name that is no preset is TALLY_NOT_FOUND.
 */
int tally_papi_preset(const char *name, bool user, bool kernel, struct tally_event *event);

/*
 * The factors of `count` natives N0, N1, ... in a postfix formula like "N0|N1|4|*|+|". Fails when
 * the formula is not a sum of multiples of them.
 */
int tally_papi_postfix(const char *formula, int count, double *factors);

/* Calls `each` for every preset PAPI knows, until it returns non-zero, and returns that. */
int tally_papi_each(int (*each)(const char *name, const char *description, void *data), void *data);

#endif
