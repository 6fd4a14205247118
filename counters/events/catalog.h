/*
 * All the names an event may have on this machine.
 */
#ifndef TALLY_EVENTS_CATALOG_H
#define TALLY_EVENTS_CATALOG_H

#include "base/buffer.h"

enum tally_catalog_kind {
    TALLY_CATALOG_ALIAS = 1,
    TALLY_CATALOG_PRESET = 2,
    TALLY_CATALOG_NATIVE = 4,
    TALLY_CATALOG_COMPONENT = 8, /* of PAPI, other than the processor's */
    TALLY_CATALOG_ALL = 15,
};

/*
 * Calls `each` for the names of the given kinds until it returns non-zero, and returns that. The
 * strings are borrowed for the call. Presets are left out where PAPI cannot start.
 */
int tally_catalog_each(unsigned int kinds,
                       int (*each)(const char *name, enum tally_catalog_kind kind,
                                   const char *description, void *data),
                       void *data);

/* Appends up to three names near to a mistyped one, as "a, b, c"; returns how many. */
int tally_catalog_nearest(const char *name, struct tally_buffer *out);

#endif
