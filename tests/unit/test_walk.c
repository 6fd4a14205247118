/* The walker and the readers beside it, on memory of real interpreters, whole and then hostile. */
#include "python/lines.h"
#include "python/walk.h"
#include "recorded_memory.h"
#include "unit.h"

#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 64, TEXT = 512 };

/* No walk over ROOM frames looks at memory more often than this. */
enum { MOST_VIEWS = 2 + 4 * ROOM + 1 };

static const struct py_layout *layout_of(const struct recorded_memory *recorded)
{
    char reason[PY_REASON_SIZE];
    const struct py_layout *layout = py_layout_find(recorded->version, NULL, 0, reason);
    assert_non_null(layout);
    return layout;
}

static uint32_t line_of(struct recorded_memory *recorded, const struct py_code *code,
                        uint32_t instruction)
{
    uint64_t data;
    uint32_t *lines, line;
    size_t size = py_bytes_find(&recorded->memory, code->lines, &data);
    uint8_t *table = tally_alloc(size);
    for (size_t done = 0; done < size; done += PY_VIEW_MAX) {
        size_t part = size - done < PY_VIEW_MAX ? size - done : PY_VIEW_MAX;
        const void *bytes = recorded->memory.view(&recorded->memory, data + done, part);
        assert_non_null(bytes);
        memcpy(table + done, bytes, part);
    }
    size_t count = py_lines_decode(table, size, code->first_line, &lines);
    assert_true(instruction < count);
    line = lines[instruction];
    free(lines);
    free(table);
    return line;
}

static void assert_string(struct recorded_memory *recorded, uint64_t address, const char *expected)
{
    char text[TEXT];
    size_t size =
        py_string_read(layout_of(recorded), &recorded->memory, address, text, sizeof(text) - 1);
    text[size] = '\0';
    assert_string_equal(text, expected);
}

static void assert_frame(struct recorded_memory *recorded, const struct py_frame *frame,
                         const struct recorded_frame *expected)
{
    const struct py_layout *layout = layout_of(recorded);
    struct py_code code;
    assert_int_equal(recorded_word(recorded, frame->code + 8), recorded->code_type);
    py_code_read(layout, recorded_at(recorded, frame->code, layout->code_start), &code);
    assert_int_equal(code.first_line, expected->first_line);
    assert_string(recorded, code.qualname, expected->qualname);
    assert_string(recorded, code.filename, expected->file);
    assert_int_equal(line_of(recorded, &code, frame->instruction), expected->line);
}

static void assert_same_frames(const struct py_frame *frames, const struct py_frame *expected,
                               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(frames[i].code, expected[i].code);
        assert_int_equal(frames[i].instruction, expected[i].instruction);
    }
}

static void test_frames_are_what_python_says(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    struct py_frame frames[ROOM];
    size_t count;
    assert_int_equal(
        py_walk(layout_of(recorded), &recorded->memory, recorded->tstate, frames, ROOM, &count),
        PY_WALK_COMPLETE);
    assert_int_equal(count, recorded->frame_count);
    assert_true(recorded->views <= MOST_VIEWS);
    for (size_t i = 0; i < count; i++)
        assert_frame(recorded, &frames[i], &recorded->frames[i]);
    recorded_release(recorded);
}

static void test_room_keeps_the_innermost(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    struct py_frame all[ROOM], frames[ROOM];
    size_t count, depth;
    const struct py_layout *layout = layout_of(recorded);
    py_walk(layout, &recorded->memory, recorded->tstate, all, ROOM, &depth);
    for (size_t room = 0; room <= depth; room++) {
        memset(frames, 0xee, sizeof(frames));
        enum py_walk_end end =
            py_walk(layout, &recorded->memory, recorded->tstate, frames, room, &count);
        assert_int_equal(count, room);
        assert_int_equal(end, room < depth ? PY_WALK_TRUNCATED : PY_WALK_COMPLETE);
        assert_same_frames(frames, all, room);
        assert_int_equal(frames[room].instruction, 0xeeeeeeee);
    }
    recorded_release(recorded);
}

/* Whatever it reads, the walk ends, within bounds; so do the readers of what it found. */
static void look_at_everything(struct recorded_memory *recorded)
{
    const struct py_layout *layout = layout_of(recorded);
    struct py_frame frames[ROOM];
    char text[TEXT];
    size_t count = 99;
    recorded->views = 0;
    py_walk(layout, &recorded->memory, recorded->tstate, frames, ROOM, &count);
    assert_true(count <= ROOM && recorded->views <= MOST_VIEWS);
    for (size_t i = 0; i < count; i++) {
        const void *object =
            recorded->memory.view(&recorded->memory, frames[i].code, layout->code_start);
        struct py_code code;
        uint64_t data;
        if (!object)
            continue;
        py_code_read(layout, object, &code);
        recorded->views = 0;
        assert_true(py_string_read(layout, &recorded->memory, code.qualname, text, TEXT) <= TEXT);
        assert_true(py_string_read(layout, &recorded->memory, code.filename, text, TEXT) <= TEXT);
        assert_true(py_bytes_find(&recorded->memory, code.lines, &data) <= 1u << 30);
        assert_true(recorded->views < 2 * (1 + TEXT) + 1);
    }
}

static void test_every_word_corrupted(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    for (size_t i = 0; i < recorded->region_count; i++) {
        struct recorded_region *region = &recorded->regions[i];
        /* The region itself, so that a pointer leads to where there is something to read */
        const uint64_t values[] = {
            0,           UINT64_MAX,          UINT64_MAX / 2,      region->address,
            1,           region->address + 1, region->address + 8, recorded->tstate,
            ~UINT64_C(7)};
        for (size_t at = 0; at + 8 <= region->size; at += 8)
            for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
                uint64_t word = recorded_word(recorded, region->address + at);
                memcpy(region->bytes + at, &values[k], sizeof(word));
                look_at_everything(recorded);
                memcpy(region->bytes + at, &word, sizeof(word));
            }
    }
    recorded_release(recorded);
}

static void test_every_view_refused(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    const struct py_layout *layout = layout_of(recorded);
    struct py_frame all[ROOM], frames[ROOM];
    size_t count, depth;
    py_walk(layout, &recorded->memory, recorded->tstate, all, ROOM, &depth);
    size_t needed = recorded->views;
    for (size_t most = 0; most < needed; most++) {
        recorded->views = 0;
        recorded->views_most = most;
        assert_int_equal(py_walk(layout, &recorded->memory, recorded->tstate, frames, ROOM, &count),
                         PY_WALK_UNREADABLE);
        assert_true(count <= depth);
        assert_same_frames(frames, all, count);
    }
    recorded_release(recorded);
}

/* Memory that ends before the record of an object does. */
static void test_every_region_cut(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    for (size_t i = 0; i < recorded->region_count; i++) {
        size_t whole = recorded->regions[i].size;
        for (size_t size = 0; size < whole; size += 4) {
            recorded->regions[i].size = size;
            look_at_everything(recorded);
        }
        recorded->regions[i].size = whole;
    }
    recorded_release(recorded);
}

/* Addresses of the frames, foreign ones included. */
static size_t frame_addresses(struct recorded_memory *recorded, uint64_t *addresses)
{
    const struct py_layout *layout = layout_of(recorded);
    uint64_t frame = recorded_word(recorded, recorded->tstate + layout->tstate_frame);
    size_t count = 0;
    if (layout->frame_by_cframe)
        frame = recorded_word(recorded, frame + layout->cframe_frame);
    for (; frame; frame = recorded_word(recorded, frame + layout->frame_previous))
        addresses[count++] = frame;
    return count;
}

static enum py_walk_end walk_with_previous(struct recorded_memory *recorded, uint64_t frame,
                                           uint64_t previous, size_t *count)
{
    const struct py_layout *layout = layout_of(recorded);
    struct py_frame frames[ROOM];
    uint64_t before = recorded_word(recorded, frame + layout->frame_previous);
    recorded_set_word(recorded, frame + layout->frame_previous, previous);
    recorded->views = 0;
    enum py_walk_end end =
        py_walk(layout, &recorded->memory, recorded->tstate, frames, ROOM, count);
    recorded_set_word(recorded, frame + layout->frame_previous, before);
    assert_true(recorded->views <= MOST_VIEWS);
    return end;
}

static void test_cycles_and_misaligned_frames(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    uint64_t addresses[2 * ROOM];
    size_t count, depth = frame_addresses(recorded, addresses);
    for (size_t i = 0; i < depth; i++) {
        for (size_t k = 0; k <= i; k++)
            assert_int_equal(walk_with_previous(recorded, addresses[i], addresses[k], &count),
                             PY_WALK_UNREADABLE);
        for (uint64_t odd = 1; odd < 8; odd++)
            assert_int_equal(walk_with_previous(recorded, addresses[i], addresses[0] + odd, &count),
                             PY_WALK_UNREADABLE);
        assert_int_equal(walk_with_previous(recorded, addresses[i], 0, &count), PY_WALK_COMPLETE);
        assert_true(count <= i + 1);
    }
    recorded_release(recorded);
}

/* A chain of C code's frames only, which fill no room. */
static void test_cycle_of_foreign_frames(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    const struct py_layout *layout = layout_of(recorded);
    uint64_t addresses[2 * ROOM];
    size_t count, depth = frame_addresses(recorded, addresses);
    for (size_t i = 0; i < depth; i++)
        *recorded_at(recorded, addresses[i] + layout->frame_owner, 1) = layout->owner_foreign;
    assert_int_equal(walk_with_previous(recorded, addresses[depth - 1], addresses[0], &count),
                     PY_WALK_UNREADABLE);
    assert_int_equal(count, 0);
    recorded_release(recorded);
}

static void test_thread_without_python(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    const struct py_layout *layout = layout_of(recorded);
    struct py_frame frames[ROOM];
    size_t count = 99;
    recorded_set_word(recorded, recorded->tstate + layout->tstate_frame, 0);
    assert_int_equal(py_walk(layout, &recorded->memory, recorded->tstate, frames, ROOM, &count),
                     PY_WALK_COMPLETE);
    assert_int_equal(count, 0);
    recorded_release(recorded);
}

/* Strings of a known layout: 3.13's. */

enum { STRING_SIZE = 4096, STRING_ADDRESS = 4096, KIND_AT = 2, COMPACT = 1 << 5, ASCII = 1 << 6 };

struct string_memory {
    struct py_memory memory;
    size_t size;
    unsigned char bytes[STRING_SIZE];
};

static const void *view_string(struct py_memory *memory, uint64_t address, size_t size)
{
    struct string_memory *string = (struct string_memory *)memory;
    uint64_t offset = address - STRING_ADDRESS;
    assert_true(size <= PY_VIEW_MAX);
    return offset < string->size && size <= string->size - offset ? string->bytes + offset : NULL;
}

static void make_string(struct string_memory *string, uint32_t state, uint64_t length,
                        const void *data, size_t size)
{
    *string = (struct string_memory){.memory = {view_string}, .size = STRING_SIZE};
    memcpy(string->bytes + 16, &length, sizeof(length));
    memcpy(string->bytes + 32, &state, sizeof(state));
    memcpy(string->bytes + (state & ASCII ? 40 : 56), data, size);
}

static size_t read_string(struct string_memory *string, char *out, size_t room)
{
    char reason[PY_REASON_SIZE];
    const struct py_layout *layout = py_layout_find(0x030d00f0, NULL, 0, reason);
    return py_string_read(layout, &string->memory, STRING_ADDRESS, out, room);
}

static void test_strings(void **state)
{
    static const uint16_t wide[] = {'a', 0xff, 0x20ac, 0xd800, 0xdfff, 0xffff};
    static const uint32_t widest[] = {0x10ffff, 'z', 0x1f600};
    struct string_memory string;
    char out[TEXT];
    (void)state;
    make_string(&string, 1u << KIND_AT | COMPACT | ASCII, 3, "abc", 3);
    assert_int_equal(read_string(&string, out, TEXT), 3);
    assert_memory_equal(out, "abc", 3);
    make_string(&string, 1u << KIND_AT | COMPACT, 2, "\xe4z", 2);
    assert_int_equal(read_string(&string, out, TEXT), 3);
    assert_memory_equal(out, "äz", 3);
    /* Undecodable bytes of a path are lone surrogates in Python, which UTF-8 does not have. */
    make_string(&string, 2u << KIND_AT | COMPACT, 6, wide, sizeof(wide));
    size_t size = read_string(&string, out, TEXT);
    assert_int_equal(size, strlen("aÿ€\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbf"));
    assert_memory_equal(out, "aÿ€\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbf", size);
    make_string(&string, 4u << KIND_AT | COMPACT, 3, widest, sizeof(widest));
    assert_int_equal(read_string(&string, out, TEXT), 9);
    assert_memory_equal(out, "\xf4\x8f\xbf\xbfz\xf0\x9f\x98\x80", 9);
    make_string(&string, 1u << KIND_AT | COMPACT | ASCII, 0, "", 0);
    assert_int_equal(read_string(&string, out, TEXT), 0);
}

static void test_strings_are_cut_at_characters(void **state)
{
    static const uint16_t euros[] = {0x20ac, 0x20ac, 0x20ac};
    struct string_memory string;
    char out[16];
    (void)state;
    make_string(&string, 2u << KIND_AT | COMPACT, 3, euros, sizeof(euros));
    for (size_t room = 0; room <= sizeof(out); room++) {
        memset(out, '#', sizeof(out));
        size_t size = read_string(&string, out, room);
        assert_int_equal(size, room < 9 ? room / 3 * 3 : 9);
        assert_memory_equal(out, "€€€", size);
        assert_true(size == sizeof(out) || out[size] == '#');
    }
}

static void test_long_and_broken_strings(void **state)
{
    static char text[1000], out[4096];
    struct string_memory string;
    (void)state;
    memset(text, 'x', sizeof(text));
    make_string(&string, 1u << KIND_AT | COMPACT | ASCII, sizeof(text), text, sizeof(text));
    assert_int_equal(read_string(&string, out, sizeof(out)), sizeof(text)); /* several views */
    assert_memory_equal(out, text, sizeof(text));
    string.size = 40 + 600; /* its end cannot be read */
    assert_true(read_string(&string, out, sizeof(out)) <= 600);
    string.size = 20;
    assert_int_equal(read_string(&string, out, sizeof(out)), 0);
    for (uint32_t kind = 0; kind < 8; kind++) {
        make_string(&string, kind << KIND_AT | COMPACT, UINT64_MAX, text, sizeof(text));
        assert_true(read_string(&string, out, sizeof(out)) <= sizeof(out));
        make_string(&string, kind << KIND_AT, 3, text, sizeof(text)); /* not compact */
        assert_int_equal(read_string(&string, out, sizeof(out)), 0);
    }
}

static void test_bytes(void **state)
{
    struct string_memory string;
    uint64_t data = 0, length = 5;
    (void)state;
    make_string(&string, 0, length, "", 0);
    assert_int_equal(py_bytes_find(&string.memory, STRING_ADDRESS, &data), 5);
    assert_int_equal(data, STRING_ADDRESS + 32);
    make_string(&string, 0, UINT64_MAX, "", 0);
    assert_int_equal(py_bytes_find(&string.memory, STRING_ADDRESS, &data), 0);
    assert_int_equal(py_bytes_find(&string.memory, 0, &data), 0);
}

static void test_instruction_outside_code(void **state)
{
    struct recorded_memory *recorded = recorded_load(*state);
    const struct py_layout *layout = layout_of(recorded);
    struct py_frame frames[ROOM];
    uint64_t addresses[2 * ROOM] = {0};
    size_t count;
    assert_true(frame_addresses(recorded, addresses) > 0);
    uint64_t code = recorded_word(recorded, addresses[0] + layout->frame_code) & ~UINT64_C(3);
    uint64_t start = code + layout->code_start;
    const struct {
        uint64_t ip;
        uint32_t instruction;
    } cases[] = {
        {start, 0},
        {start + 6, 3},
        {start - 2, PY_NO_INSTRUCTION}, /* 3.11 and 3.12 before the first */
        {0, PY_NO_INSTRUCTION},
        {UINT64_MAX, PY_NO_INSTRUCTION},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        recorded_set_word(recorded, addresses[0] + layout->frame_ip, cases[i].ip);
        py_walk(layout, &recorded->memory, recorded->tstate, frames, ROOM, &count);
        assert_int_equal(frames[0].code, code);
        assert_int_equal(frames[0].instruction, cases[i].instruction);
    }
    recorded_release(recorded);
}

static int test_version(const char *version)
{
    void *with = (void *)(uintptr_t)version;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_frames_are_what_python_says, with),
        cmocka_unit_test_prestate(test_room_keeps_the_innermost, with),
        cmocka_unit_test_prestate(test_every_word_corrupted, with),
        cmocka_unit_test_prestate(test_every_view_refused, with),
        cmocka_unit_test_prestate(test_every_region_cut, with),
        cmocka_unit_test_prestate(test_cycles_and_misaligned_frames, with),
        cmocka_unit_test_prestate(test_cycle_of_foreign_frames, with),
        cmocka_unit_test_prestate(test_thread_without_python, with),
        cmocka_unit_test_prestate(test_instruction_outside_code, with),
    };
    return cmocka_run_group_tests_name(version, tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_are_cut_at_characters),
        cmocka_unit_test(test_long_and_broken_strings),
        cmocka_unit_test(test_bytes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; recorded_versions[i]; i++)
        failed += test_version(recorded_versions[i]);
    return failed;
}
