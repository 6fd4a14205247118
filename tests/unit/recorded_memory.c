#include "recorded_memory.h"

#include "base/buffer.h"
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const recorded_versions[] = {"3.11", "3.12", "3.13", "3.14", "3.15", NULL};

static unsigned char *find(struct recorded_memory *recorded, uint64_t address, size_t size)
{
    for (size_t i = 0; i < recorded->region_count; i++) {
        const struct recorded_region *region = &recorded->regions[i];
        uint64_t offset = address - region->address;
        if (address >= region->address && offset < region->size && size <= region->size - offset)
            return region->bytes + offset;
    }
    return NULL;
}

/* A copy in a place of its own: the walker may not hold on to an earlier view. */
static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    struct recorded_memory *recorded = (struct recorded_memory *)memory;
    const unsigned char *bytes = find(recorded, address, size);
    if (++recorded->views > recorded->views_most || !bytes || size > sizeof(recorded->copy))
        return NULL;
    memset(recorded->copy, 0xaa, sizeof(recorded->copy));
    return memcpy(recorded->copy, bytes, size);
}

static size_t read_hex(const char *text, unsigned char *out, size_t room)
{
    size_t size = 0;
    unsigned byte;
    while (size < room && sscanf(text + 2 * size, "%2x", &byte) == 1)
        out[size++] = (unsigned char)byte;
    return size;
}

static void take_line(struct recorded_memory *recorded, const char *line)
{
    struct recorded_frame *frame = &recorded->frames[recorded->frame_count];
    struct recorded_region *region = &recorded->regions[recorded->region_count];
    int at = 0;
    if (sscanf(line, "memory %" SCNx64 " %n", &region->address, &at) == 1 && at) {
        assert_true(recorded->region_count + 1 < RECORDED_REGIONS);
        region->bytes = tally_alloc(PY_VIEW_MAX);
        region->size = read_hex(line + at, region->bytes, PY_VIEW_MAX);
        recorded->region_count++;
    } else if (sscanf(line, "frame %" SCNu32 " %" SCNu32 " %255s %255s", &frame->first_line,
                      &frame->line, frame->qualname, frame->file) == 4) {
        assert_true(++recorded->frame_count < RECORDED_FRAMES);
    } else if (!strncmp(line, "runtime ", 8)) {
        read_hex(line + 8, (unsigned char *)recorded->runtime, sizeof(recorded->runtime));
    } else if (sscanf(line, "version %" SCNx32, &recorded->version) != 1 &&
               sscanf(line, "tstate %" SCNx64, &recorded->tstate) != 1) {
        assert_int_equal(sscanf(line, "code_type %" SCNx64, &recorded->code_type), 1);
    }
}

struct recorded_memory *recorded_load(const char *version)
{
    struct recorded_memory *recorded = tally_alloc_zeroed(1, sizeof(*recorded));
    char path[4096], *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof(path), "%s/walk-%s.txt", TALLY_TEST_DATA, version);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    while (getline(&line, &room, in) > 0)
        take_line(recorded, line);
    free(line);
    fclose(in);
    assert_true(recorded->frame_count > 0 && recorded->region_count > 0);
    recorded->memory.view = view;
    recorded->views_most = SIZE_MAX;
    return recorded;
}

void recorded_release(struct recorded_memory *recorded)
{
    for (size_t i = 0; i < recorded->region_count; i++)
        free(recorded->regions[i].bytes);
    free(recorded);
}

unsigned char *recorded_at(struct recorded_memory *recorded, uint64_t address, size_t size)
{
    unsigned char *bytes = find(recorded, address, size);
    assert_non_null(bytes);
    return bytes;
}

uint64_t recorded_word(struct recorded_memory *recorded, uint64_t address)
{
    uint64_t word;
    memcpy(&word, recorded_at(recorded, address, sizeof(word)), sizeof(word));
    return word;
}

void recorded_set_word(struct recorded_memory *recorded, uint64_t address, uint64_t word)
{
    memcpy(recorded_at(recorded, address, sizeof(word)), &word, sizeof(word));
}
