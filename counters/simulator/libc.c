/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few functions of libc that the shared sources (python/) use. */
#include "simulator/core.h"

int snprintf(char *out, __SIZE_TYPE__ size, const char *format, ...);
int memcmp(const void *a, const void *b, __SIZE_TYPE__ size);
void *tally_realloc(void *bytes, __SIZE_TYPE__ count, __SIZE_TYPE__ size);

int snprintf(char *out, __SIZE_TYPE__ size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    UInt used = VG_(vsnprintf)(out, (Int)size, format, arguments);
    va_end(arguments);
    return (int)used;
}

int memcmp(const void *a, const void *b, __SIZE_TYPE__ size)
{
    return VG_(memcmp)(a, b, size);
}

void *tally_realloc(void *bytes, __SIZE_TYPE__ count, __SIZE_TYPE__ size)
{
    return VG_(realloc)("tallystack.realloc", bytes, count * size);
}
