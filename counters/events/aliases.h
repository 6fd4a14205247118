/* perf's everyday names and the libpfm4 names they stand for. */
#ifndef TALLY_EVENTS_ALIASES_H
#define TALLY_EVENTS_ALIASES_H

struct tally_alias {
    const char *name;     /* NULL ends the table */
    const char *encoding; /* for libpfm4 */
    const char *description;
};

extern const struct tally_alias tally_aliases[];

/* NULL when there is none of this name. */
const struct tally_alias *tally_alias_find(const char *name);

#endif
