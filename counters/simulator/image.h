/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing what was counted as an image file of the recording (recording/format.h). */
#ifndef TALLY_SIMULATOR_IMAGE_H
#define TALLY_SIMULATOR_IMAGE_H

#include "recording/format.h"

#include <stdbool.h>
#include <stdint.h>

struct image_options {
    uint32_t root;                      /* PID, if this is the program that was asked for */
    uint32_t counter_count;             /* counters of the recording */
    uint64_t masks[TALLY_MAX_COUNTERS]; /* each is the sum of these of enum tally_raw */
    char refusal[128];                  /* an interpreter that is not supported; else empty */
    uint32_t refused_version;           /* of it */
    bool has_unknown;                   /* an instruction that the core does not know was run */
    bool has_interpreters;              /* of which some may not be told apart */
    bool has_left;                      /* for a program that is not simulated */
};

extern struct image_options image_options;

/* Begins an image: a file with a header only, which says that this process is running. The recorder
 * hands it out, so that it does not matter what rights and which root the process has. */
void image_begin(void);
/* Now and then: tells the recorder how far it is, and every few seconds all counts so far, which a
 * process that is killed leaves. */
void image_show_progress(void);
/* Ends it, with all counts so far. Nothing is written once the recording is sealed. */
void image_end(void);

#endif
