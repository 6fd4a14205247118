#include "output/call_tree.h"

#include "base/buffer.h"
#include "base/text.h"
#include "output/csv.h"
#include "profile/view.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next_in_order(const struct tally_tree *tree, uint32_t node, bool into)
{
    if (into && tree->nodes[node].first_child)
        return tree->nodes[node].first_child;
    while (node && !tree->nodes[node].next_sibling)
        node = tree->nodes[node].parent;
    return node ? tree->nodes[node].next_sibling : 0;
}

/* How a node is shown. */
struct line {
    uint32_t indent;
    uint32_t frames; /* that it stands for; 0: it is part of its only child's line */
};

/* Whether nothing happens in the node but one call of its own function. */
static bool only_recurs(const struct tally_tree *tree, uint32_t node)
{
    const struct tally_tree_node *this = &tree->nodes[node];
    const struct tally_tree_node *child = &tree->nodes[this->first_child];
    size_t events = tree->profile->event_count;
    if (!this->first_child || child->next_sibling || child->function != this->function)
        return false;
    for (size_t i = 0; i < events; i++)
        if (tree->self[node * events + i] != 0)
            return false;
    return true;
}

static struct line *lay_out(const struct tally_tree *tree)
{
    struct line *lines = tally_alloc_zeroed(tree->count, sizeof(*lines));
    uint32_t *run = tally_alloc_zeroed(tree->count, sizeof(*run));
    for (uint32_t node = 1; node < tree->count; node++) {
        uint32_t parent = tree->nodes[node].parent;
        bool goes_on = parent && !lines[parent].frames;
        run[node] = goes_on ? run[parent] + 1 : 1;
        lines[node].indent = lines[parent].indent + (parent && !goes_on);
        lines[node].frames = only_recurs(tree, node) ? 0 : run[node];
    }
    free(run);
    return lines;
}

static int descending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

/* What a node needs to be one of `limit`: a caller has at least as much as what it calls. */
static double least_of(const struct tally_tree *tree, const struct line *lines, size_t limit,
                       int sort)
{
    size_t count = 0;
    double *values = tally_alloc_zeroed(tree->count + 1, sizeof(*values));
    for (uint32_t node = 1; node < tree->count; node++)
        if (!lines || lines[node].frames)
            values[count++] = tree->inclusive[node * tree->profile->event_count + (size_t)sort];
    qsort(values, count, sizeof(*values), descending);
    double least = limit && count > limit ? values[limit - 1] : 0;
    free(values);
    return least;
}

static void print_line(FILE *out, const struct tally_tree *tree, uint32_t node,
                       const struct line *line)
{
    enum { DEEPEST_INDENT = 40 };
    const struct tally_function *function = &tree->profile->functions[tree->nodes[node].function];
    fprintf(out, "%*s", (int)(line->indent < DEEPEST_INDENT ? line->indent : DEEPEST_INDENT), "");
    if (line->indent > DEEPEST_INDENT)
        fprintf(out, "(%" PRIu32 " deep) ", line->indent);
    fprintf(out, "%s", function->name);
    if (*function->file)
        fprintf(out, "  %s:%" PRIu32, tally_text_short_path(function->file), function->first_line);
    if (line->frames > 1)
        fprintf(out, "  (%" PRIu32 " frames)", line->frames);
    fputc('\n', out);
}

static double per_cent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

void tally_tree_text(FILE *out, const struct tally_tree *tree, size_t limit, int sort)
{
    const double least_share = 0.005;
    size_t events = tree->profile->event_count, shown = 0, hidden = 0;
    double total = tally_profile_total(tree->profile, sort);
    struct line *lines = lay_out(tree);
    double least = fmax(least_of(tree, lines, limit, sort), least_share * total);
    fprintf(out, "%-20s\n%9s %6s  function\n", tree->profile->run->events[sort].event.name,
            "incl. %", "self %");
    for (uint32_t node = tree->nodes[0].first_child; node;) {
        double value = tree->inclusive[node * events + (size_t)sort];
        bool is_shown = !limit || (value >= least && shown < limit && value > 0);
        if (is_shown && lines[node].frames) {
            fprintf(out, "%9.1f %6.1f  ", per_cent(value, total),
                    per_cent(tree->self[node * events + (size_t)sort], total));
            print_line(out, tree, node, &lines[node]);
            shown++;
        }
        hidden += !is_shown;
        node = next_in_order(tree, node, is_shown);
    }
    if (hidden)
        fprintf(out, "(%zu smaller branches; --limit 0 shows all)\n", hidden);
    free(lines);
}

/* What comes before the unit. */
static void csv_node(FILE *out, const struct tally_tree *tree, uint32_t node, const char *event)
{
    const struct tally_function *function = &tree->profile->functions[tree->nodes[node].function];
    fprintf(out, "%" PRIu32 ",%" PRIu32 ",", node, tree->nodes[node].parent);
    const char *texts[] = {function->module, function->name, function->file};
    for (size_t i = 0; i < 3; i++) {
        tally_csv_field(out, texts[i]);
        fputc(',', out);
    }
    if (function->first_line)
        fprintf(out, "%" PRIu32, function->first_line);
    fputc(',', out);
    tally_csv_field(out, event);
}

void tally_tree_csv(FILE *out, const struct tally_tree *tree, size_t limit, int sort)
{
    const struct tally_profile *profile = tree->profile;
    size_t events = profile->event_count, shown = 0;
    double least = least_of(tree, NULL, limit, sort);
    fputs("node,parent,module,function,file,line,event,unit,source,self,inclusive,samples\n", out);
    bool is_shown;
    for (uint32_t node = tree->nodes[0].first_child; node;
         node = next_in_order(tree, node, is_shown)) {
        is_shown =
            !limit || (tree->inclusive[node * events + (size_t)sort] >= least && shown < limit);
        if (!is_shown)
            continue;
        shown++;
        for (size_t e = 0; e < events; e++) {
            const struct tally_event *event = &profile->run->events[e].event;
            csv_node(out, tree, node, event->name);
            fprintf(out, ",%s,%s,", tally_unit_name(event->unit), tally_source_name(event->source));
            tally_csv_number(out, tree->self[node * events + e]);
            fputc(',', out);
            tally_csv_number(out, tree->inclusive[node * events + e]);
            fprintf(out, ",%" PRIu64 "\n", tree->samples[node * events + e]);
        }
        for (int e = 0; e < profile->run->missing_count; e++) {
            const struct tally_run_missing *missing = &profile->run->missing[e];
            csv_node(out, tree, node, missing->name);
            fprintf(out, ",%s,%s,,,\n", missing->unit, missing->source);
        }
    }
}
