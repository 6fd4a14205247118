#include "output/stacks.h"

#include "base/buffer.h"
#include "output/exporters.h"

#include <stdlib.h>
#include <string.h>

static const struct tally_stack_exporter *const exporters[] = {
    &tally_folded_exporter,
    &tally_speedscope_exporter,
};

const struct tally_stack_exporter *tally_stack_exporter(const char *name)
{
    for (size_t i = 0; i < sizeof(exporters) / sizeof(exporters[0]); i++)
        if (!strcmp(exporters[i]->name, name))
            return exporters[i];
    return NULL;
}

static size_t path_to(const struct tally_tree *tree, uint32_t node, uint32_t *path)
{
    size_t depth = tree->nodes[node].depth;
    for (size_t i = depth; i-- > 0; node = tree->nodes[node].parent)
        path[i] = node;
    return depth;
}

static void write_event(struct tally_stack_context *context,
                        const struct tally_stack_exporter *exporter, uint32_t *path, int event)
{
    const struct tally_tree *tree = context->tree;
    size_t events = tree->profile->event_count;
    for (uint32_t node = 1; node < tree->count; node++)
        if (tree->self[node * events + (size_t)event] > 0)
            exporter->stack(context, path, path_to(tree, node, path), event);
}

void tally_stacks_write(FILE *out, const struct tally_tree *tree,
                        const struct tally_stack_exporter *exporter, int event)
{
    struct tally_stack_context context = {.out = out, .tree = tree, .event = event};
    size_t deepest = 0;
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].depth > deepest)
            deepest = tree->nodes[i].depth;
    uint32_t *path = tally_alloc_zeroed(deepest + 1, sizeof(*path));
    exporter->begin(&context);
    for (int e = 0; e < (int)tree->profile->event_count; e++)
        if (event < 0 || event == e)
            write_event(&context, exporter, path, e);
    exporter->end(&context);
    free(path);
}
