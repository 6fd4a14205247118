/* Strings kept once; equal strings get equal pointers, which live until the table is freed. */
#ifndef TALLY_PROFILE_INTERN_H
#define TALLY_PROFILE_INTERN_H

struct tally_interned;

/* *table is NULL at first. */
const char *tally_intern(struct tally_interned **table, const char *string);
void tally_interned_free(struct tally_interned *table);

#endif
