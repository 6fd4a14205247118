/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing what was counted as an image file of the recording (recording/format.h). */
#ifndef TALLY_SIMULATOR_IMAGE_H
#define TALLY_SIMULATOR_IMAGE_H

#include "recording/format.h"

#include <stdbool.h>
#include <stdint.h>

struct image_options {
    const char *recording;              /* its folder */
    uint32_t root;                      /* PID, if this is the program that was asked for */
    uint32_t counter_count;             /* counters of the recording */
    uint64_t masks[TALLY_MAX_COUNTERS]; /* each is the sum of these of enum tally_raw */
    char refusal[128];                  /* an interpreter that is not supported; else empty */
    uint32_t refused_version;           /* of it */
    bool has_unknown;                   /* an instruction that the core does not know was run */
};

extern struct image_options image_options;

/* Before a fork or an exec: notes if what comes of it will not be able to write an image, because
 * this process dropped its privileges or changed its root. */
void image_check(void);
/* Begins an image: a file with a header only, which says that this process is running. */
void image_begin(void);
/* Now and then: tells the recorder how far it is. */
void image_show_progress(void);
/* Ends it, with all counts so far. Nothing is written once the recording is sealed. */
void image_end(void);

#endif
