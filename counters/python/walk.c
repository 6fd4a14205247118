#include "python/walk.h"

#include "python/words.h"

#include <string.h>

uint32_t py_instruction(const struct py_layout *layout, uint64_t code, uint64_t ip)
{
    uint64_t start = code + layout->code_start;
    if (ip < start || ip - start > UINT32_MAX)
        return PY_NO_INSTRUCTION;
    return (uint32_t)((ip - start) / 2);
}

/* What cannot be one is known before it leads anywhere. */
static const unsigned char *view_frame(const struct py_layout *layout, struct py_memory *memory,
                                       uint64_t frame)
{
    const unsigned char *bytes = frame % 8 ? NULL : memory->view(memory, frame, layout->frame_size);
    if (!bytes || py_word_at(bytes, layout->frame_previous) == frame)
        return NULL;
    uint64_t code = py_untagged(py_word_at(bytes, layout->frame_code));
    return bytes[layout->frame_owner] < layout->owner_foreign && (!code || code % 8) ? NULL : bytes;
}

/* A new cframe is shown before its frame is stored in it: then the one before it has the caller. */
static bool frame_of_cframe(const struct py_layout *layout, struct py_memory *memory,
                            uint64_t cframe, uint64_t *frame)
{
    if (!py_read_word(memory, cframe + layout->cframe_frame, frame))
        return false;
    if (!*frame || view_frame(layout, memory, *frame))
        return true;
    return py_read_word(memory, cframe + layout->cframe_frame + 8u, &cframe) && cframe &&
           py_read_word(memory, cframe + layout->cframe_frame, frame);
}

enum py_walk_end py_walk(const struct py_layout *layout, struct py_memory *memory, uint64_t tstate,
                         struct py_frame *frames, size_t room, size_t *count)
{
    uint64_t frame, passed = 0;
    *count = 0;
    if (!py_read_word(memory, tstate + layout->tstate_frame, &frame))
        return PY_WALK_UNREADABLE;
    if (layout->frame_by_cframe && frame && !frame_of_cframe(layout, memory, frame, &frame))
        return PY_WALK_UNREADABLE;
    /* Frames of C code in between count towards the bound too: no chain is followed for ever. */
    for (size_t steps = 0; frame; steps++) {
        if (steps > 4 * room)
            return PY_WALK_TRUNCATED;
        const unsigned char *bytes = view_frame(layout, memory, frame);
        if (!bytes || frame == passed)
            return PY_WALK_UNREADABLE;
        if (!(steps & (steps - 1)))
            passed = frame; /* comes again, sooner or later, on a chain that bites its tail */
        if (bytes[layout->frame_owner] < layout->owner_foreign) {
            if (*count == room)
                return PY_WALK_TRUNCATED;
            uint64_t code = py_untagged(py_word_at(bytes, layout->frame_code));
            uint64_t ip = py_word_at(bytes, layout->frame_ip);
            frames[(*count)++] = (struct py_frame){code, py_instruction(layout, code, ip)};
        }
        frame = py_word_at(bytes, layout->frame_previous);
    }
    return PY_WALK_COMPLETE;
}

void py_code_read(const struct py_layout *layout, const void *object, struct py_code *code)
{
    code->filename = py_word_at(object, layout->code_filename);
    code->qualname = py_word_at(object, layout->code_qualname);
    code->lines = py_word_at(object, layout->code_lines);
    memcpy(&code->first_line, (const char *)object + layout->code_first_line,
           sizeof(code->first_line));
    code->version = 0;
    if (layout->code_version)
        memcpy(&code->version, (const char *)object + layout->code_version, sizeof(code->version));
}

static size_t put_utf8(uint32_t point, char *out, size_t room)
{
    char bytes[4];
    size_t size;
    if (point < 0x80) {
        bytes[0] = (char)point;
        size = 1;
    } else if (point < 0x800) {
        bytes[0] = (char)(0xc0 | point >> 6);
        size = 2;
    } else if (point < 0x10000) {
        if (point >= 0xd800 && point < 0xe000)
            point = 0xfffd; /* undecodable bytes of a path are lone surrogates */
        bytes[0] = (char)(0xe0 | point >> 12);
        size = 3;
    } else {
        bytes[0] = (char)(0xf0 | (point >> 18 & 7));
        size = 4;
    }
    if (size > room)
        return 0;
    for (size_t i = 1; i < size; i++)
        bytes[i] = (char)(0x80 | (point >> 6 * (size - 1 - i) & 0x3f));
    memcpy(out, bytes, size);
    return size;
}

/* PyASCIIObject: the length at 16, the state's bit-field at 32. */
enum { STRING_LENGTH = 16, STRING_STATE = 32 };

size_t py_string_read(const struct py_layout *layout, struct py_memory *memory, uint64_t address,
                      char *out, size_t room)
{
    const void *head = memory->view(memory, address, STRING_STATE + sizeof(uint32_t));
    if (!head)
        return 0;
    uint64_t length = py_word_at(head, STRING_LENGTH);
    uint32_t state;
    memcpy(&state, (const char *)head + STRING_STATE, sizeof(state));
    uint32_t kind = state >> 2 & 7;
    bool compact = state >> 5 & 1, ascii = state >> 6 & 1;
    if (!compact || (kind != 1 && kind != 2 && kind != 4))
        return 0;
    uint64_t data = address + (ascii ? layout->unicode_ascii : layout->unicode_compact);
    size_t used = 0;
    for (uint64_t done = 0; done < length;) {
        size_t part = PY_VIEW_MAX / kind;
        if (part > length - done)
            part = (size_t)(length - done);
        const unsigned char *bytes = memory->view(memory, data + done * kind, part * kind);
        if (!bytes)
            return used;
        for (size_t i = 0; i < part; i++) {
            uint32_t point = 0;
            memcpy(&point, bytes + i * kind, kind); /* little-endian */
            size_t size = put_utf8(point, out + used, room - used);
            if (!size)
                return used;
            used += size;
        }
        done += part;
    }
    return used;
}

/* PyBytesObject: the length at 16, the bytes at 32. */
enum { BYTES_LENGTH = 16, BYTES_DATA = 32 };

size_t py_bytes_find(struct py_memory *memory, uint64_t address, uint64_t *data)
{
    uint64_t length;
    if (!py_read_word(memory, address + BYTES_LENGTH, &length) || length > (UINT64_C(1) << 30))
        return 0;
    *data = address + BYTES_DATA;
    return (size_t)length;
}

/* FNV-1a */
static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        state = (state ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return state;
}

uint64_t py_code_texts(const struct py_layout *layout, struct py_memory *memory,
                       const struct py_code *code)
{
    static const char frozen[] = "<frozen ";
    char text[PY_VIEW_MAX];
    uint64_t state = UINT64_C(0xcbf29ce484222325), data = 0;
    size_t size = py_string_read(layout, memory, code->filename, text, sizeof(text));
    bool is_frozen = size >= sizeof(frozen) && !memcmp(text, frozen, sizeof(frozen) - 1);
    if (!code->version && (!size || text[0] != '<' || is_frozen))
        return 0;
    state = hash(state, text, size);
    size = py_string_read(layout, memory, code->qualname, text, sizeof(text));
    state = hash(state, text, size);
    size = py_bytes_find(memory, code->lines, &data);
    state = hash(state, &size, sizeof(size));
    size = size < PY_VIEW_MAX ? size : PY_VIEW_MAX;
    const void *lines = size ? memory->view(memory, data, size) : NULL;
    return lines ? hash(state, lines, size) : state;
}

bool py_code_is_same(const struct py_layout *layout, struct py_memory *memory,
                     const struct py_code *known, uint64_t texts, const struct py_code *code)
{
    if (known->filename != code->filename || known->qualname != code->qualname ||
        known->lines != code->lines || known->first_line != code->first_line)
        return false;
    if (known->version && known->version == code->version)
        return true;
    return !texts || texts == py_code_texts(layout, memory, code);
}
