/*
 * A growable, always NUL-terminated run of bytes.
 *
 * Zero-initialise it; tally_buffer_release() frees it and leaves it empty again. `data` is NULL
 * until the first append. Running out of memory ends the process: nothing here can go on without.
 */
#ifndef TALLY_BASE_BUFFER_H
#define TALLY_BASE_BUFFER_H

#include <stddef.h>

struct tally_buffer {
    char *data;
    size_t size; /* bytes in use, without the NUL */
    size_t room;
};

void tally_buffer_append(struct tally_buffer *buffer, const void *bytes, size_t size);
void tally_buffer_printf(struct tally_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void tally_buffer_clear(struct tally_buffer *buffer);
void tally_buffer_release(struct tally_buffer *buffer);

/* malloc, calloc, realloc and strdup that end the process with a sentence when memory is out. */
void *tally_alloc(size_t size);
void *tally_alloc_zeroed(size_t count, size_t size);
void *tally_realloc(void *old, size_t count, size_t size);
char *tally_strdup(const char *string);

#endif
