/*
 * Recordings made by hand from the structures of recording/format.h, in a temporary folder.
 *
 * What is not told is as in a run that ended well: set the members of `run` and of an image's
 * header between making and writing.
 */
#ifndef TALLY_TESTS_FAKE_RECORDING_H
#define TALLY_TESTS_FAKE_RECORDING_H

#include "recording/format.h"
#include "recording/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_IMAGES = 8, FAKE_SLOTS = 8, FAKE_PYTHON = 0x030b02f0 };

struct fake_image {
    union { /* the header block, of which the structure is the start */
        struct tally_image_header header;
        char block[TALLY_HEADER_SIZE];
    };
    char *chunks; /* chunk_count of them */
    size_t chunk_count;
    struct {
        size_t chunk; /* its last one, + 1; 0: none */
        uint32_t sequence;
    } slots[FAKE_SLOTS];
};

struct fake_recording {
    char path[64];
    struct tally_run run;
    size_t image_count;
    struct fake_image images[FAKE_IMAGES];
};

struct fake_recording *fake_new(void);
/* An event of one counter and its total; period 1 counts exactly, 0 is read-only. */
void fake_event(struct fake_recording *fake, const char *name, uint64_t period, uint64_t total);
struct fake_image *fake_image(struct fake_recording *fake, uint32_t pid, const char *script);

/* Records, each appended to the slot. */
void fake_put(struct fake_image *image, uint32_t slot, const void *record, size_t size);
void fake_thread(struct fake_image *image, uint32_t slot, uint32_t tid, const char *name);
/* Instruction i of the code is on line first_line + i, for the first FAKE_LINES. */
enum { FAKE_LINES = 20 };
void fake_code(struct fake_image *image, uint32_t slot, uint32_t id, const char *name,
               const char *file, uint32_t first_line);
/* Node numbers count from 0 here. */
void fake_node(struct fake_image *image, uint32_t slot, uint32_t number, uint32_t parent,
               uint32_t code, uint32_t instruction);
uint32_t fake_id(uint32_t number); /* a node's number as it is recorded */
void fake_sample(struct fake_image *image, uint32_t slot, unsigned counter, uint32_t node,
                 uint64_t weight);
/* Of the first counter, with what `extra_count` read-only ones counted. */
void fake_sample_reading(struct fake_image *image, uint32_t slot, uint32_t node, uint64_t weight,
                         const uint64_t *extra, size_t extra_count);
void fake_counts(struct fake_image *image, uint32_t slot, uint32_t of, uint32_t life, uint32_t tid,
                 const uint64_t *counts, size_t count);

/* Writes everything, and a seal if `is_sealed`. */
void fake_write(struct fake_recording *fake, bool is_sealed);
/* For files beside or instead of those. */
void fake_file(const struct fake_recording *fake, const char *name, const void *bytes, size_t size);
void fake_change(const struct fake_recording *fake, const char *name, size_t at);
void fake_truncate(const struct fake_recording *fake, const char *name, size_t size);
void fake_remove(const struct fake_recording *fake, const char *name);
size_t fake_size(const struct fake_recording *fake, const char *name);
/* Removes it from disk too. */
void fake_free(struct fake_recording *fake);

#endif
