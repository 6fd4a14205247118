/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/codes.h"

#include "python/lines.h"
#include "simulator/attribution.h"
#include "simulator/core.h"
#include "simulator/within.h"

enum { TABLE_SIZE = 1 << 14, NAME_MOST = 2048, FILE_MOST = 4096, LINES_MOST = 1 << 22 };
/* Of CPython's code flags: generator, coroutine, asynchronous generator. At 48 in all versions. */
enum { CODE_FLAGS = 48, MAKES_GENERATOR = 0x20 | 0x80 | 0x200 };

static struct code *table[TABLE_SIZE];
static uint32_t code_count;

static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    (void)memory;
    return guest_readable(address, size) ? (const void *)address : NULL;
}

static struct py_memory guest = {.view = view};

/* One of the same texts takes its place. */
static bool is_same(struct code *code, uint64_t address, const struct py_code *key)
{
    if (code->address != address ||
        !py_code_is_same(attribution.layout, &guest, &code->key, code->texts, key))
        return false;
    code->key.version = key->version;
    return true;
}

static void copy_texts(struct code *code)
{
    char *room = VG_(malloc)("tallystack.text", NAME_MOST + FILE_MOST);
    code->name_size =
        (uint32_t)py_string_read(attribution.layout, &guest, code->key.qualname, room, NAME_MOST);
    code->file_size = (uint32_t)py_string_read(attribution.layout, &guest, code->key.filename,
                                               room + code->name_size, FILE_MOST);
    code->text = VG_(realloc)("tallystack.text", room, code->name_size + code->file_size + 1);
}

static void copy_table(struct code *code)
{
    uint64_t data;
    size_t size = py_bytes_find(&guest, code->key.lines, &data);
    if (size == 0 || size > LINES_MOST || !guest_readable(data, size))
        return;
    code->table = VG_(malloc)("tallystack.lines", size);
    VG_(memcpy)(code->table, (const void *)data, size);
    code->table_size = (uint32_t)size;
}

/* The number of a line that units had before, or a new one. Functions have few lines. */
static uint32_t number_line(struct code *code, uint32_t *lines, uint32_t line, uint32_t unit)
{
    for (uint32_t i = code->line_count; i > 0; i--)
        if (lines[i] == line)
            return i;
    code->line_count++;
    lines[code->line_count] = line;
    code->first_units[code->line_count] = unit;
    return code->line_count;
}

/* The def line keeps number 0 wherever the table names it. */
static void number_lines(struct code *code)
{
    uint32_t *decoded = NULL;
    size_t count = 0;
    if (code->table)
        count = py_lines_decode(code->table, code->table_size, code->key.first_line, &decoded);
    code->unit_count = (uint32_t)count;
    code->first_units = VG_(malloc)("tallystack.lines", (count + 1) * sizeof(uint32_t));
    code->first_units[0] = PY_NO_INSTRUCTION;
    uint32_t *seen = VG_(malloc)("tallystack.lines", (count + 1) * sizeof(uint32_t));
    for (uint32_t unit = 0; unit < count; unit++)
        if (decoded[unit] == code->key.first_line)
            decoded[unit] = 0;
        else if (unit > 0 && decoded[unit] == seen[decoded[unit - 1]] && decoded[unit - 1])
            decoded[unit] = decoded[unit - 1];
        else
            decoded[unit] = number_line(code, seen, decoded[unit], unit);
    code->lines = seen;
    code->line_of = decoded;
    code->first_units = VG_(realloc)("tallystack.lines", code->first_units,
                                     (code->line_count + 1) * sizeof(uint32_t));
}

static struct code *add(uint64_t address, const struct py_code *key)
{
    struct code *code = VG_(calloc)("tallystack.code", 1, sizeof(*code));
    uint32_t flags;
    VG_(memcpy)(&flags, (const char *)address + CODE_FLAGS, sizeof(flags));
    code->address = address;
    code->key = *key;
    code->texts = py_code_texts(attribution.layout, &guest, key);
    code->id = ++code_count;
    code->is_generator = flags & MAKES_GENERATOR;
    copy_texts(code);
    copy_table(code);
    number_lines(code);
    code->is_shim = py_code_is_shim(code->text, code->name_size, code->text + code->name_size,
                                    code->file_size, code->table_size);
    code->is_within = !code->is_shim && within_matches(code);
    VG_(free)(code->lines);
    code->lines = NULL;
    return code;
}

struct code *codes_find(uint64_t address)
{
    const struct py_layout *layout = attribution.layout;
    struct code **bucket = &table[(address >> 4 ^ address >> 18) % TABLE_SIZE];
    struct py_code key;
    /* An address that was a code object and that a frame refers to is one again, or still. */
    bool was_code = false;
    for (struct code *code = *bucket; code && !was_code; code = code->next)
        was_code = code->address == address;
    if (!was_code && (address % 8 || !guest_readable(address, layout->code_start) ||
                      guest_word(address + 8) != attribution.code_type))
        return NULL;
    py_code_read(layout, (const void *)address, &key);
    for (struct code **at = bucket; *at; at = &(*at)->next)
        if (is_same(*at, address, &key))
            return *at;
    struct code *code = add(address, &key);
    code->next = *bucket;
    *bucket = code;
    return code;
}

bool codes_import_calls(uint64_t tstate)
{
    static const char finder[] = "<frozen importlib._bootstrap_external>";
    struct py_frame frame;
    size_t count;
    py_walk(attribution.layout, &guest, tstate, &frame, 1, &count);
    const struct code *code = count ? codes_find(frame.code) : NULL;
    return code && code->file_size == sizeof(finder) - 1 &&
           !VG_(memcmp)(code->text + code->name_size, finder, code->file_size);
}

void codes_forget_written(void)
{
    for (unsigned i = 0; i < TABLE_SIZE; i++)
        for (struct code *code = table[i]; code; code = code->next)
            code->is_written = false;
}

uint32_t codes_line(const struct code *code, uint64_t ip)
{
    uint64_t start = code->address + attribution.layout->code_start;
    if (ip < start || !code->unit_count)
        return 0;
    uint64_t unit = (ip - start) / 2;
    return code->line_of[unit < code->unit_count ? unit : code->unit_count - 1];
}
