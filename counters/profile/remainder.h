/*
 * What no sample stands for: losses, the time before and after an agent was there, and programs
 * without one. It goes to bracketed rows, so that the rows of an event sum to its total.
 */
#ifndef TALLY_PROFILE_REMAINDER_H
#define TALLY_PROFILE_REMAINDER_H

#include "profile/builder.h"

/*
 * Losses and unfinished periods of an image whose records were read. `seen` has an amount for each
 * event and grows by what the image accounts for.
 */
void remainder_of_image(struct builder *builder, const struct image_state *state, uint32_t thread,
                        double *seen);

/* The same for an interpreter that was left alone. */
void remainder_of_unsupported(struct builder *builder, const struct image_state *state,
                              uint32_t thread, double *seen);

/* What was counted for the run and is not in `seen`, the sum over all images. */
void remainder_of_run(struct builder *builder, const double *seen);

#endif
