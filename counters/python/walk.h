/*
 * Walking a thread's Python frames, innermost first.
 *
 * All memory is read through a py_memory, so the same walker serves the agent (its own process, in
 * a signal handler), and tests (recorded memory of a real interpreter). Nothing is allocated and
 * nothing is trusted: an address that cannot be viewed ends the walk.
 */
#ifndef TALLY_PYTHON_WALK_H
#define TALLY_PYTHON_WALK_H

#include "python/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct py_memory {
    /*
     * The `size` bytes at `address`, or NULL if they cannot be read. Valid until the next call.
     * `size` is at most PY_VIEW_MAX.
     */
    const void *(*view)(struct py_memory *memory, uint64_t address, size_t size);
};

enum { PY_VIEW_MAX = 256 };

#define PY_NO_INSTRUCTION UINT32_MAX

struct py_frame {
    uint64_t code;        /* address of the code object; its type is not checked yet */
    uint32_t instruction; /* in code units of 2 bytes; PY_NO_INSTRUCTION before the first */
};

/* The instruction at `ip` of the code object at `code`. */
uint32_t py_instruction(const struct py_layout *layout, uint64_t code, uint64_t ip);

enum py_walk_end {
    PY_WALK_COMPLETE,
    PY_WALK_TRUNCATED,  /* more than `room` frames; the innermost ones were kept */
    PY_WALK_UNREADABLE, /* the chain led out of readable memory */
};

/* Walks from the thread state at `tstate`; `*count` frames are written, 0 if it runs no Python. */
enum py_walk_end py_walk(const struct py_layout *layout, struct py_memory *memory, uint64_t tstate,
                         struct py_frame *frames, size_t room, size_t *count);

/* What tells one code object from another that had its address before it, and where its text is. */
struct py_code {
    uint64_t filename, qualname, lines; /* addresses of str, str and bytes objects */
    uint32_t first_line;
    uint32_t version; /* no two of an interpreter have the same, from 3.12 on; 0: there is none */
};

/*
 * Whether `known`, whose py_code_texts() were `texts`, is the code object that `code` was read from
 * at its address, or one of the same texts. Those are looked at only where the rest does not tell.
 */
bool py_code_is_same(const struct py_layout *layout, struct py_memory *memory,
                     const struct py_code *known, uint64_t texts, const struct py_code *code);

/* Reads a code object from the `layout->code_start` bytes at `object`. */
void py_code_read(const struct py_layout *layout, const void *object, struct py_code *code);

/*
 * A hash of the texts of a code object: one after another may have its texts, too, at the addresses
 * of the last, above all if they were made from no file, as by eval(). 0 for one that has no
 * version and was made from a file: its addresses tell.
 */
uint64_t py_code_texts(const struct py_layout *layout, struct py_memory *memory,
                       const struct py_code *code);

/*
 * Whether it is the shim between the caller of a class and the class's __init__, from 3.13 on: a
 * frame as functions have them, which no traceback shows. Its file is called as itself, and its
 * line table is one byte, too short for any line.
 */
static inline bool py_code_is_shim(const char *qualname, size_t qualname_size, const char *filename,
                                   size_t filename_size, size_t lines_size)
{
    return lines_size <= 1 && qualname_size && qualname_size == filename_size &&
           !memcmp(qualname, filename, filename_size);
}

/*
 * Copies the str at `address` as UTF-8 of at most `room` bytes, cut at a whole character. Returns
 * the bytes written, 0 if it cannot be read.
 */
size_t py_string_read(const struct py_layout *layout, struct py_memory *memory, uint64_t address,
                      char *out, size_t room);

/* Length of the bytes object at `address` and, in `*data`, where its bytes are; 0 if unreadable. */
size_t py_bytes_find(struct py_memory *memory, uint64_t address, uint64_t *data);

#endif
