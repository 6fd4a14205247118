/* Recordings as the agent leaves them, whole, half-written and changed, as the reader sees them. */
#include "base/error.h"
#include "fake_recording.h"
#include "recording/reader.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tally_recording *open_recording(const struct fake_recording *fake)
{
    struct tally_recording *recording = NULL;
    assert_int_equal(tally_recording_open(&recording, fake->path), 0);
    assert_non_null(recording);
    return recording;
}

static bool has_note(const struct tally_recording *recording, const char *part)
{
    for (size_t i = 0; i < recording->note_count; i++)
        if (strstr(recording->notes[i], part))
            return true;
    return false;
}

/* Two images of one event; the first has two slots, slot 1 two chunks. */
static struct fake_recording *small_recording(void)
{
    struct fake_recording *fake = fake_new();
    fake_event(fake, "page-faults", 1, 6000);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 1, 1, "main", "/home/user/program.py", 1);
    fake_node(image, 1, 0, 0, 1, 0);
    fake_sample(image, 0, 0, TALLY_NODE_STARTUP, 1);
    for (int i = 0; i < 5000; i++)
        fake_sample(image, 1, 0, fake_id(0), 1);
    image = fake_image(fake, 101, "python3\n-c");
    fake_sample(image, 0, 0, TALLY_NODE_NATIVE, 1);
    return fake;
}

static size_t count_records(const struct tally_recording *recording, int type, bool *is_bad)
{
    size_t count = 0;
    for (size_t i = 0; i < recording->image_count; i++)
        for (size_t k = 0; k < recording->images[i].slot_count; k++)
            for (size_t c = 0; c < recording->images[i].slots[k].chunk_count; c++) {
                const void *record;
                uint32_t offset = 0, size;
                while ((record = tally_record_next(recording->images[i].slots[k].chunks[c], &offset,
                                                   0, &size, is_bad)))
                    count += *(const uint8_t *)record == type;
            }
    return count;
}

static void test_whole(void **state)
{
    struct fake_recording *fake = small_recording();
    bool is_bad = false;
    (void)state;
    fake_write(fake, true);
    struct tally_recording *recording = open_recording(fake);
    assert_true(recording->is_sealed && !recording->is_damaged);
    assert_int_equal(recording->note_count, 0);
    assert_int_equal(recording->image_count, 2);
    assert_int_equal(recording->images[0].header->pid, 100);
    assert_int_equal(recording->images[0].slot_count, 2);
    assert_int_equal(recording->images[0].slots[1].chunk_count, 2);
    assert_int_equal(recording->images[0].slots[1].chunks[1]->sequence, 1);
    assert_int_equal(count_records(recording, TALLY_RECORD_SAMPLE, &is_bad), 5002);
    assert_int_equal(count_records(recording, TALLY_RECORD_CODE, &is_bad), 1);
    assert_false(is_bad);
    assert_string_equal(recording->run.command, "python3 program.py");
    assert_int_equal(recording->run.events[0].total, 6000);
    tally_recording_close(recording);
    fake_free(fake);
}

static void test_run_survives_json(void **state)
{
    struct fake_recording *fake = fake_new();
    struct tally_run again;
    (void)state;
    fake_event(fake, "page-faults", 1, UINT64_C(1) << 62);
    fake_event(fake, "task-clock", 1000000, 5);
    fake_event(fake, "minor-faults", 0, 0);
    fake->run.events[1].has_total = false;
    fake->run.events[2].running = 0.25;
    fake->run.exit_status = -1;
    fake->run.interval_ms = 10;
    fake->run.delivery_ns = 1234.5;
    tally_run_note(&fake->run, "%s was degraded — says “it”", "something");
    json_t *json = tally_run_to_json(&fake->run);
    assert_int_equal(tally_run_from_json(&again, json), 0);
    assert_int_equal(again.event_count, 3);
    assert_true(again.events[0].total == UINT64_C(1) << 62);
    assert_false(again.events[1].has_total);
    assert_true(again.events[1].event.is_clock && again.events[2].event.read_only);
    assert_true(again.events[2].running == 0.25 && again.delivery_ns == 1234.5);
    assert_int_equal(again.exit_status, -1);
    assert_string_equal(again.notes[0], fake->run.notes[0]);
    int term;
    assert_int_equal(tally_run_event_of(&again, 2, &term), 2);
    assert_int_equal(tally_run_event_of(&again, 3, &term), -1);
    assert_true(tally_run_is_exact(&again.events[0]));
    assert_false(tally_run_is_exact(&again.events[1]) || tally_run_is_exact(&again.events[2]));
    tally_run_release(&again);
    json_decref(json);
    fake_free(fake);
}

static void test_chunks_in_any_order(void **state)
{
    struct fake_recording *fake = small_recording();
    struct fake_image *image = &fake->images[0];
    static char spare[TALLY_CHUNK_SIZE];
    (void)state;
    assert_int_equal(image->chunk_count, 3);
    memcpy(spare, image->chunks, TALLY_CHUNK_SIZE);
    memcpy(image->chunks, image->chunks + (size_t)2 * TALLY_CHUNK_SIZE, TALLY_CHUNK_SIZE);
    memcpy(image->chunks + (size_t)2 * TALLY_CHUNK_SIZE, spare, TALLY_CHUNK_SIZE);
    fake_write(fake, true);
    struct tally_recording *recording = open_recording(fake);
    for (size_t k = 0; k < recording->images[0].slot_count; k++)
        for (size_t c = 0; c < recording->images[0].slots[k].chunk_count; c++)
            assert_int_equal(recording->images[0].slots[k].chunks[c]->sequence, c);
    tally_recording_close(recording);
    fake_free(fake);
}

/* SIGKILL between claiming a chunk and its first byte, the recorder ended too. */
static void test_killed_before_a_chunk_was_written(void **state)
{
    struct fake_recording *fake = small_recording();
    struct fake_image *image = &fake->images[0];
    bool is_bad = false;
    (void)state;
    memset(image->chunks + (size_t)2 * TALLY_CHUNK_SIZE, 0, TALLY_CHUNK_SIZE);
    image->header.state = TALLY_IMAGE_SAMPLING;
    fake_write(fake, false);
    struct tally_recording *recording = open_recording(fake);
    assert_false(recording->is_sealed || recording->is_damaged);
    assert_true(has_note(recording, "not sealed"));
    assert_true(count_records(recording, TALLY_RECORD_SAMPLE, &is_bad) > 4000);
    assert_false(is_bad);
    tally_recording_close(recording);
    fake_free(fake);
}

/* The same before the file was made longer. */
static void test_killed_before_a_chunk_was_there(void **state)
{
    struct fake_recording *fake = small_recording();
    (void)state;
    fake->images[0].header.chunk_count++;
    fake->images[0].header.state = TALLY_IMAGE_SAMPLING;
    fake_write(fake, true);
    struct tally_recording *recording = open_recording(fake);
    bool is_bad = false;
    assert_int_equal(count_records(recording, TALLY_RECORD_SAMPLE, &is_bad), 5002);
    tally_recording_close(recording);
    fake_free(fake);
}

/* As the simulator writes them anew: what the header does not name is of an earlier time. */
static void test_old_chunks_of_a_rewritten_image(void **state)
{
    static const struct {
        uint32_t flags;
        uint64_t first;
        size_t chunks;
    } cases[] = {{0, 2, 3},
                 {TALLY_IMAGE_REWRITTEN, 0, 3},
                 {TALLY_IMAGE_REWRITTEN, 1, 2},
                 {TALLY_IMAGE_REWRITTEN, 3, 0},
                 {TALLY_IMAGE_REWRITTEN, UINT64_MAX, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_recording *fake = small_recording();
        size_t chunks = 0;
        fake->images[0].header.flags = cases[i].flags;
        fake->images[0].header.first_chunk = cases[i].first;
        fake_write(fake, true);
        struct tally_recording *recording = open_recording(fake);
        const struct tally_image *image = &recording->images[0];
        for (size_t k = 0; k < image->slot_count; k++)
            chunks += image->slots[k].chunk_count;
        assert_int_equal(chunks, cases[i].chunks);
        assert_false(recording->is_damaged);
        tally_recording_close(recording);
        fake_free(fake);
    }
}

static void test_changed_blocks_are_left_out(void **state)
{
    struct fake_recording *fake = small_recording();
    bool is_bad = false;
    (void)state;
    fake_write(fake, true);
    fake_change(fake, "000001.image", TALLY_HEADER_SIZE + 2 * TALLY_CHUNK_SIZE + 5000);
    struct tally_recording *recording = open_recording(fake);
    assert_true(recording->is_damaged && has_note(recording, "changed"));
    size_t left = count_records(recording, TALLY_RECORD_SAMPLE, &is_bad);
    assert_true(left > 0 && left < 5002);
    assert_false(is_bad);
    tally_recording_close(recording);
    fake_free(fake);
}

static void test_changed_header_leaves_its_process_out(void **state)
{
    struct fake_recording *fake = small_recording();
    (void)state;
    fake_write(fake, true);
    fake_change(fake, "000001.image", 12);
    struct tally_recording *recording = open_recording(fake);
    assert_true(recording->is_damaged);
    assert_int_equal(recording->image_count, 1);
    assert_int_equal(recording->images[0].header->pid, 101);
    tally_recording_close(recording);
    fake_free(fake);
}

static void test_changed_description_is_refused(void **state)
{
    struct fake_recording *fake = small_recording();
    struct tally_recording *recording = NULL;
    (void)state;
    fake_write(fake, true);
    for (size_t i = 0; i < fake_size(fake, "session.json"); i += 7) {
        fake_change(fake, "session.json", i);
        assert_int_equal(tally_recording_open(&recording, fake->path), TALLY_DAMAGED);
        assert_null(recording);
        fake_change(fake, "session.json", i);
    }
    fake_free(fake);
}

/* With no seal to hold it against, whatever the text says must still be a recording's. */
static void test_descriptions_that_are_none(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{}", "null", "{\"format\": 1}", "{\"format\": \"1\"}", "{\"format\": 99}"};
    struct fake_recording *fake = small_recording();
    struct tally_recording *recording = NULL;
    (void)state;
    fake_write(fake, false);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fake_file(fake, "session.json", texts[i], strlen(texts[i]));
        assert_true(tally_recording_open(&recording, fake->path) < 0);
        assert_true(tally_error_text()[0] != '\0');
        assert_null(recording);
    }
    fake_free(fake);
}

static void test_missing_things(void **state)
{
    struct fake_recording *fake = small_recording();
    struct tally_recording *recording = NULL;
    (void)state;
    fake_write(fake, true);
    fake_remove(fake, "000002.image");
    recording = open_recording(fake);
    assert_true(recording->is_damaged && has_note(recording, "000002.image is missing"));
    assert_int_equal(recording->image_count, 1);
    tally_recording_close(recording);
    recording = NULL;
    fake_remove(fake, "session.json");
    assert_true(tally_recording_open(&recording, fake->path) < 0);
    assert_non_null(strstr(tally_error_text(), "no recording"));
    assert_int_equal(tally_recording_open(&recording, "/nonexistent/rec"), TALLY_NOT_FOUND);
    assert_null(recording);
    fake_free(fake);
}

/* An image cut at every 1/50 of its length: always a sentence, and no sample that was not there. */
static void test_truncated_images(void **state)
{
    struct fake_recording *fake = small_recording();
    (void)state;
    fake_write(fake, true);
    size_t whole = fake_size(fake, "000001.image");
    for (size_t i = 49; i > 0; i--) {
        bool is_bad = false;
        fake_truncate(fake, "000001.image", whole * i / 50);
        struct tally_recording *recording = open_recording(fake);
        assert_true(recording->is_damaged && recording->note_count > 0);
        assert_true(count_records(recording, TALLY_RECORD_SAMPLE, &is_bad) < 5002);
        assert_false(is_bad);
        tally_recording_close(recording);
    }
    fake_free(fake);
}

static void test_foreign_bytes_in_chunks(void **state)
{
    struct fake_recording *fake = small_recording();
    struct fake_image *image = &fake->images[0];
    (void)state;
    ((struct tally_chunk *)image->chunks)->magic = 1;
    ((struct tally_chunk *)(image->chunks + TALLY_CHUNK_SIZE))->used = TALLY_CHUNK_SIZE;
    ((struct tally_chunk *)(image->chunks + (size_t)2 * TALLY_CHUNK_SIZE))->used = 12;
    fake_write(fake, false);
    struct tally_recording *recording = open_recording(fake);
    assert_true(recording->is_damaged && has_note(recording, "damaged"));
    assert_int_equal(recording->images[0].slot_count, 0);
    tally_recording_close(recording);
    fake_free(fake);
}

/* Strings of a header that fill it, and names that only look like images. */
static void test_headers(void **state)
{
    struct fake_recording *fake = small_recording();
    struct tally_image_header *header = &fake->images[1].header;
    (void)state;
    memset(header->comm, 'c', sizeof(header->comm));
    memset(header->program, 'p', sizeof(header->program));
    memset(header->script, 's', sizeof(header->script));
    memset(header->refusal, 'r', sizeof(header->refusal));
    fake_write(fake, false);
    fake_file(fake, "x.image", "short", 5);
    fake_file(fake, ".image", "", 0);
    struct tally_recording *recording = open_recording(fake);
    assert_true(has_note(recording, "x.image is damaged"));
    assert_int_equal(recording->image_count, 2);
    assert_int_equal(strlen(recording->images[1].header->comm), 15);
    assert_int_equal(strlen(recording->images[1].header->refusal), 127);
    tally_recording_close(recording);
    fake_free(fake);
}

static void test_another_number_of_counters(void **state)
{
    struct fake_recording *fake = small_recording();
    (void)state;
    fake->images[1].header.counter_count = 5;
    fake_write(fake, true);
    struct tally_recording *recording = open_recording(fake);
    assert_int_equal(recording->image_count, 1);
    assert_true(recording->is_damaged);
    tally_recording_close(recording);
    fake_free(fake);
}

/* One chunk's records, each type cut at each of its bytes: none reaches beyond `used`. */

static union {
    struct tally_chunk chunk;
    unsigned char bytes[TALLY_CHUNK_SIZE];
} one;

static void assert_next(const void *record, uint32_t size, uint32_t read_only, uint32_t needed)
{
    for (uint32_t used = 0; used <= size + 8; used++) {
        uint32_t offset = 0, got = 0;
        bool is_bad = false;
        memset(&one, 0, sizeof(one));
        one.chunk.used = used;
        memcpy(&one.chunk + 1, record, size);
        const void *found = tally_record_next(&one.chunk, &offset, read_only, &got, &is_bad);
        assert_int_equal(found != NULL, used >= needed);
        assert_int_equal(is_bad, used && used < needed);
        assert_int_equal(offset, used >= needed ? needed : 0);
        if (found)
            assert_int_equal(got, needed);
    }
}

static void test_records_at_the_end_of_a_chunk(void **state)
{
    const struct tally_sample sample = {.type = TALLY_RECORD_SAMPLE};
    const struct tally_sample other = {.type = TALLY_RECORD_SAMPLE, .counter = 1};
    const struct tally_sample_wide wide = {.sample = {.type = TALLY_RECORD_SAMPLE_WIDE}};
    const struct tally_node node = {.type = TALLY_RECORD_NODE};
    const struct tally_code code = {
        .type = TALLY_RECORD_CODE, .qualname_size = 3, .filename_size = 6};
    const struct tally_lines lines = {.type = TALLY_RECORD_LINES, .size = 1};
    const struct tally_thread thread = {.type = TALLY_RECORD_THREAD};
    const struct tally_counts counts = {.type = TALLY_RECORD_COUNTS, .counter_count = 2};
    const struct tally_object object = {.type = TALLY_RECORD_OBJECT, .path_size = 8};
    const struct tally_life life = {.type = TALLY_RECORD_LIFE};
    const struct tally_wait wait = {.type = TALLY_RECORD_WAIT};
    const struct tally_await await = {.wait = {.type = TALLY_RECORD_AWAIT}};
    (void)state;
    assert_next(&sample, sizeof(sample), 0, 16);
    assert_next(&sample, sizeof(sample), 3, 16 + 24);
    assert_next(&other, sizeof(other), 3, 16);
    assert_next(&wide, sizeof(wide), 0, 24);
    assert_next(&wide, sizeof(wide), 1, 32);
    assert_next(&node, sizeof(node), 0, 24);
    assert_next(&code, sizeof(code), 0, sizeof(code) + 16);
    assert_next(&lines, sizeof(lines), 0, sizeof(lines) + 8);
    assert_next(&thread, sizeof(thread), 0, sizeof(thread));
    assert_next(&counts, sizeof(counts), 0, sizeof(counts) + 16);
    assert_next(&object, sizeof(object), 0, sizeof(object) + 8);
    assert_next(&life, sizeof(life), 0, sizeof(life));
    assert_next(&wait, sizeof(wait), 0, sizeof(wait));
    assert_next(&await, sizeof(await), 0, sizeof(await));
}

static void test_records_that_are_none(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        uint32_t offset = 0, size;
        bool is_bad = false;
        if (type >= TALLY_RECORD_SAMPLE && type <= TALLY_RECORD_AWAIT)
            continue;
        memset(&one, 0xff, sizeof(one));
        one.chunk.used = 64;
        *(unsigned char *)(&one.chunk + 1) = (unsigned char)type;
        assert_null(tally_record_next(&one.chunk, &offset, 0, &size, &is_bad));
        assert_true(is_bad);
    }
    for (int type = TALLY_RECORD_SAMPLE; type <= TALLY_RECORD_AWAIT; type++) {
        uint32_t offset = 0, size = 0;
        bool is_bad = false;
        memset(&one, 0xff, sizeof(one)); /* the largest sizes there are */
        one.chunk.used = TALLY_CHUNK_SIZE - sizeof(one.chunk);
        *(unsigned char *)(&one.chunk + 1) = (unsigned char)type;
        tally_record_next(&one.chunk, &offset, 16, &size, &is_bad);
        assert_true(offset <= one.chunk.used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_run_survives_json),
        cmocka_unit_test(test_chunks_in_any_order),
        cmocka_unit_test(test_killed_before_a_chunk_was_written),
        cmocka_unit_test(test_killed_before_a_chunk_was_there),
        cmocka_unit_test(test_old_chunks_of_a_rewritten_image),
        cmocka_unit_test(test_changed_blocks_are_left_out),
        cmocka_unit_test(test_changed_header_leaves_its_process_out),
        cmocka_unit_test(test_changed_description_is_refused),
        cmocka_unit_test(test_descriptions_that_are_none),
        cmocka_unit_test(test_missing_things),
        cmocka_unit_test(test_truncated_images),
        cmocka_unit_test(test_foreign_bytes_in_chunks),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_another_number_of_counters),
        cmocka_unit_test(test_records_at_the_end_of_a_chunk),
        cmocka_unit_test(test_records_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
