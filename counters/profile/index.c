#include "profile/index.h"

#include "base/buffer.h"

#include <stdlib.h>

struct tally_index_entry {
    struct tally_key key;
    uint32_t number; /* index + 1; 0: free */
};

static uint64_t hash_key(struct tally_key key)
{
    uint64_t hash = key.a * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 29 ^ key.b) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 32 ^ key.c) * UINT64_C(0x94d049bb133111eb);
    return hash ^ hash >> 31;
}

static struct tally_index_entry *find_entry(struct tally_index_entry *entries, size_t room,
                                            struct tally_key key)
{
    for (size_t at = hash_key(key) & (room - 1);; at = (at + 1) & (room - 1)) {
        struct tally_index_entry *entry = &entries[at];
        if (!entry->number ||
            (entry->key.a == key.a && entry->key.b == key.b && entry->key.c == key.c))
            return entry;
    }
}

static void grow(struct tally_index *index)
{
    size_t room = index->room ? index->room * 2 : 64;
    struct tally_index_entry *entries = tally_alloc_zeroed(room, sizeof(*entries));
    for (size_t i = 0; i < index->room; i++)
        if (index->entries[i].number)
            *find_entry(entries, room, index->entries[i].key) = index->entries[i];
    free(index->entries);
    index->entries = entries;
    index->room = room;
}

uint32_t tally_index_of(struct tally_index *index, struct tally_key key, bool *is_new)
{
    if (index->count * 4 >= index->room * 3)
        grow(index);
    struct tally_index_entry *entry = find_entry(index->entries, index->room, key);
    *is_new = !entry->number;
    if (*is_new) {
        entry->key = key;
        entry->number = (uint32_t)++index->count;
    }
    return entry->number - 1;
}

void tally_index_release(struct tally_index *index)
{
    free(index->entries);
    *index = (struct tally_index){0};
}
