#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
    if (!memory) {
        fputs("tallystack: out of memory\n", stderr);
        exit(125);
    }
    return memory;
}

void *tally_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *tally_alloc_zeroed(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *tally_realloc(void *old, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return checked(NULL);
    size_t bytes = count * size;
    return checked(realloc(old, bytes > 0 ? bytes : 1));
}

char *tally_strdup(const char *string)
{
    return checked(strdup(string));
}

static void reserve(struct tally_buffer *buffer, size_t more)
{
    size_t need = buffer->size + more + 1;
    if (need <= buffer->room)
        return;
    size_t room = buffer->room ? buffer->room : 64;
    while (room < need)
        room *= 2;
    buffer->data = tally_realloc(buffer->data, room, 1);
    buffer->room = room;
}

void tally_buffer_append(struct tally_buffer *buffer, const void *bytes, size_t size)
{
    reserve(buffer, size);
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void tally_buffer_printf(struct tally_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size > 0) {
        reserve(buffer, (size_t)size);
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void tally_buffer_clear(struct tally_buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

void tally_buffer_release(struct tally_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct tally_buffer){0};
}
