/*
 * The checks of doctor, which go into one table. To add one: a function that adds its row, a call
 * of it, and a paragraph in tools/man/tallystack-doctor.1.
 */
#ifndef TALLY_TOOLS_DOCTOR_H
#define TALLY_TOOLS_DOCTOR_H

#include "table.h"

enum { CHECK, STATE, DETAIL, FIX, COLUMNS };

/* `state` is "ok", "limited" or "no"; `fix` is "" where nothing mends it. */
void doctor_row(struct table *table, const char *check, const char *state, const char *detail,
                const char *fix);

void doctor_check_permission(struct table *table); /* who may count, and who forbids it */
void doctor_check_processor(struct table *table);  /* its counters, and who else holds them */
void doctor_check_papi(struct table *table);

#endif
