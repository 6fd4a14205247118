#include "profile/tree.h"

#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct child {
    uint64_t key; /* parent node, function */
    uint32_t node;
    UT_hash_handle hh;
};

struct maker {
    struct tally_tree *tree;
    struct child *children;
    uint32_t *node_of_path;
    size_t room;
};

static uint32_t child_of(struct maker *maker, uint32_t parent, uint32_t function)
{
    struct tally_tree *tree = maker->tree;
    uint64_t key = (uint64_t)parent << 32 | function;
    struct child *child;
    HASH_FIND(hh, maker->children, &key, sizeof(key), child);
    if (child)
        return child->node;
    if (tree->count == maker->room) {
        maker->room = maker->room ? maker->room * 2 : 256;
        tree->nodes = tally_realloc(tree->nodes, maker->room, sizeof(*tree->nodes));
    }
    uint32_t depth = tree->count ? tree->nodes[parent].depth + 1 : 0;
    tree->nodes[tree->count] =
        (struct tally_tree_node){.parent = parent, .function = function, .depth = depth};
    child = tally_alloc_zeroed(1, sizeof(*child));
    child->key = key;
    child->node = (uint32_t)tree->count++;
    HASH_ADD(hh, maker->children, key, sizeof(key), child);
    return child->node;
}

static void add_cells(struct tally_tree *tree, const uint32_t *node_of_path)
{
    const struct tally_profile *profile = tree->profile;
    size_t events = profile->event_count;
    tree->self = tally_alloc_zeroed(tree->count * events, sizeof(*tree->self));
    tree->inclusive = tally_alloc_zeroed(tree->count * events, sizeof(*tree->inclusive));
    tree->samples = tally_alloc_zeroed(tree->count * events, sizeof(*tree->samples));
    for (size_t i = 0; i < profile->cell_count; i++) {
        size_t node = node_of_path[profile->cells[i].path];
        for (size_t e = 0; e < events; e++) {
            const struct tally_value *value = &profile->values[i * events + e];
            tree->self[node * events + e] += value->sampled + value->exact;
            tree->samples[node * events + e] += value->samples;
        }
    }
    memcpy(tree->inclusive, tree->self, tree->count * events * sizeof(*tree->self));
    for (size_t node = tree->count - 1; node > 0; node--)
        for (size_t e = 0; e < events; e++)
            tree->inclusive[tree->nodes[node].parent * events + e] +=
                tree->inclusive[node * events + e];
}

static const double *sort_values;

static int by_inclusive(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (sort_values[left] != sort_values[right])
        return sort_values[left] > sort_values[right] ? -1 : 1;
    return left < right ? -1 : 1;
}

/* Linking in ascending order, each in front of the last, leaves every list in descending order. */
static void link_children(struct tally_tree *tree, int sort)
{
    size_t events = tree->profile->event_count;
    double *values = tally_alloc_zeroed(tree->count, sizeof(*values));
    uint32_t *order = tally_alloc_zeroed(tree->count, sizeof(*order));
    for (size_t i = 0; i < tree->count; i++) {
        values[i] = tree->inclusive[i * events + (size_t)sort];
        order[i] = (uint32_t)i;
    }
    sort_values = values;
    qsort(order, tree->count, sizeof(*order), by_inclusive);
    for (size_t i = tree->count; i-- > 0;) {
        uint32_t node = order[i];
        if (node == 0)
            continue;
        struct tally_tree_node *parent = &tree->nodes[tree->nodes[node].parent];
        tree->nodes[node].next_sibling = parent->first_child;
        parent->first_child = node;
    }
    free(values);
    free(order);
}

void tally_tree_make(struct tally_tree *tree, const struct tally_profile *profile, int sort)
{
    struct maker maker = {.tree = tree};
    struct child *child, *next;
    *tree = (struct tally_tree){.profile = profile};
    maker.node_of_path = tally_alloc_zeroed(profile->path_count, sizeof(*maker.node_of_path));
    child_of(&maker, 0, profile->paths[TALLY_NO_PATH].function);
    /* A path is added to a profile after its caller's. */
    for (uint32_t path = 1; path < profile->path_count; path++)
        maker.node_of_path[path] = child_of(&maker, maker.node_of_path[profile->paths[path].parent],
                                            profile->paths[path].function);
    add_cells(tree, maker.node_of_path);
    link_children(tree, sort);
    child = maker.children;
    HASH_CLEAR(hh, maker.children);
    for (; child; child = next) {
        next = child->hh.next;
        free(child);
    }
    free(maker.node_of_path);
}

void tally_tree_release(struct tally_tree *tree)
{
    free(tree->nodes);
    free(tree->self);
    free(tree->inclusive);
    free(tree->samples);
    *tree = (struct tally_tree){0};
}
