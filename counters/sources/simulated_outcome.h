/*
 * What a simulated program counted in all, and how it ended.
 */
#ifndef TALLY_SOURCES_SIMULATED_OUTCOME_H
#define TALLY_SOURCES_SIMULATED_OUTCOME_H

#include "recording/run.h"
#include "recording/session.h"

#include <stdint.h>

/* Instructions that were simulated so far, while the program runs; they are told twice a second. */
uint64_t tally_simulated_progress(const struct tally_session *session);

struct tally_simulated_outcome {
    uint32_t images;   /* whose counts are there */
    char refusal[128]; /* why the interpreter is not supported; "": it is, or there is none */
    char failure[512]; /* a sentence: why valgrind could not run the program, or not to its end; ""
                        */
};

/*
 * After the program ended with `exit_status`: takes the totals of `run` from the images in the
 * recording's folder, and adds notes on what is missing. Processes that end just now get a moment
 * to do so.
 */
int tally_simulated_totals(struct tally_session *session, struct tally_run *run, const char *within,
                           int exit_status, struct tally_simulated_outcome *outcome);

#endif
