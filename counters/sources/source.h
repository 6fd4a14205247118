/*
 * The contract of a source of counts: whole-program totals of a held workload (base/launch.h) and
 * all its descendants.
 *
 * To add a source: write one file with a `const struct tally_source`, add it to the table in
 * source.c and to enum tally_source_kind, and to the contract test (tests/unit/test_sources.c),
 * which every source must pass.
 */
#ifndef TALLY_SOURCES_SOURCE_H
#define TALLY_SOURCES_SOURCE_H

#include "events/event.h"

#include <stdint.h>
#include <sys/types.h>

struct tally_count {
    bool missing;      /* could not be counted: `value` means nothing */
    uint64_t value;    /* in the event's unit, scaled up when multiplexed */
    double running;    /* share of the time it was enabled that it was really counting, 0..1 */
    double enabled_ns; /* time in which it should have been counting; 0 where not known */
    double core_share; /* of one core type's event: share of the time on cores of it; else 0 */
    const char *why;   /* when missing: borrowed sentence, else NULL */
};

struct tally_source_context;

struct tally_source {
    const char *name;

    /*
     * Attaches to process `pid`, held before its exec: counting starts at the exec and follows all
     * threads and children. `events` is only read and must outlive the context. Ownership of *out
     * goes to the caller, who ends it with close(). On failure nothing is left open.
     */
    int (*open)(struct tally_source_context **out, const struct tally_event *events, int count,
                pid_t pid);

    /* Reads all counts as of now; `counts` has room for one per event. */
    int (*read)(struct tally_source_context *context, struct tally_count *counts);

    void (*close)(struct tally_source_context *context);
};

/* The source that counts events of this kind; never NULL. */
const struct tally_source *tally_source_of(enum tally_source_kind kind);

#endif
