/*
 * A recording as large as wanted, made by the recorder's and the agent's own code: the folder, the
 * socket and the image file of recording/session.c; the slots, chunks, records, code objects and
 * call paths of the agent. Only the overflows are not real.
 */
#ifndef TALLY_BENCH_SYNTHETIC_H
#define TALLY_BENCH_SYNTHETIC_H

#include <stdint.h>

/* `samples` over `stacks` distinct call paths and a few threads. 0, or a negative number with the
 * sentence set. One in a process. */
int synthetic_recording(const char *path, uint64_t samples, uint32_t stacks);

#endif
