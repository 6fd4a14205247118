#include "sources/simulated_model.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *model_path(const char *name)
{
    static const char *const places[] = {"../share/tallystack/models", TALLYSTACK_MODELS_FROM_BIN};
    struct tally_buffer file = {0};
    if (strchr(name, '/'))
        return tally_strdup(name);
    tally_buffer_printf(&file, "%s.model", name);
    char *path = tally_file_beside_command(places, 2, file.data);
    tally_buffer_release(&file);
    return path;
}

static int set_level(struct tally_model *model, const char *key, const char *size, const char *ways)
{
    const struct {
        const char *name;
        struct tally_model_level *level;
    } levels[] = {{"l1i", &model->l1i},
                  {"l1d", &model->l1d},
                  {"l2", &model->l2},
                  {"l3", &model->l3},
                  {"tlb", &model->tlb}};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (!strcmp(levels[i].name, key))
            return tally_parse_size(size, key, &levels[i].level->size) < 0 ||
                           tally_parse_count(ways, key, &levels[i].level->ways) < 0
                       ? TALLY_ERROR
                       : 0;
    return tally_error("there is no \"%s\" in a model.", key);
}

static bool is_power_of_two(uint64_t number)
{
    return number && !(number & (number - 1));
}

static bool fits(const struct tally_model_level *level, uint64_t line, bool is_first)
{
    if (!level->size)
        return !is_first;
    if (!level->ways || level->ways > 64 || level->size % (line * level->ways))
        return false;
    return !is_first || is_power_of_two(level->size / line / level->ways);
}

static int check_model(const struct tally_model *model)
{
    uint64_t line = model->line;
    if (!is_power_of_two(line) || line < 16 || line > 4096)
        return tally_error("a line of %" PRIu64 " bytes cannot be simulated.", line);
    if (!fits(&model->l1i, line, true) || !fits(&model->l1d, line, true) ||
        !fits(&model->l2, line, false) || !fits(&model->l3, line, false) ||
        !fits(&model->tlb, 1, false))
        return tally_error("a cache must be whole sets of lines, and first-level ones must have a "
                           "power of two of sets.");
    return 0;
}

static int parse_line(struct tally_model *model, char *line)
{
    char key[32], size[32], ways[32];
    line[strcspn(line, "#\n")] = '\0';
    if (!strncmp(line, "description ", 12)) {
        free(model->description);
        model->description = tally_text_clean(line + 12, strlen(line + 12));
        return 0;
    }
    int count = sscanf(line, "%31s %31s %31s", key, size, ways);
    if (count <= 0)
        return 0;
    if (count == 2 && !strcmp(key, "line"))
        return tally_parse_size(size, "the line", &model->line);
    if (count != 3)
        return tally_error("\"%s\" is no line of a model.", key);
    return set_level(model, key, size, ways);
}

int tally_model_load(struct tally_model *model, const char *name)
{
    char line[256];
    int result = 0;
    *model = (struct tally_model){.name = tally_strdup(name), .description = tally_strdup("")};
    char *path = model_path(name);
    FILE *file = path ? fopen(path, "re") : NULL;
    free(path);
    if (!file)
        return tally_error_code(TALLY_NOT_FOUND, "there is no model \"%s\".", name);
    while (result == 0 && fgets(line, sizeof(line), file))
        result = parse_line(model, line);
    fclose(file);
    return result == 0 ? check_model(model) : result;
}

void tally_model_release(struct tally_model *model)
{
    free(model->name);
    free(model->description);
    *model = (struct tally_model){0};
}
