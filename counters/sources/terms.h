/* From what the kernel counted of an event's terms to what the event counted. */
#ifndef TALLY_SOURCES_TERMS_H
#define TALLY_SOURCES_TERMS_H

#include "events/perf.h"
#include "sources/source.h"

#define TALLY_NO_COUNTER "it never got a counter of the processor"

/* `terms` has one value per term of the event. */
void tally_count_terms(const struct tally_event *event, const struct tally_perf_value *terms,
                       struct tally_count *count);

#endif
