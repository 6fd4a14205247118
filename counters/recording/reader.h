/*
 * Reading a recording: hostile, truncated or half-written bytes give sentences, never a crash.
 *
 * What differs from its seal is left out, and a sentence says so. A recording without a seal (its
 * recorder was killed) is read as far as it goes; that is a sentence too.
 */
#ifndef TALLY_RECORDING_READER_H
#define TALLY_RECORDING_READER_H

#include "recording/format.h"
#include "recording/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_slot_stream {
    uint32_t slot;
    size_t chunk_count;
    const struct tally_chunk **chunks; /* in order */
};

struct tally_image {
    const struct tally_image_header *header; /* strings in it are terminated */
    size_t size;                             /* of the file, which is mapped from the header on */
    size_t slot_count;
    struct tally_slot_stream *slots;
    struct tally_image *waits; /* its .waits file, of one slot; NULL: there is none */
};

struct tally_recording {
    char *path;
    struct tally_run run;
    bool is_sealed;
    bool is_damaged; /* something was left out */
    size_t note_count;
    char **notes; /* sentences about the state of the recording */
    size_t image_count;
    struct tally_image *images;
    char *series; /* text of series.csv, or NULL */
    struct tally_mapping *mappings;
    size_t mapping_count;
};

/* On success *out is the caller's, to be ended with tally_recording_close(). */
int tally_recording_open(struct tally_recording **out, const char *path);
void tally_recording_close(struct tally_recording *recording);

/* Adds a sentence, once; marks the recording damaged. */
void tally_recording_damage(struct tally_recording *recording, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Lets the chunks of an image leave memory; they come back from the file when they are looked at.
 * To be called every TALLY_CHUNKS_HELD chunks, so that memory does not grow with the recording.
 */
enum { TALLY_CHUNKS_HELD = 16 };
void tally_image_let_go(const struct tally_image *image);

/*
 * The record at *offset of the chunk's records, its full size in *size, and *offset moved on. NULL
 * at the end; also NULL, with *is_bad set, when what follows is no record. `read_only` is how many
 * counts follow a sample of the first counter.
 */
const void *tally_record_next(const struct tally_chunk *chunk, uint32_t *offset, uint32_t read_only,
                              uint32_t *size, bool *is_bad);

#endif
