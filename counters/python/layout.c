#include "python/layout.h"

#include <stdio.h>
#include <string.h>

static const struct py_layout layouts[] = {
    {
        .version = 0x030b,
        .tstate_frame = 56,
        .frame_by_cframe = true,
        .cframe_frame = 8,
        .tstate_next = 8,
        .tstate_native_id = 160,
        .runtime_interpreters = 40,
        .interpreter_next = 0,
        .interpreter_threads = 16,
        .tstate_chunk = 296,
        .frame_code = 32,
        .frame_previous = 48,
        .frame_ip = 56,
        .frame_owner = 69,
        .frame_size = 72,
        .owner_foreign = 3,
        .ip_is_previous = true,
        .code_first_line = 72,
        .code_start = 184,
        .code_filename = 112,
        .code_qualname = 128,
        .code_lines = 136,
        .unicode_ascii = 48,
        .unicode_compact = 72,
    },
    {
        .version = 0x030c,
        .tstate_frame = 56,
        .frame_by_cframe = true,
        .cframe_frame = 0,
        .tstate_next = 8,
        .tstate_native_id = 144,
        .runtime_interpreters = 40,
        .interpreter_next = 0,
        .interpreter_threads = 72,
        .tstate_chunk = 232,
        .frame_code = 0,
        .frame_previous = 8,
        .frame_ip = 56,
        .frame_owner = 70,
        .frame_size = 72,
        .owner_foreign = 3,
        .ip_is_previous = true,
        .code_first_line = 68,
        .code_start = 192,
        .code_filename = 112,
        .code_qualname = 128,
        .code_lines = 136,
        .code_version = 92,
        .unicode_ascii = 40,
        .unicode_compact = 56,
    },
    {
        .version = 0x030d,
        .tstate_frame = 72,
        .tstate_next = 8,
        .tstate_native_id = 160,
        .tstate_chunk = 232,
        .frame_code = 0,
        .frame_previous = 8,
        .frame_ip = 56,
        .frame_owner = 70,
        .frame_size = 72,
        .owner_foreign = 3,
        .code_first_line = 68,
        .code_start = 200,
        .code_filename = 112,
        .code_qualname = 128,
        .code_lines = 136,
        .code_version = 92,
        .unicode_ascii = 40,
        .unicode_compact = 56,
        .debug_tstate = 19,
        .debug_frame = 28,
        .debug_code = 34,
    },
    {
        .version = 0x030e,
        .tstate_frame = 72,
        .tstate_next = 8,
        .tstate_native_id = 160,
        .tstate_chunk = 232,
        .frame_code = 0,
        .frame_previous = 8,
        .frame_ip = 56,
        .frame_owner = 74,
        .frame_size = 80,
        .owner_foreign = 3,
        .code_first_line = 68,
        .code_start = 208,
        .code_filename = 112,
        .code_qualname = 128,
        .code_lines = 136,
        .code_version = 92,
        .unicode_ascii = 40,
        .unicode_compact = 56,
        .debug_tstate = 22,
        .debug_frame = 31,
        .debug_code = 39,
    },
    {
        .version = 0x030f,
        .tstate_frame = 72,
        .tstate_next = 8,
        .tstate_native_id = 184,
        .tstate_chunk = 256,
        .frame_code = 0,
        .frame_previous = 8,
        .frame_ip = 56,
        .frame_owner = 74,
        .frame_size = 80,
        .owner_foreign = 3,
        .code_first_line = 68,
        .code_start = 208,
        .code_filename = 112,
        .code_qualname = 128,
        .code_lines = 136,
        .code_version = 92,
        .unicode_ascii = 40,
        .unicode_compact = 56,
        .debug_tstate = 22,
        .debug_frame = 39,
        .debug_code = 47,
    },
};

/* The words of _Py_DebugOffsets that every version has alike. */
enum { DEBUG_COOKIE = 0, DEBUG_VERSION = 1, DEBUG_FREE_THREADED = 2 };

static bool offsets_agree(const struct py_layout *layout, const uint64_t *words)
{
    const uint64_t *tstate = words + layout->debug_tstate;
    const uint64_t *frame = words + layout->debug_frame;
    const uint64_t *code = words + layout->debug_code;
    return tstate[2] == layout->tstate_next && tstate[4] == layout->tstate_frame &&
           frame[1] == layout->frame_previous && frame[2] == layout->frame_code &&
           frame[3] == layout->frame_ip && frame[5] == layout->frame_owner &&
           code[1] == layout->code_filename && code[3] == layout->code_qualname &&
           code[4] == layout->code_lines && code[5] == layout->code_first_line &&
           code[9] == layout->code_start;
}

const struct py_layout *py_layout_find(uint32_t version, const uint64_t *runtime,
                                       size_t runtime_size, char reason[PY_REASON_SIZE])
{
    const struct py_layout *layout = NULL;
    unsigned major = version >> 24, minor = (version >> 16) & 0xff;
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
        if (layouts[i].version == version >> 16)
            layout = &layouts[i];
    if (!layout) {
        snprintf(reason, PY_REASON_SIZE, "Python %u.%u is not supported", major, minor);
        return NULL;
    }
    if (!layout->debug_code || !runtime)
        return layout;
    if (runtime_size < (layout->debug_code + 10u) * sizeof(*runtime) ||
        memcmp(&runtime[DEBUG_COOKIE], "xdebugpy", 8) != 0 || runtime[DEBUG_VERSION] != version) {
        snprintf(reason, PY_REASON_SIZE, "this build of Python %u.%u has no table of offsets",
                 major, minor);
        return NULL;
    }
    if (runtime[DEBUG_FREE_THREADED]) {
        snprintf(reason, PY_REASON_SIZE, "free-threaded Python %u.%u is not supported", major,
                 minor);
        return NULL;
    }
    if (!offsets_agree(layout, runtime)) {
        snprintf(reason, PY_REASON_SIZE, "this build of Python %u.%u has an unknown layout", major,
                 minor);
        return NULL;
    }
    return layout;
}
