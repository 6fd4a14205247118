#include "fake_recording.h"

#include "base/buffer.h"
#include "recording/seal.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fake_recording *fake_new(void)
{
    struct fake_recording *fake = tally_alloc_zeroed(1, sizeof(*fake));
    const char *folder = getenv("TMPDIR");
    folder = folder && strlen(folder) < 40 ? folder : "/tmp";
    snprintf(fake->path, sizeof(fake->path), "%s/fake-XXXXXX", folder);
    assert_non_null(mkdtemp(fake->path));
    fake->run.command = tally_strdup("python3 program.py");
    fake->run.directory = tally_strdup("/home/user");
    fake->run.machine = tally_strdup("machine");
    fake->run.started = tally_strdup("2026-01-01T00:00:00Z");
    fake->run.version = tally_strdup("0.1.0");
    return fake;
}

void fake_event(struct fake_recording *fake, const char *name, uint64_t period, uint64_t total)
{
    struct tally_run_event *added = &fake->run.events[fake->run.event_count++];
    bool is_clock = strstr(name, "clock") != NULL;
    added->first_counter = fake->run.counter_count++;
    added->has_total = true;
    added->total = total;
    added->running = 1;
    added->event.source = TALLY_SOURCE_SOFTWARE;
    added->event.unit = is_clock ? TALLY_UNIT_NS : TALLY_UNIT_COUNT;
    added->event.is_clock = is_clock;
    added->event.read_only = !period;
    added->event.period = period;
    added->event.term_count = 1;
    added->event.terms[0].factor = 1;
    snprintf(added->event.name, sizeof(added->event.name), "%s", name);
    snprintf(added->event.terms[0].encoding, sizeof(added->event.terms[0].encoding), "%s", name);
}

struct fake_image *fake_image(struct fake_recording *fake, uint32_t pid, const char *script)
{
    struct fake_image *image = &fake->images[fake->image_count++];
    struct tally_image_header *header = &image->header;
    assert_true(fake->image_count <= FAKE_IMAGES);
    memcpy(header->magic, TALLY_IMAGE_MAGIC, sizeof(header->magic));
    header->state = TALLY_IMAGE_ENDED;
    header->pid = pid;
    header->python = FAKE_PYTHON;
    header->counter_count = (uint32_t)fake->run.counter_count;
    header->is_root = fake->image_count == 1;
    snprintf(header->comm, sizeof(header->comm), "python3");
    snprintf(header->script, sizeof(header->script), "%s", script);
    return image;
}

static struct tally_chunk *chunk_at(const struct fake_image *image, size_t index)
{
    return (struct tally_chunk *)(image->chunks + index * TALLY_CHUNK_SIZE);
}

static struct tally_chunk *chunk_with_room(struct fake_image *image, uint32_t slot, size_t size)
{
    size_t last = image->slots[slot].chunk;
    struct tally_chunk *chunk = last ? chunk_at(image, last - 1) : NULL;
    if (chunk && chunk->used + size <= TALLY_CHUNK_SIZE - sizeof(*chunk))
        return chunk;
    image->chunks = tally_realloc(image->chunks, image->chunk_count + 1, TALLY_CHUNK_SIZE);
    image->slots[slot].chunk = ++image->chunk_count;
    image->header.chunk_count = image->chunk_count;
    chunk = chunk_at(image, image->chunk_count - 1);
    memset(chunk, 0, TALLY_CHUNK_SIZE);
    *chunk = (struct tally_chunk){
        .magic = TALLY_CHUNK_MAGIC, .slot = slot, .sequence = image->slots[slot].sequence++};
    return chunk;
}

void fake_put(struct fake_image *image, uint32_t slot, const void *record, size_t size)
{
    struct tally_chunk *chunk = chunk_with_room(image, slot, tally_padded((uint32_t)size));
    memcpy((char *)(chunk + 1) + chunk->used, record, size);
    chunk->used += tally_padded((uint32_t)size);
}

void fake_thread(struct fake_image *image, uint32_t slot, uint32_t tid, const char *name)
{
    struct tally_thread record = {.type = TALLY_RECORD_THREAD, .tid = tid};
    snprintf(record.name, sizeof(record.name), "%s", name);
    fake_put(image, slot, &record, sizeof(record));
}

void fake_code(struct fake_image *image, uint32_t slot, uint32_t id, const char *name,
               const char *file, uint32_t first_line)
{
    struct tally_buffer bytes = {0};
    struct tally_code record = {.type = TALLY_RECORD_CODE,
                                .qualname_size = (uint16_t)strlen(name),
                                .id = id,
                                .first_line = first_line,
                                .filename_size = (uint32_t)strlen(file),
                                .lines_size = 2 * FAKE_LINES};
    struct tally_lines lines = {
        .type = TALLY_RECORD_LINES, .code = id, .size = (uint32_t)record.lines_size};
    tally_buffer_append(&bytes, &record, sizeof(record));
    tally_buffer_printf(&bytes, "%s%s", name, file);
    fake_put(image, slot, bytes.data, bytes.size);
    tally_buffer_clear(&bytes);
    tally_buffer_append(&bytes, &lines, sizeof(lines));
    /* Entries of kind 13, so many lines on: see test_lines.c. */
    for (int i = 0; i < FAKE_LINES; i++)
        tally_buffer_append(&bytes, i ? "\xe8\x02" : "\xe8\x00", 2);
    fake_put(image, slot, bytes.data, bytes.size);
    tally_buffer_release(&bytes);
}

uint32_t fake_id(uint32_t number)
{
    return TALLY_NODE_FIRST + number;
}

void fake_node(struct fake_image *image, uint32_t slot, uint32_t number, uint32_t parent,
               uint32_t code, uint32_t instruction)
{
    struct tally_node record = {.type = TALLY_RECORD_NODE,
                                .id = fake_id(number),
                                .parent = parent,
                                .code = code,
                                .instruction = instruction};
    fake_put(image, slot, &record, sizeof(record));
}

static void put_sample(struct fake_image *image, uint32_t slot, struct tally_sample sample,
                       uint64_t weight, const uint64_t *extra, size_t extra_count)
{
    struct tally_buffer bytes = {0};
    bool is_wide = weight > UINT32_MAX;
    sample.type = is_wide ? TALLY_RECORD_SAMPLE_WIDE : TALLY_RECORD_SAMPLE;
    sample.weight = is_wide ? 0 : (uint32_t)weight;
    tally_buffer_append(&bytes, &sample, sizeof(sample));
    if (is_wide)
        tally_buffer_append(&bytes, &weight, sizeof(weight));
    if (extra_count)
        tally_buffer_append(&bytes, extra, extra_count * sizeof(*extra));
    fake_put(image, slot, bytes.data, bytes.size);
    tally_buffer_release(&bytes);
}

void fake_sample(struct fake_image *image, uint32_t slot, unsigned counter, uint32_t node,
                 uint64_t weight)
{
    struct tally_sample sample = {.counter = (uint8_t)counter, .node = node};
    put_sample(image, slot, sample, weight, NULL, 0);
}

void fake_sample_reading(struct fake_image *image, uint32_t slot, uint32_t node, uint64_t weight,
                         const uint64_t *extra, size_t extra_count)
{
    put_sample(image, slot, (struct tally_sample){.node = node}, weight, extra, extra_count);
}

void fake_counts(struct fake_image *image, uint32_t slot, uint32_t of, uint32_t life, uint32_t tid,
                 const uint64_t *counts, size_t count)
{
    struct tally_buffer bytes = {0};
    struct tally_counts record = {.type = TALLY_RECORD_COUNTS,
                                  .counter_count = (uint8_t)count,
                                  .tid = tid,
                                  .slot = of,
                                  .life = life,
                                  .handler_ns = 1000,
                                  .handler_calls = 10};
    tally_buffer_append(&bytes, &record, sizeof(record));
    tally_buffer_append(&bytes, counts, count * sizeof(*counts));
    fake_put(image, slot, bytes.data, bytes.size);
    tally_buffer_release(&bytes);
}

static void name_of(const struct fake_recording *fake, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", fake->path, name);
}

void fake_file(const struct fake_recording *fake, const char *name, const void *bytes, size_t size)
{
    char path[256];
    name_of(fake, name, path);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static void write_image(const struct fake_recording *fake, size_t index)
{
    const struct fake_image *image = &fake->images[index];
    struct tally_buffer bytes = {0};
    char name[32];
    snprintf(name, sizeof(name), "%06zu.image", index + 1);
    tally_buffer_append(&bytes, image->block, TALLY_HEADER_SIZE);
    if (image->chunk_count)
        tally_buffer_append(&bytes, image->chunks, image->chunk_count * TALLY_CHUNK_SIZE);
    fake_file(fake, name, bytes.data, bytes.size);
    tally_buffer_release(&bytes);
}

void fake_write(struct fake_recording *fake, bool is_sealed)
{
    json_t *json = tally_run_to_json(&fake->run);
    char *text = json_dumps(json, JSON_INDENT(1));
    fake_file(fake, "session.json", text, strlen(text));
    free(text);
    json_decref(json);
    for (size_t i = 0; i < fake->image_count; i++)
        write_image(fake, i);
    if (!is_sealed)
        return;
    int directory = open(fake->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(tally_seal_write(directory), 0);
    close(directory);
}

void fake_change(const struct fake_recording *fake, const char *name, size_t at)
{
    char path[256];
    name_of(fake, name, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

void fake_truncate(const struct fake_recording *fake, const char *name, size_t size)
{
    char path[256];
    name_of(fake, name, path);
    assert_int_equal(truncate(path, (off_t)size), 0);
}

void fake_remove(const struct fake_recording *fake, const char *name)
{
    char path[256];
    name_of(fake, name, path);
    assert_int_equal(unlink(path), 0);
}

size_t fake_size(const struct fake_recording *fake, const char *name)
{
    char path[256];
    struct stat status;
    name_of(fake, name, path);
    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

void fake_free(struct fake_recording *fake)
{
    DIR *list = opendir(fake->path);
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
    rmdir(fake->path);
    for (size_t i = 0; i < fake->image_count; i++)
        free(fake->images[i].chunks);
    tally_run_release(&fake->run);
    free(fake);
}
