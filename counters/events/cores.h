/*
 * The core types of a hybrid processor (Intel's cpu_core and cpu_atom, Arm's big.LITTLE), of which
 * the kernel makes a PMU each. An event counts on the cores of one type alone; while a thread is on
 * another type it is enabled but does not run, which looks as if it had waited for a counter.
 *
 * What an event of all types counted is the sum over the types, and it ran for the sum of their
 * times. A count of one type is never scaled up: nobody knows how much of the time that it did not
 * run was spent elsewhere.
 */
#ifndef TALLY_EVENTS_CORES_H
#define TALLY_EVENTS_CORES_H

#include "events/event.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum { TALLY_MAX_CORE_TYPES = 4 };

struct tally_core {
    char name[32]; /* of its PMU */
    uint32_t type; /* of its PMU, as perf_event_attr has it */
};

struct tally_cores {
    int count; /* one, or none where there is no PMU; two and more on a hybrid processor */
    struct tally_core cores[TALLY_MAX_CORE_TYPES];
};

/* Borrowed for ever; looked up once. */
const struct tally_cores *tally_cores(void);

bool tally_is_hybrid(void);

/* The core type that counts a term; NULL where there is one type only, or it is no core's event. */
const struct tally_core *tally_core_of(const struct tally_term *term);

/* The one core type that counts all of an event; NULL as above, and where several count it. */
const struct tally_core *tally_core_of_event(const struct tally_event *event);

/* Makes a generic event of the kernel (perf::CYCLES) that of this core type. */
void tally_core_set(struct tally_term *term, const struct tally_core *core);

/*
 * Moves the calling thread to a core of this type until tally_core_leave(). False, and nothing is
 * changed, where it may run on none of them.
 */
bool tally_core_enter(const struct tally_core *core, cpu_set_t *before);
void tally_core_leave(const cpu_set_t *before);

/* The processors of a type, as in "0-7"; false where the kernel does not tell. */
bool tally_core_processors(const struct tally_core *core, char *out, size_t room);

#endif
