/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/begin.h"

#include "simulator/core.h"
#include "simulator/machine.h"

static bool begins_with(const char *text, uint32_t size, const char *wanted)
{
    SizeT wanted_size = VG_(strlen)(wanted);
    return size >= wanted_size && !VG_(memcmp)(text, wanted, wanted_size);
}

/* Whether the interpreter is ready when it runs this as its outermost frame. What it calls before
 * are its own modules, and functions of those and of codecs. */
static bool begins_program(const struct code *code)
{
    const char *file = code->text + code->name_size;
    if (begins_with(file, code->file_size, "<frozen "))
        return begins_with(file, code->file_size, "<frozen runpy>");
    return begins_with(code->text, code->name_size, "<module>");
}

void begin_watch(const struct code *code)
{
    static bool has_begun;
    if (has_begun || !code || !begins_program(code))
        return;
    has_begun = true;
    machine_begin_program();
}
