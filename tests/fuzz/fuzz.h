/*
 * A fuzz target is a file that defines LLVMFuzzerTestOneInput, as libFuzzer calls it. replay.c is
 * its main program where there is no libFuzzer: it runs the inputs of corpus/ and mutations of
 * them.
 */
#ifndef TALLY_FUZZ_H
#define TALLY_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
