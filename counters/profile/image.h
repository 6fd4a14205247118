/* Reads the records of one process image into a profile that is being made. */
#ifndef TALLY_PROFILE_IMAGE_H
#define TALLY_PROFILE_IMAGE_H

#include "profile/builder.h"

/* Image `number` of the recording; `seen` grows by what it accounts for of each event. */
void image_read(struct builder *builder, uint32_t number, double *seen);

#endif
