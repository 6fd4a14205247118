/* tallystack list --models: the machines that can be simulated. */
#include "list_models.h"

#include "base/error.h"
#include "sources/simulated_model.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEVELS = 6 };

struct level {
    const char *name, *unit;
    uint64_t line;
    const struct tally_model_level *is;
};

static void levels_of(const struct tally_model *model, struct level levels[LEVELS])
{
    const struct level all[LEVELS] = {
        {"l1i", "bytes", model->line, &model->l1i}, {"l1d", "bytes", model->line, &model->l1d},
        {"l2", "bytes", model->line, &model->l2},   {"l3", "bytes", model->line, &model->l3},
        {"tlb", "entries", 0, &model->tlb},         {"itlb", "entries", 0, &model->itlb}};
    for (int i = 0; i < LEVELS; i++)
        levels[i] = all[i];
}

/* 16384 as 16K. */
struct size {
    uint64_t number;
    const char *unit;
};

static struct size in_short(uint64_t size)
{
    if (size && size % (1 << 20) == 0)
        return (struct size){size >> 20, "M"};
    if (size && size % (1 << 10) == 0)
        return (struct size){size >> 10, "K"};
    return (struct size){size, ""};
}

static void add_for_people(struct table *table, const struct tally_model *model)
{
    const struct tally_model_predictor *predictor = &model->predictor;
    struct size outcomes = in_short(predictor->outcomes), targets = in_short(predictor->targets);
    struct level levels[LEVELS];
    levels_of(model, levels);
    table_cell(table, "%s", model->name);
    for (int i = 0; i < LEVELS; i++) {
        struct size size = in_short(levels[i].is->size);
        if (!size.number)
            table_cell(table, "-");
        else
            table_cell(table, "%" PRIu64 "%s/%" PRIu64, size.number, size.unit, levels[i].is->ways);
    }
    table_cell(table, "%" PRIu64, model->line);
    table_cell(table, "%s %" PRIu64 "%s/%" PRIu64 "%s", tally_model_predictor_kind(predictor),
               outcomes.number, outcomes.unit, targets.number, targets.unit);
    table_cell(table, "%s", model->description);
}

static void add_row(struct table *table, const struct tally_model *model, const struct level *level,
                    const char *kind)
{
    table_cell(table, "%s", model->name);
    table_cell(table, "%s", level->name);
    table_cell(table, "%" PRIu64, level->is->size);
    table_cell(table, "%s", level->unit);
    table_cell(table, "%" PRIu64, level->is->ways);
    if (level->line)
        table_cell(table, "%" PRIu64, level->line);
    else
        table_cell(table, "%s", "");
    table_cell(table, "%s", model->description);
    table_cell(table, "%s", kind);
}

static void add_for_programs(struct table *table, const struct tally_model *model)
{
    const struct tally_model_predictor *predictor = &model->predictor;
    const struct tally_model_level outcomes = {.size = predictor->outcomes, .ways = 1};
    const struct tally_model_level targets = {.size = predictor->targets, .ways = 1};
    struct level levels[LEVELS];
    levels_of(model, levels);
    for (int i = 0; i < LEVELS; i++)
        if (levels[i].is->size)
            add_row(table, model, &levels[i], "lru");
    add_row(table, model, &(struct level){"outcomes", "entries", 0, &outcomes},
            tally_model_predictor_kind(predictor));
    add_row(table, model, &(struct level){"targets", "entries", 0, &targets},
            tally_model_predictor_kind(predictor));
}

/* A machine whose caches are not told is no row, and no reason to show none of the others. */
static int add_model(struct table *table, const char *name, bool csv)
{
    struct tally_model model;
    int result = tally_model_load(&model, name);
    if (result == 0 && csv)
        add_for_programs(table, &model);
    else if (result == 0)
        add_for_people(table, &model);
    tally_model_release(&model);
    return result;
}

int list_models(bool csv)
{
    static const char *const csv_columns[] = {"name", "level",       "size", "unit", "ways",
                                              "line", "description", "kind", NULL};
    static const char *const columns[] = {"name", "l1i",  "l1d",       "l2",      "l3", "tlb",
                                          "itlb", "line", "predictor", "meaning", NULL};
    struct table table = {.columns = csv ? csv_columns : columns};
    char **names = tally_model_names();
    int result = 0;
    for (char **name = names; *name; name++) {
        if (result == 0)
            result = add_model(&table, *name, csv);
        free(*name);
    }
    free(names);
    if (result == 0 && add_model(&table, "host", csv) < 0)
        fprintf(stderr, "tallystack list: %s\n", tally_error_text());
    if (result == 0)
        table_print(&table, stdout, csv);
    if (result == 0 && !csv)
        puts(
            "\nl1i to l3: bytes/ways; tlb (of data), itlb: entries/ways; line: bytes;\n"
            "predictor: entries for outcomes of conditional branches/for targets of indirect ones. "
            "record --simulate=NAME takes one.");
    table_release(&table);
    return result;
}
