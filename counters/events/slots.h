/*
 * Intel's PERF_METRICS (Ice Lake and later): the register that divides the pipeline's slots into
 * retiring, bad speculation and so on. The kernel lets its events count only in a group that the
 * event of the slots leads, and there is one counter that can count slots: all of them, whoever
 * asked for them, have to share one leader.
 *
 * They are known by their encodings (event 0, umask 0x80 to 0x87; slots 0x04) on a PMU of which the
 * kernel describes slots: the same numbers are something else elsewhere.
 */
#ifndef TALLY_EVENTS_SLOTS_H
#define TALLY_EVENTS_SLOTS_H

#include "events/event.h"
#include "events/perf.h"

enum tally_slots_role {
    TALLY_SLOTS_NONE,   /* counts by itself */
    TALLY_SLOTS_LEADER, /* the slots */
    TALLY_SLOTS_PART,   /* counts in a group that is led by the slots */
};

enum tally_slots_role tally_slots_role(const struct tally_term *term);

/* The slots that lead such a term, of user code or kernel code as it is. Negative: no slots here.
 */
int tally_slots_leader_of(const struct tally_term *part, struct tally_term *out);

/* 0, or negative with the sentence: parts can be counted, but no sample taken with or of them. */
int tally_slots_check_sampled(const struct tally_event *event);

/* Leaders that were opened in one run; zero-initialise. */
enum { TALLY_SLOTS_LEADERS = 4 };
struct tally_slots {
    int count;
    struct {
        struct tally_term term;
        int fd;
    } leaders[TALLY_SLOTS_LEADERS];
};

/*
 * As tally_perf_open(), for all kinds of terms. The slots are opened once for all that ask for
 * them, which get duplicates of the descriptor, and also where nobody does but a part.
 */
int tally_slots_open(struct tally_slots *slots, const struct tally_term *term,
                     enum tally_perf_mode mode, pid_t pid);

/* With tally_perf_enable() for each of the others. */
void tally_slots_enable(const struct tally_slots *slots);

void tally_slots_close(struct tally_slots *slots);

#endif
