/*
 * Events: from the names people type to what the kernel opens.
 *
 * A name may be a PAPI preset (PAPI_L1_DCM), a libpfm4 native with masks (perf::PAGE-FAULTS,
 * INST_RETIRED:ANY:u) or one of perf's everyday names (page-faults, cycles), which are aliases. A
 * resolved event is the sum of its terms, each one kernel encoding with a sign: presets derived
 * from several natives have several, and on a hybrid processor events that all core types count
 * (cores.h). One that means different things on them becomes several events (spread.h).
 *
 * To add an alias, add a line to the table in aliases.c; the lint test resolves each of them.
 */
#ifndef TALLY_EVENTS_EVENT_H
#define TALLY_EVENTS_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tally_source_kind {
    TALLY_SOURCE_SOFTWARE,  /* the kernel's own events */
    TALLY_SOURCE_HARDWARE,  /* the processor's PMU */
    TALLY_SOURCE_CLOCK,     /* CPU timers and the process's own accounts */
    TALLY_SOURCE_SIMULATED, /* the cache and branch model */
};

enum tally_unit {
    TALLY_UNIT_COUNT,
    TALLY_UNIT_NS,
    TALLY_UNIT_JOULE,
    TALLY_UNIT_NJ,
    TALLY_UNIT_BYTE,
};

enum {
    TALLY_MAX_EVENTS = 16, /* asked for in one run */
    TALLY_MAX_TERMS = 8,   /* natives that one preset derives from */
};

/* One kernel encoding: the fields of perf_event_attr that say what is counted. */
struct tally_term {
    char encoding[128]; /* the fully qualified libpfm4 name, for headers and datapackage.json */
    double factor;      /* +1 or -1 in sums; other multiples where a preset's formula has them */
    uint32_t type;
    uint64_t config, config1, config2;
    bool exclude_user, exclude_kernel, exclude_hv;
    uint8_t precise; /* perf's precise_ip, 0 to 3 */
};

struct tally_event {
    char name[96]; /* as it was asked for, without the period */
    enum tally_source_kind source;
    enum tally_unit unit;
    bool is_machine_wide; /* of another component of PAPI, by `name`: it has no terms */
    bool is_clock;        /* counts time: sampled by frequency by default */
    bool is_unproven;     /* set by its probe: opens, but was not seen to count */
    bool period_given;    /* by the user, with a last :NUMBER */
    bool read_only;       /* a last :0: never sampled, read along with the first event */
    uint64_t period;      /* events per sample; 0 when sampled by frequency */
    uint64_t frequency;   /* samples per second; 0 when sampled by period */
    int term_count;       /* 0: a preset that this processor does not have; its probe says no */
    struct tally_term terms[TALLY_MAX_TERMS];
};

struct tally_event_list {
    int count;
    struct tally_event events[TALLY_MAX_EVENTS];
};

/*
 * Resolves a comma-separated list as `-e` takes it. `frequency` is what clocks and hardware events
 * without a period are sampled at; page faults, switches and migrations without one have period 1.
 * An unknown name is TALLY_NOT_FOUND, with the nearest names in the sentence. Nothing is opened:
 * a resolved event may still be absent here (tally_event_probe()).
 */
int tally_events_resolve(const char *list, uint64_t frequency, struct tally_event_list *out);

/*
 * Resolves one name, for formulas: TALLY_NOT_FOUND also where the event does not mean the same on
 * all core types of a hybrid processor, or one of them does not have it.
 */
int tally_event_resolve_whole(const char *name, uint64_t frequency, struct tally_event *out);

enum tally_availability {
    TALLY_AVAILABLE_NO,       /* refused, or its probe left it at 0 */
    TALLY_AVAILABLE_YES,      /* opened, and a probe that must move it moved it */
    TALLY_AVAILABLE_UNPROVEN, /* opens, and no probe is known for it */
};

/* What tally_events_probe() found of one event. */
struct tally_probe {
    enum tally_availability availability;
    int code;          /* when NO: TALLY_NOT_FOUND, TALLY_NOT_ALLOWED, TALLY_STAYS_ZERO, ... */
    char reason[1024]; /* when NO: a sentence that names the cause and what to do */
    double per_second; /* while it was probed; 0: not known */
    bool user_only;    /* the kernel refuses to count its own time: the event now leaves it out */
    bool is_lowered;   /* the processor is less precise than was asked for: so is the event now */
};

/*
 * Finds availability by doing: opens the events on the calling thread, runs once what must move
 * them, reads them. `out` has room for one per event.
 */
void tally_events_probe(struct tally_event *events, int count, struct tally_probe *out);

/*
 * tally_events_probe() for one: when the answer is NO the sentence is the error text. `code` and
 * `degraded` (user_only) may be NULL.
 */
enum tally_availability tally_event_probe(struct tally_event *event, int *code, bool *degraded);

/*
 * How many of the events, from the first on, can be counted at the same time, by doing; `count`
 * when there are counters for all. Events that the processor does not count need none. `count` may
 * be up to twice TALLY_MAX_EVENTS.
 */
int tally_events_fit(const struct tally_event *events, int count);

/* The sentence that an event is less precise than was asked for. Borrowed until the next call. */
const char *tally_precision_note(const struct tally_event *event);

/*
 * Whether the kernel may deliver samples of software events synchronously (perf_event_attr.sigtrap,
 * Linux 5.13 and later, used from 5.18): 0, or a negative number with the reason in the sentence.
 */
int tally_sigtrap_probe(void);

/*
 * Whether such a sample, if it falls into the kernel's part of nanosleep(), poll() and the like,
 * ends them with EINTR: before Linux 6.11. Events of user code alone (":u") do not.
 */
bool tally_sigtrap_interrupts(void);

const char *tally_source_name(enum tally_source_kind source); /* "software", ... */
const char *tally_unit_name(enum tally_unit unit); /* "count", "ns", "J", "nJ", "bytes" */

#endif
