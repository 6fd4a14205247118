#include "profile/intern.h"

#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct tally_interned {
    UT_hash_handle hh;
    char string[];
};

const char *tally_intern(struct tally_interned **table, const char *string)
{
    struct tally_interned *found;
    size_t size = strlen(string);
    HASH_FIND(hh, *table, string, size, found);
    if (!found) {
        found = tally_alloc_zeroed(1, sizeof(*found) + size + 1);
        memcpy(found->string, string, size + 1);
        HASH_ADD_KEYPTR(hh, *table, found->string, size, found);
    }
    return found->string;
}

void tally_interned_free(struct tally_interned *table)
{
    struct tally_interned *each = table, *next;
    HASH_CLEAR(hh, table);
    for (; each; each = next) {
        next = each->hh.next;
        free(each);
    }
}
