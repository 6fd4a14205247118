#include "python/lines.h"

#include "base/buffer.h"

#include <stdbool.h>

struct cursor {
    const uint8_t *at, *end;
    bool is_short;
};

static unsigned next_byte(struct cursor *cursor)
{
    if (cursor->at == cursor->end) {
        cursor->is_short = true;
        return 0;
    }
    return *cursor->at++;
}

/* Groups of 6 bits, the lowest first; bit 6 says that more follow. */
static uint32_t next_varint(struct cursor *cursor)
{
    unsigned byte = next_byte(cursor), shift = 0;
    uint32_t value = byte & 63;
    while (byte & 64 && !cursor->is_short && shift < 24) {
        byte = next_byte(cursor);
        shift += 6;
        value |= (byte & 63u) << shift;
    }
    return value;
}

static int32_t next_signed(struct cursor *cursor)
{
    uint32_t value = next_varint(cursor);
    return value & 1 ? -(int32_t)(value >> 1) : (int32_t)(value >> 1);
}

enum { KIND_ONE_LINE = 10, KIND_NO_COLUMNS = 13, KIND_LONG = 14, KIND_NONE = 15 };

/* Reads the rest of an entry; returns how many lines on from the last entry it is. */
static int32_t line_step(struct cursor *cursor, unsigned kind)
{
    int32_t step = 0;
    if (kind < KIND_ONE_LINE) {
        next_byte(cursor);
    } else if (kind < KIND_NO_COLUMNS) {
        step = (int32_t)kind - KIND_ONE_LINE;
        next_byte(cursor);
        next_byte(cursor);
    } else if (kind == KIND_NO_COLUMNS) {
        step = next_signed(cursor);
    } else if (kind == KIND_LONG) {
        step = next_signed(cursor);
        for (int i = 0; i < 3; i++)
            next_varint(cursor);
    }
    return step;
}

size_t py_lines_decode(const uint8_t *table, size_t size, uint32_t first_line, uint32_t **out)
{
    struct cursor cursor = {table, table + size, false};
    uint32_t *lines = NULL;
    size_t count = 0, room = 0;
    int64_t line = first_line;
    uint32_t shown = first_line;
    while (cursor.at < cursor.end) {
        unsigned head = next_byte(&cursor);
        unsigned kind = head >> 3 & 15, units = (head & 7) + 1;
        line += line_step(&cursor, kind);
        if (cursor.is_short)
            break;
        if (kind != KIND_NONE && line >= 0 && line <= UINT32_MAX)
            shown = (uint32_t)line;
        if (count + units > room) {
            room = room ? room * 2 : 64;
            lines = tally_realloc(lines, room, sizeof(*lines));
        }
        for (unsigned i = 0; i < units; i++)
            lines[count++] = shown;
    }
    *out = lines;
    return count;
}
