/*
 * From a key of three numbers to an index, dense from 0, in the order in which keys first came.
 *
 * Made for one look-up per sample: open addressing, nothing allocated but the table.
 * Zero-initialise it; tally_index_release() frees it.
 */
#ifndef TALLY_PROFILE_INDEX_H
#define TALLY_PROFILE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_key {
    uint64_t a, b, c;
};

struct tally_index {
    size_t room, count;
    struct tally_index_entry *entries;
};

/* Index of the key; *is_new tells that it was added, with the next index. */
uint32_t tally_index_of(struct tally_index *index, struct tally_key key, bool *is_new);

void tally_index_release(struct tally_index *index);

#endif
