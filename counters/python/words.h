/* Words of an interpreter's memory: pointers, sizes, tagged references. */
#ifndef TALLY_PYTHON_WORDS_H
#define TALLY_PYTHON_WORDS_H

#include "python/walk.h"

#include <string.h>

static inline uint64_t py_word_at(const void *bytes, uint64_t offset)
{
    uint64_t word;
    memcpy(&word, (const char *)bytes + offset, sizeof(word));
    return word;
}

/* False, and *word as it was, where memory cannot be read. */
static inline bool py_read_word(struct py_memory *memory, uint64_t address, uint64_t *word)
{
    const void *bytes = memory->view(memory, address, sizeof(*word));
    if (bytes)
        *word = py_word_at(bytes, 0);
    return bytes != NULL;
}

/* References (3.14 and later) keep flags in the two low bits. */
static inline uint64_t py_untagged(uint64_t reference)
{
    return reference & ~UINT64_C(3);
}

#endif
