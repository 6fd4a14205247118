#include "recording/reader.h"

#include "base/buffer.h"
#include "base/error.h"
#include "recording/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct tally_mapping {
    void *bytes;
    size_t size;
};

static void add_note(struct tally_recording *recording, const char *format, va_list args)
{
    char note[1024];
    vsnprintf(note, sizeof(note), format, args);
    for (size_t i = 0; i < recording->note_count; i++)
        if (!strcmp(recording->notes[i], note))
            return;
    recording->notes =
        tally_realloc(recording->notes, recording->note_count + 1, sizeof(*recording->notes));
    recording->notes[recording->note_count++] = tally_strdup(note);
}

void tally_recording_damage(struct tally_recording *recording, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_note(recording, format, args);
    va_end(args);
    recording->is_damaged = true;
}

static void say(struct tally_recording *recording, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct tally_recording *recording, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_note(recording, format, args);
    va_end(args);
}

/* A private, writable copy-on-write mapping; NULL for an empty or unreadable file. */
static void *map_file(struct tally_recording *recording, int directory, const char *name,
                      size_t *size)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *bytes = MAP_FAILED;
    *size = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return NULL;
    *size = (size_t)status.st_size;
    recording->mappings = tally_realloc(recording->mappings, recording->mapping_count + 1,
                                        sizeof(*recording->mappings));
    recording->mappings[recording->mapping_count++] = (struct tally_mapping){bytes, *size};
    return bytes;
}

static int read_description(struct tally_recording *recording, int directory,
                            const struct tally_seal *seal)
{
    size_t size;
    json_error_t problem;
    char *text = map_file(recording, directory, "session.json", &size);
    if (!text && faccessat(directory, "session.json", R_OK, AT_EACCESS) < 0 && errno != ENOENT)
        return tally_error("cannot read \"%s/session.json\": %s.", recording->path,
                           strerror(errno));
    if (!text)
        return tally_error("\"%s\" is no recording: it has no session.json.", recording->path);
    if (seal && tally_seal_check(seal, "session.json", text, size, NULL, NULL))
        return tally_error_code(TALLY_DAMAGED,
                                "session.json of the recording was changed after it was sealed, so "
                                "what its samples count is not known; restore the file.");
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return tally_error_code(TALLY_DAMAGED, "session.json of the recording is damaged: %s.",
                                problem.text);
    int result = tally_run_from_json(&recording->run, json);
    json_decref(json);
    return result;
}

static void read_series(struct tally_recording *recording, int directory,
                        const struct tally_seal *seal)
{
    size_t size;
    if (!recording->run.interval_ms)
        return;
    const char *text = map_file(recording, directory, "series.csv", &size);
    if (!text)
        return;
    if (seal && tally_seal_check(seal, "series.csv", text, size, NULL, NULL)) {
        tally_recording_damage(recording, "series.csv of the recording was changed after it was "
                                          "sealed; the interval series is left out.");
        return;
    }
    recording->series = strndup(text, size);
}

/* Whole pages of a mapping that was not written to. */
static void let_go(const void *bytes, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)bytes;
    uintptr_t end = (start + size) / page * page;
    start = (start + page - 1) / page * page;
    if (start < end)
        madvise((void *)start, end - start, MADV_DONTNEED);
}

void tally_image_let_go(const struct tally_image *image)
{
    let_go((const char *)image->header + TALLY_HEADER_SIZE, image->size - TALLY_HEADER_SIZE);
}

/* A chunk with what it is ordered by, so that ordering does not bring it back into memory. */
struct place {
    uint32_t slot, sequence;
    const struct tally_chunk *chunk;
};

static int by_sequence(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->slot != right->slot)
        return left->slot < right->slot ? -1 : 1;
    return left->sequence < right->sequence ? -1 : left->sequence > right->sequence;
}

static void group_by_slot(struct tally_image *image, struct place *places, size_t count)
{
    qsort(places, count, sizeof(*places), by_sequence);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && places[end].slot == places[i].slot)
            end++;
        struct tally_slot_stream stream = {.slot = places[i].slot, .chunk_count = end - i};
        stream.chunks = tally_alloc(stream.chunk_count * sizeof(*stream.chunks));
        for (size_t k = 0; k < stream.chunk_count; k++)
            stream.chunks[k] = places[i + k].chunk;
        image->slots = tally_realloc(image->slots, image->slot_count + 1, sizeof(*image->slots));
        image->slots[image->slot_count++] = stream;
        i = end;
    }
}

/* What was written before the last time that a simulated image was written. */
static bool is_old(const struct tally_image_header *header, uint64_t chunk)
{
    return header->flags & TALLY_IMAGE_REWRITTEN &&
           (chunk < header->first_chunk || chunk >= header->chunk_count);
}

/* The chunks of an image that are whole and as they were sealed. */
static void find_chunks(struct tally_recording *recording, struct tally_image *image,
                        const char *name, const bool *block_ok)
{
    uint64_t claimed = image->header->chunk_count;
    size_t room = (image->size - TALLY_HEADER_SIZE) / TALLY_CHUNK_SIZE, count = 0;
    const char *bytes = (const char *)image->header;
    struct place *places = tally_alloc_zeroed(room, sizeof(*places));
    for (size_t i = 0; i < room; i++) {
        size_t offset = TALLY_HEADER_SIZE + i * TALLY_CHUNK_SIZE;
        size_t block = offset / TALLY_SEAL_BLOCK;
        const struct tally_chunk *chunk = (const struct tally_chunk *)(bytes + offset);
        bool is_intact = !block_ok || (block_ok[block] && block_ok[block + 1]);
        if (is_old(image->header, i))
            continue;
        if (!is_intact) {
            tally_recording_damage(recording,
                                   "%s: samples were changed after they were sealed; they are left "
                                   "out.",
                                   name);
            continue;
        }
        const struct tally_chunk head = *chunk;
        if (i % TALLY_CHUNKS_HELD == 0)
            tally_image_let_go(image);
        if (head.magic == 0)
            continue; /* claimed, then the process was killed */
        if (head.magic != TALLY_CHUNK_MAGIC || head.used % 8 ||
            head.used > TALLY_CHUNK_SIZE - sizeof(head)) {
            tally_recording_damage(recording, "%s: a block of samples is damaged; it is left out.",
                                   name);
            continue;
        }
        places[count++] = (struct place){head.slot, head.sequence, chunk};
    }
    if (claimed > room && !recording->run.stopped)
        tally_recording_damage(recording, "%s is shorter than it was; what is missing is left out.",
                               name);
    group_by_slot(image, places, count);
    free(places);
}

static void terminate_strings(struct tally_image_header *header)
{
    header->comm[sizeof(header->comm) - 1] = '\0';
    header->program[sizeof(header->program) - 1] = '\0';
    header->script[sizeof(header->script) - 1] = '\0';
    header->refusal[sizeof(header->refusal) - 1] = '\0';
}

/* Returns whether the file is there and its header is as it should be. */
static bool read_chunks(struct tally_recording *recording, int directory, const char *name,
                        const char *magic, const struct tally_seal *seal, struct tally_image *out)
{
    size_t size;
    bool *block_ok = NULL;
    char *bytes = map_file(recording, directory, name, &size);
    struct tally_image_header *header = (struct tally_image_header *)bytes;
    if (bytes && seal) {
        block_ok = tally_alloc_zeroed(size / TALLY_SEAL_BLOCK + 2, sizeof(*block_ok));
        size_t differ = tally_seal_check(seal, name, bytes, size, block_ok, let_go);
        if (differ)
            tally_recording_damage(recording,
                                   "%s was changed after it was sealed; the parts that "
                                   "differ are left out.",
                                   name);
    }
    bool is_good = bytes && size >= TALLY_HEADER_SIZE && (!block_ok || block_ok[0]) &&
                   !memcmp(header->magic, magic, sizeof(header->magic));
    if (is_good) {
        terminate_strings(header);
        *out = (struct tally_image){.header = header, .size = size};
        find_chunks(recording, out, name, block_ok);
    }
    free(block_ok);
    return is_good;
}

static void read_waits(struct tally_recording *recording, int directory, const char *image_name,
                       const struct tally_seal *seal, struct tally_image *image)
{
    char name[32];
    snprintf(name, sizeof(name), "%.*s.waits", (int)strcspn(image_name, "."), image_name);
    if (faccessat(directory, name, F_OK, 0) < 0)
        return;
    struct tally_image waits;
    if (!read_chunks(recording, directory, name, TALLY_WAITS_MAGIC, seal, &waits)) {
        tally_recording_damage(recording, "%s is damaged; what it says of waiting is left out.",
                               name);
        return;
    }
    image->waits = tally_alloc(sizeof(waits));
    *image->waits = waits;
}

static void free_slots(struct tally_image *image)
{
    for (size_t i = 0; i < image->slot_count; i++)
        free(image->slots[i].chunks);
    free(image->slots);
}

static void read_image(struct tally_recording *recording, int directory, const char *name,
                       const struct tally_seal *seal)
{
    struct tally_image image = {0};
    if (!read_chunks(recording, directory, name, TALLY_IMAGE_MAGIC, seal, &image) ||
        image.header->counter_count != (uint32_t)recording->run.counter_count) {
        tally_recording_damage(recording, "%s is damaged; the process it describes is left out.",
                               name);
        free_slots(&image);
        return;
    }
    read_waits(recording, directory, name, seal, &image);
    recording->images =
        tally_realloc(recording->images, recording->image_count + 1, sizeof(*recording->images));
    recording->images[recording->image_count++] = image;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_image_name(const char *name)
{
    size_t size = strlen(name);
    return size > 6 && !strcmp(name + size - 6, ".image");
}

static void read_images(struct tally_recording *recording, int directory,
                        const struct tally_seal *seal)
{
    char **names = NULL;
    size_t count = 0;
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *entry = list ? readdir(list) : NULL; entry; entry = readdir(list)) {
        if (!is_image_name(entry->d_name))
            continue;
        names = tally_realloc(names, count + 1, sizeof(*names));
        names[count++] = tally_strdup(entry->d_name);
    }
    if (list)
        closedir(list);
    if (count)
        qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        read_image(recording, directory, names[i], seal);
        free(names[i]);
    }
    free(names);
}

static void check_missing_files(struct tally_recording *recording, int directory,
                                const struct tally_seal *seal)
{
    const char *name;
    for (size_t i = 0; (name = tally_seal_name(seal, i)); i++)
        if (faccessat(directory, name, F_OK, 0) < 0)
            tally_recording_damage(recording, "%s is missing from the recording.", name);
}

static bool has_totals(const struct tally_run *run)
{
    for (int i = 0; i < run->event_count; i++)
        if (run->events[i].has_total)
            return true;
    return false;
}

int tally_recording_open(struct tally_recording **out, const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 && errno == ENOENT)
        return tally_error_code(TALLY_NOT_FOUND,
                                "there is no recording \"%s\"; make one with \"tallystack record "
                                "-o %s -- PROGRAM\", or name another with -i.",
                                path, path);
    if (directory < 0)
        return tally_error("cannot open the recording \"%s\": %s.", path, strerror(errno));
    struct tally_recording *recording = tally_alloc_zeroed(1, sizeof(*recording));
    struct tally_seal *seal = NULL;
    recording->path = tally_strdup(path);
    int damaged = tally_seal_read(&seal, directory);
    recording->is_sealed = seal != NULL;
    int result = read_description(recording, directory, seal);
    if (result == 0) {
        if (damaged)
            tally_recording_damage(recording, "the seal of the recording is damaged, so changes to "
                                              "its files cannot be told.");
        else if (!seal)
            say(recording, "%s",
                has_totals(&recording->run)
                    ? "the recording is not sealed, so changes to its files cannot be told."
                    : "the recording was not sealed: its recorder was ended before the program "
                      "was, and there are no totals.");
        read_images(recording, directory, seal);
        read_series(recording, directory, seal);
        if (seal)
            check_missing_files(recording, directory, seal);
        *out = recording;
    } else {
        tally_recording_close(recording);
    }
    tally_seal_free(seal);
    close(directory);
    return result;
}

void tally_recording_close(struct tally_recording *recording)
{
    if (!recording)
        return;
    for (size_t i = 0; i < recording->image_count; i++) {
        if (recording->images[i].waits)
            free_slots(recording->images[i].waits);
        free(recording->images[i].waits);
        free_slots(&recording->images[i]);
    }
    free(recording->images);
    for (size_t i = 0; i < recording->mapping_count; i++)
        munmap(recording->mappings[i].bytes, recording->mappings[i].size);
    free(recording->mappings);
    for (size_t i = 0; i < recording->note_count; i++)
        free(recording->notes[i]);
    free(recording->notes);
    free(recording->series);
    tally_run_release(&recording->run);
    free(recording->path);
    free(recording);
}

/* 0 if there is no such record. */
static uint64_t record_size(const unsigned char *bytes, uint32_t room, uint32_t read_only)
{
    const struct tally_sample *sample = (const struct tally_sample *)bytes;
    uint64_t extra = 0;
    if (room < 8)
        return 0;
    switch (bytes[0]) {
    case TALLY_RECORD_SAMPLE:
    case TALLY_RECORD_SAMPLE_WIDE:
        if (sample->counter == 0)
            extra = read_only * sizeof(uint64_t);
        return extra + (bytes[0] == TALLY_RECORD_SAMPLE ? sizeof(struct tally_sample)
                                                        : sizeof(struct tally_sample_wide));
    case TALLY_RECORD_NODE:
        return sizeof(struct tally_node);
    case TALLY_RECORD_CODE: {
        const struct tally_code *code = (const struct tally_code *)bytes;
        if (room < sizeof(*code))
            return 0;
        return sizeof(*code) +
               (((uint64_t)code->qualname_size + code->filename_size + 7) & ~UINT64_C(7));
    }
    case TALLY_RECORD_LINES: {
        const struct tally_lines *lines = (const struct tally_lines *)bytes;
        if (room < sizeof(*lines))
            return 0;
        return sizeof(*lines) + (((uint64_t)lines->size + 7) & ~UINT64_C(7));
    }
    case TALLY_RECORD_THREAD:
        return sizeof(struct tally_thread);
    case TALLY_RECORD_OBJECT: {
        const struct tally_object *object = (const struct tally_object *)bytes;
        return sizeof(*object) + (((uint64_t)object->path_size + 7) & ~UINT64_C(7));
    }
    case TALLY_RECORD_COUNTS:
        return sizeof(struct tally_counts) + bytes[1] * sizeof(uint64_t);
    case TALLY_RECORD_LIFE:
        return sizeof(struct tally_life);
    case TALLY_RECORD_WAIT:
        return sizeof(struct tally_wait);
    case TALLY_RECORD_AWAIT:
        return sizeof(struct tally_await);
    default:
        return 0;
    }
}

const void *tally_record_next(const struct tally_chunk *chunk, uint32_t *offset, uint32_t read_only,
                              uint32_t *size, bool *is_bad)
{
    if (*offset >= chunk->used)
        return NULL;
    const unsigned char *bytes = (const unsigned char *)(chunk + 1) + *offset;
    uint32_t room = chunk->used - *offset;
    uint64_t need = record_size(bytes, room, read_only);
    if (need == 0 || need > room) {
        *is_bad = true;
        return NULL;
    }
    *size = (uint32_t)need;
    *offset += *size;
    return bytes;
}
