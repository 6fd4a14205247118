/*
 * The seal of a recording: length and CRC-32 checksums of each file in it.
 *
 * A text file: the magic, then for each file a line "NAME LENGTH CRC CRC ..." with one checksum per
 * TALLY_SEAL_BLOCK bytes in hexadecimal, and a last line "end CRC" over all before it.
 */
#ifndef TALLY_RECORDING_SEAL_H
#define TALLY_RECORDING_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the seal over all regular files of the folder `directory` (a descriptor). */
int tally_seal_write(int directory);

struct tally_seal;

/*
 * Reads the seal. *out is NULL with 0 returned when there is none (the recorder was killed); a seal
 * that is itself damaged is TALLY_DAMAGED.
 */
int tally_seal_read(struct tally_seal **out, int directory);

/* Whether the seal names the file; `index` counts them. */
const char *tally_seal_name(const struct tally_seal *seal, size_t index);

/*
 * Holds the bytes of a file against the seal. Returns how many blocks differ; `block_ok`, if not
 * NULL, gets one flag per block of the actual size. A file that is shorter or longer than it was,
 * or unknown, has the missing or surplus blocks count as different. `done`, if not NULL, is called
 * with each block that was looked at: a mapping need not stay in memory.
 */
size_t tally_seal_check(const struct tally_seal *seal, const char *name, const void *bytes,
                        size_t size, bool *block_ok, void (*done)(const void *bytes, size_t size));

void tally_seal_free(struct tally_seal *seal);

#endif
