/*
 * Where things are inside CPython's objects, by version: 3.11 to 3.15, 64-bit, with the GIL.
 *
 * From 3.13 the interpreter carries a table of these offsets (_Py_DebugOffsets) at the start of
 * _PyRuntime. It is held against ours, and a difference means a build we do not know: then nothing
 * is sampled rather than something wrong.
 *
 * To add a version: a row in the table in layout.c, with the words at which the groups of its
 * _Py_DebugOffsets start, and one in tasks.c, for asyncio; the memory image of a real interpreter
 * for tests/unit/test_walk.c (tests/unit/data/README.md says how); the version in scripts/pythons
 * and in README.md.
 */
#ifndef TALLY_PYTHON_LAYOUT_H
#define TALLY_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets in bytes. */
struct py_layout {
    uint32_t version; /* PY_VERSION_HEX >> 16: 0x030b for 3.11 */
    uint16_t tstate_frame;
    bool frame_by_cframe; /* tstate_frame leads to a _PyCFrame, which has the frame at: */
    uint16_t cframe_frame;
    uint16_t tstate_next, tstate_native_id;
    uint16_t runtime_interpreters, interpreter_next, interpreter_threads; /* 0: see remote.c */
    uint16_t tstate_chunk; /* the newest _PyStackChunk: previous, size in bytes, top, data */
    uint16_t frame_code, frame_previous, frame_ip, frame_owner, frame_size;
    uint8_t owner_foreign; /* from this owner up a frame is no Python function's */
    bool ip_is_previous;   /* frame_ip is the last executed instruction, not the current one */
    uint16_t code_first_line, code_start, code_filename, code_qualname, code_lines;
    uint16_t code_version;                          /* 0: there is none */
    uint16_t unicode_ascii, unicode_compact;        /* where the characters start */
    uint16_t debug_tstate, debug_frame, debug_code; /* 8-byte words into _Py_DebugOffsets, or 0 */
};

enum { PY_REASON_SIZE = 128 };

/*
 * The layout for PY_VERSION_HEX `version`; NULL with a short `reason` ("Python 3.16 is not
 * supported") when there is none. `runtime` is the start of _PyRuntime, `runtime_size` bytes of it
 * readable; NULL skips the comparison.
 */
const struct py_layout *py_layout_find(uint32_t version, const uint64_t *runtime,
                                       size_t runtime_size, char reason[PY_REASON_SIZE]);

#endif
