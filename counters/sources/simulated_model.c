#include "sources/simulated_model.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/text.h"
#include "sources/simulated_host.h"

#include <dirent.h>
#include <errno.h>
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

static int set_level(struct tally_model *model, const char *key, const char *size, const char *ways,
                     int number)
{
    const struct {
        const char *name;
        struct tally_model_level *level;
    } levels[] = {{"l1i", &model->l1i}, {"l1d", &model->l1d}, {"l2", &model->l2},
                  {"l3", &model->l3},   {"tlb", &model->tlb}, {"itlb", &model->itlb}};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i].name, key) != 0)
            continue;
        if (levels[i].level->at)
            return tally_error("%s is in line %d already.", key, levels[i].level->at);
        levels[i].level->at = number;
        return tally_parse_size(size, key, &levels[i].level->size) < 0 ||
                       tally_parse_count(ways, key, &levels[i].level->ways) < 0
                   ? TALLY_ERROR
                   : 0;
    }
    return tally_error(
        "a model has l1i, l1d, l2, l3, tlb, itlb, line and predictor, but no \"%s\".", key);
}

static const char *const predictor_kinds[] = {"bimodal", "gshare"}; /* by has_history */

const char *tally_model_predictor_kind(const struct tally_model_predictor *predictor)
{
    return predictor_kinds[predictor->has_history];
}

static int set_predictor(struct tally_model_predictor *predictor, const char *line, int number)
{
    char kind[32] = "", outcomes[32], targets[32], more[2];
    int count = sscanf(line, "%*s %31s %31s %31s %1s", kind, outcomes, targets, more);
    if (predictor->at)
        return tally_error("predictor is in line %d already.", predictor->at);
    predictor->at = number;
    predictor->has_history = !strcmp(kind, predictor_kinds[true]);
    if (count != 3 || (!predictor->has_history && strcmp(kind, predictor_kinds[false]) != 0))
        return tally_error("a predictor is gshare or bimodal with its entries for outcomes and "
                           "targets, as in \"predictor gshare 16K 4K\".");
    return tally_parse_size(outcomes, "the outcomes", &predictor->outcomes) < 0 ||
                   tally_parse_size(targets, "the targets", &predictor->targets) < 0
               ? TALLY_ERROR
               : 0;
}

static bool is_power_of_two(uint64_t number)
{
    return number && !(number & (number - 1));
}

enum { MOST_WAYS = 128, LARGEST = 1 << 30 };

/*
 * `line` is the size of what a way holds: bytes, or 1 for entries. `*at` gets the line of the file
 * that is wrong.
 */
static int check_level(const char *name, const struct tally_model_level *level, uint64_t line,
                       bool is_first, int *at)
{
    *at = level->at;
    if (!level->size && !level->at && is_first)
        return tally_error("a model needs a line of %s, as in \"%s 32K 8\".", name, name);
    if (!level->size && !level->at)
        return 0;
    if (!level->size || level->size > LARGEST)
        return tally_error("the size of %s must be from 1 to %d.", name, LARGEST);
    if (!level->ways || level->ways > MOST_WAYS)
        return tally_error("%s must have from 1 to %d ways.", name, MOST_WAYS);
    if (level->size % (line * level->ways))
        return tally_error("the size of %s must be a multiple of %" PRIu64 ", its ways%s.", name,
                           line * level->ways, line > 1 ? " by its line" : "");
    if (is_first && !is_power_of_two(level->size / line / level->ways))
        return tally_error("%s must have a power of two of sets, its size by line and ways.", name);
    return 0;
}

static int check_predictor(const struct tally_model_predictor *predictor, int *at)
{
    enum { MOST = 1 << 24 };
    *at = predictor->at;
    if (!is_power_of_two(predictor->outcomes) || !is_power_of_two(predictor->targets) ||
        predictor->outcomes > MOST || predictor->targets > MOST)
        return tally_error("the entries of the predictor must be powers of two from 1 to %d.",
                           MOST);
    return 0;
}

static int check_model(const struct tally_model *model, int *at)
{
    uint64_t line = model->line;
    *at = model->line_at;
    if (!is_power_of_two(line) || line < 16 || line > 4096)
        return tally_error(
            "the line must be a power of two from 16 to 4096 bytes, as in \"line 64\".");
    if (check_level("l1i", &model->l1i, line, true, at) < 0 ||
        check_level("l1d", &model->l1d, line, true, at) < 0 ||
        check_level("l2", &model->l2, line, false, at) < 0 ||
        check_level("l3", &model->l3, line, false, at) < 0 ||
        check_level("tlb", &model->tlb, 1, false, at) < 0 ||
        check_level("itlb", &model->itlb, 1, false, at) < 0)
        return TALLY_ERROR;
    return check_predictor(&model->predictor, at);
}

static int parse_line(struct tally_model *model, char *line, int number)
{
    char key[32], size[32], ways[32], more[2];
    line[strcspn(line, "#\n")] = '\0';
    if (!strncmp(line, "description ", 12)) {
        free(model->description);
        model->description = tally_text_clean(line + 12, strlen(line + 12));
        return 0;
    }
    int count = sscanf(line, "%31s %31s %31s %1s", key, size, ways, more);
    if (count <= 0)
        return 0;
    if (!strcmp(key, "predictor"))
        return set_predictor(&model->predictor, line, number);
    if (count == 2 && !strcmp(key, "line")) {
        model->line_at = number;
        return tally_parse_size(size, "the line", &model->line);
    }
    if (count != 3)
        return tally_error("a model has lines as \"l2 1M 16\", a level, its size and its ways.");
    return set_level(model, key, size, ways, number);
}

static int read_model(struct tally_model *model, FILE *file, const char *path)
{
    char line[256];
    int at;
    for (int number = 1; fgets(line, sizeof(line), file); number++)
        if (parse_line(model, line, number) < 0)
            return tally_error("%s:%d: %s", path, number, tally_error_text());
    if (ferror(file))
        return tally_error("the model \"%s\" cannot be read: %s.", path, strerror(errno));
    if (check_model(model, &at) < 0)
        return at ? tally_error("%s:%d: %s", path, at, tally_error_text())
                  : tally_error("%s: %s", path, tally_error_text());
    return 0;
}

static int no_model(const char *name, const char *why)
{
    struct tally_buffer known = {0};
    char **names = tally_model_names();
    if (strchr(name, '/'))
        return tally_error_code(TALLY_NOT_FOUND, "cannot read the model \"%s\": %s.", name, why);
    for (char **one = names; *one; one++) {
        tally_buffer_printf(&known, "%s%s", one == names ? "" : ", ", *one);
        free(*one);
    }
    free(names);
    tally_error(
        "there is no model \"%s\"; there are %s, and host; a file is named with a slash, as "
        "in ./my.model.",
        name, known.data ? known.data : "none");
    tally_buffer_release(&known);
    return TALLY_NOT_FOUND;
}

int tally_model_load(struct tally_model *model, const char *name)
{
    *model = (struct tally_model){
        .name = tally_strdup(name),
        .description = tally_strdup("a file without a description"),
        .predictor = {.has_history = true, .outcomes = 16384, .targets = 4096},
    };
    int at;
    if (!strcmp(name, "host"))
        return tally_model_of_host(model) < 0 || check_model(model, &at) < 0
                   ? tally_error("this machine cannot be the model: %s", tally_error_text())
                   : 0;
    char *path = model_path(name);
    FILE *file = path ? fopen(path, "re") : NULL;
    int result = file ? read_model(model, file, path) : no_model(name, strerror(errno));
    if (file)
        fclose(file);
    free(path);
    return result;
}

void tally_model_release(struct tally_model *model)
{
    free(model->name);
    free(model->description);
    *model = (struct tally_model){0};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **tally_model_names(void)
{
    size_t count = 0;
    char **names = tally_alloc_zeroed(1, sizeof(*names));
    char *path = model_path("generic");
    if (path)
        *strrchr(path, '/') = '\0';
    DIR *folder = path ? opendir(path) : NULL;
    free(path);
    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        const char *end = strstr(entry->d_name, ".model");
        if (!end || end[strlen(".model")])
            continue;
        names = tally_realloc(names, count + 2, sizeof(*names));
        names[count++] = strndup(entry->d_name, (size_t)(end - entry->d_name));
        names[count] = NULL;
    }
    if (folder)
        closedir(folder);
    qsort(names, count, sizeof(*names), by_text);
    return names;
}
