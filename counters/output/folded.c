#include "output/exporters.h"

#include <string.h>

/* Semicolons separate frames and a space the weight, so neither may be in a name. */
static void print_name(FILE *out, const char *name)
{
    for (; *name; name++)
        fputc(*name == ';' ? ',' : *name == ' ' ? '_' : *name, out);
}

static void begin(struct tally_stack_context *context)
{
    (void)context;
}

static void stack(struct tally_stack_context *context, const uint32_t *path, size_t depth,
                  int event)
{
    const struct tally_tree *tree = context->tree;
    const struct tally_profile *profile = tree->profile;
    for (size_t i = 0; i < depth; i++) {
        const struct tally_function *function = &profile->functions[tree->nodes[path[i]].function];
        if (i)
            fputc(';', context->out);
        if (*function->module) {
            print_name(context->out, function->module);
            fputc('.', context->out);
        }
        print_name(context->out, function->name);
    }
    fprintf(context->out, " %.0f\n",
            tree->self[path[depth - 1] * profile->event_count + (size_t)event]);
}

const struct tally_stack_exporter tally_folded_exporter = {
    .name = "folded",
    .begin = begin,
    .stack = stack,
    .end = begin,
};
