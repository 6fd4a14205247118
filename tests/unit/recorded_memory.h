/*
 * Memory of real interpreters, as capture.py recorded it in data/walk-X.Y.txt, behind the reader
 * that py_walk takes.
 */
#ifndef TALLY_TESTS_RECORDED_MEMORY_H
#define TALLY_TESTS_RECORDED_MEMORY_H

#include "python/walk.h"

enum { RECORDED_FRAMES = 64, RECORDED_REGIONS = 512, RECORDED_RUNTIME = 64 };

struct recorded_region {
    uint64_t address;
    size_t size;
    unsigned char *bytes;
};

struct recorded_frame { /* what Python itself said of it */
    uint32_t first_line, line;
    char qualname[256], file[256];
};

struct recorded_memory {
    struct py_memory memory;
    uint32_t version;
    uint64_t tstate, code_type;
    uint64_t runtime[RECORDED_RUNTIME]; /* the start of _PyRuntime; all 0 before 3.13 */
    size_t frame_count, region_count;
    struct recorded_frame frames[RECORDED_FRAMES]; /* innermost first */
    struct recorded_region regions[RECORDED_REGIONS];
    size_t views, views_most; /* how many were asked for, and how many may be answered */
    unsigned char copy[PY_VIEW_MAX];
};

/* The versions there is memory of: "3.11", ... and NULL at the end. */
extern const char *const recorded_versions[];

/* Fails the test if the file cannot be read. The caller ends it with recorded_release(). */
struct recorded_memory *recorded_load(const char *version);
void recorded_release(struct recorded_memory *recorded);

/* Where a recorded word lies, to be read and changed. Fails the test if it was not recorded. */
unsigned char *recorded_at(struct recorded_memory *recorded, uint64_t address, size_t size);
uint64_t recorded_word(struct recorded_memory *recorded, uint64_t address);
void recorded_set_word(struct recorded_memory *recorded, uint64_t address, uint64_t word);

#endif
