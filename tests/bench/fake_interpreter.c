#include "fake_interpreter.h"

#include "base/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 0x030d00f0,
    OBJECT_SIZE = 512,
    INSTRUCTIONS = 64,
    TSTATE_SIZE = 512,
    CHUNK_HEAD = 24,
    FRAME_SIZE = 80,
    STRING_STATE_COMPACT_ASCII = 1 << 2 | 1 << 5 | 1 << 6,
};

static const struct py_layout *layout;
static char code_type[64], tstate[TSTATE_SIZE];
static char chunk[CHUNK_HEAD + FAKE_DEPTH * FRAME_SIZE] __attribute__((aligned(16)));
static char *codes[FAKE_CODES];

static void put_word(char *object, size_t offset, uint64_t word)
{
    memcpy(object + offset, &word, sizeof(word));
}

static uint64_t address_of(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

static char *new_string(const char *text)
{
    char *object = tally_alloc_zeroed(1, OBJECT_SIZE);
    put_word(object, 16, strlen(text));
    put_word(object, 32, STRING_STATE_COMPACT_ASCII);
    snprintf(object + layout->unicode_ascii, OBJECT_SIZE - layout->unicode_ascii, "%s", text);
    return object;
}

static void put_entry(char *at, char step)
{
    at[0] = (char)0xe9;
    at[1] = step;
}

/* A line table of one line more for each two instructions (kind 13: no columns). */
static char *new_lines(void)
{
    char *object = tally_alloc_zeroed(1, OBJECT_SIZE);
    put_word(object, 16, INSTRUCTIONS);
    for (int i = 0; i < INSTRUCTIONS; i += 2)
        put_entry(object + 32 + i, i ? 2 : 0);
    return object;
}

static char *new_code(uint32_t number)
{
    char text[64];
    uint32_t first_line = 1 + number % 10 * 50;
    char *object = tally_alloc_zeroed(1, OBJECT_SIZE);
    put_word(object, 8, address_of(code_type));
    memcpy(object + layout->code_first_line, &first_line, sizeof(first_line));
    snprintf(text, sizeof(text), "Class%u.method_%u", number / 10, number);
    put_word(object, layout->code_qualname, address_of(new_string(text)));
    snprintf(text, sizeof(text), "/usr/lib/python3.13/package/module_%u.py", number / 10);
    put_word(object, layout->code_filename, address_of(new_string(text)));
    put_word(object, layout->code_lines, address_of(new_lines()));
    return object;
}

static void *thread_state(void)
{
    return tstate;
}

static int is_initialized(void)
{
    return 1;
}

void fake_interpreter_init(void)
{
    layout = py_layout_find(VERSION, NULL, 0, agent.python.reason);
    for (uint32_t i = 0; i < FAKE_CODES; i++)
        codes[i] = new_code(i);
    put_word(chunk, 8, sizeof(chunk));
    put_word(tstate, layout->tstate_chunk, address_of(chunk));
    agent.python.version = VERSION;
    agent.python.layout = layout;
    agent.python.code_type = address_of(code_type);
    agent.python.thread_state = thread_state;
    agent.python.is_initialized = is_initialized;
}

/*
 * The outermost frames are the same for many numbers, the innermost for few, as call paths are:
 * each level takes its share of the number's digits.
 */
void fake_interpreter_call(uint32_t number)
{
    uint64_t previous = 0;
    for (uint32_t depth = 0; depth < FAKE_DEPTH; depth++) {
        char *frame = chunk + CHUNK_HEAD + (size_t)depth * FRAME_SIZE;
        uint32_t digits = depth + 1 < FAKE_DEPTH ? number >> (FAKE_DEPTH - depth) : number;
        const char *code = codes[(digits * 31 + depth * 17) % FAKE_CODES];
        uint64_t instruction = (digits * 7 + depth) % INSTRUCTIONS;
        memset(frame, 0, FRAME_SIZE);
        put_word(frame, layout->frame_code, address_of(code));
        put_word(frame, layout->frame_previous, previous);
        put_word(frame, layout->frame_ip, address_of(code + layout->code_start) + 2 * instruction);
        previous = address_of(frame);
    }
    put_word(tstate, layout->tstate_frame, previous);
}
