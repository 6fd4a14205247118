/* Reading the file of a group; group.h has the form. */
#include "base/error.h"
#include "base/file.h"
#include "events/group.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum section { IN_NOTHING, IN_EVENTS, IN_METRICS };

struct reader {
    struct tally_group *group;
    struct tally_variant *variant; /* that is being read; NULL before the first */
    enum section section;
    int line;
};

/* The sentence of a lower layer, told with its place. */
static int at_line(const struct reader *reader, int line)
{
    char why[512];
    snprintf(why, sizeof(why), "%s", tally_error_text());
    return tally_error("%s:%d: %s.", reader->group->path, line, why);
}

static int wrong(const struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int wrong(const struct reader *reader, const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return tally_error("%s:%d: %s.", reader->group->path, reader->line, why);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t size = strlen(text);
    while (size && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    return text;
}

/* Takes "[unit]" off the end of `text`; without one the unit is "count". */
static int take_unit(const struct reader *reader, char *text, bool is_needed,
                     struct tally_quantity *out)
{
    size_t size = strlen(text);
    char *open = strrchr(text, '[');
    if (!open || text[size - 1] != ']') {
        if (is_needed)
            return wrong(reader, "a [UNIT] must stand between the name and \"=\"");
        return tally_quantity_parse(out, "count", strlen("count"));
    }
    text[size - 1] = '\0';
    if (tally_quantity_parse(out, open + 1, strlen(open + 1)) < 0)
        return at_line(reader, reader->line);
    *open = '\0';
    trim(text);
    return 0;
}

static int check_symbol(const struct reader *reader, const char *symbol)
{
    const struct tally_variant *variant = reader->variant;
    bool is_word = isalpha((unsigned char)symbol[0]);
    for (const char *at = symbol; *at; at++)
        is_word &= isalnum((unsigned char)*at) || *at == '_';
    if (!is_word || strlen(symbol) >= sizeof(variant->events[0].symbol))
        return wrong(reader, "\"%s\" cannot be a symbol: use a letter, then letters, digits and _",
                     symbol);
    if (!strcmp(symbol, "elapsed") || !strcmp(symbol, "min") || !strcmp(symbol, "max"))
        return wrong(reader, "\"%s\" has a meaning in formulas and cannot be a symbol", symbol);
    for (int i = 0; i < variant->event_count; i++)
        if (!strcmp(variant->events[i].symbol, symbol))
            return wrong(reader, "the symbol \"%s\" is there twice", symbol);
    return 0;
}

static int read_event(struct reader *reader, char *text)
{
    struct tally_variant *variant = reader->variant;
    struct tally_quantity unit;
    char *equals = strchr(text, '=');
    if (!equals)
        return wrong(reader, "an event is written SYMBOL = EVENT, not \"%s\"", text);
    *equals = '\0';
    char *symbol = trim(text), *name = trim(equals + 1);
    if (variant->event_count == TALLY_MAX_EVENTS)
        return wrong(reader, "there are more events than can be counted in one run");
    if (check_symbol(reader, symbol) < 0 || take_unit(reader, name, false, &unit) < 0)
        return TALLY_ERROR;
    struct tally_group_event *event = &variant->events[variant->event_count];
    if (!*name || strlen(name) >= sizeof(event->name) || strpbrk(name, " \t,"))
        return wrong(reader, "\"%s\" is no name of an event", name);
    event->line = reader->line;
    snprintf(event->symbol, sizeof(event->symbol), "%s", symbol);
    snprintf(event->name, sizeof(event->name), "%s", name);
    variant->symbols[variant->event_count++] = (struct tally_symbol){event->symbol, unit};
    return 0;
}

static int check_unit(const struct reader *reader, const struct tally_metric *metric)
{
    if (tally_dimension_equal(metric->unit.dimension, metric->formula.dimension))
        return 0;
    tally_error("the formula of \"%s\" is in %s, which is not its unit, %s", metric->name,
                tally_dimension_text(metric->formula.dimension), metric->unit.text);
    return at_line(reader, reader->line);
}

static int read_metric(struct reader *reader, char *text)
{
    struct tally_variant *variant = reader->variant;
    char *equals = strchr(text, '=');
    if (!equals)
        return wrong(reader, "a metric is written NAME [UNIT] = FORMULA, not \"%s\"", text);
    *equals = '\0';
    char *name = trim(text);
    if (variant->metric_count == TALLY_MAX_METRICS)
        return wrong(reader, "there are too many metrics in one variant");
    struct tally_metric *metric = &variant->metrics[variant->metric_count];
    if (take_unit(reader, name, true, &metric->unit) < 0)
        return TALLY_ERROR;
    if (!*name || strlen(name) >= sizeof(metric->name))
        return wrong(reader, "\"%s\" cannot be the name of a metric: it is empty or too long",
                     name);
    for (int i = 0; i < variant->metric_count; i++)
        if (!strcmp(variant->metrics[i].name, name))
            return wrong(reader, "the metric \"%s\" is there twice", name);
    snprintf(metric->name, sizeof(metric->name), "%s", name);
    metric->line = reader->line;
    if (tally_formula_parse(&metric->formula, trim(equals + 1), variant->symbols,
                            variant->event_count + 1) < 0)
        return at_line(reader, reader->line);
    variant->metric_count++;
    return check_unit(reader, metric);
}

static bool uses(const struct tally_variant *variant, int symbol)
{
    for (int i = 0; i < variant->metric_count; i++)
        if (tally_formula_uses(&variant->metrics[i].formula, symbol))
            return true;
    return false;
}

static int end_variant(struct reader *reader)
{
    const struct tally_variant *variant = reader->variant;
    if (!variant)
        return 0;
    if (!variant->event_count || !variant->metric_count) {
        tally_error("EVENTS and METRICS must both follow");
        return at_line(reader, variant->line);
    }
    for (int i = 0; i < variant->event_count; i++)
        if (!uses(variant, i)) {
            tally_error("no metric uses \"%s\"", variant->events[i].symbol);
            return at_line(reader, variant->events[i].line);
        }
    return 0;
}

static int begin_variant(struct reader *reader, const char *processors)
{
    struct tally_group *group = reader->group;
    if (end_variant(reader) < 0)
        return TALLY_ERROR;
    struct tally_variant *variant = tally_alloc_zeroed(1, sizeof(*variant));
    group->variants =
        tally_realloc(group->variants, (size_t)group->variant_count + 1, sizeof(*group->variants));
    group->variants[group->variant_count++] = variant;
    reader->variant = variant;
    reader->section = IN_NOTHING;
    variant->line = reader->line;
    if (!*processors || strlen(processors) >= sizeof(variant->processors))
        return wrong(reader, "FOR must name processors, or \"any\"");
    snprintf(variant->processors, sizeof(variant->processors), "%s", processors);
    return 0;
}

/* After the events of a variant are known, `elapsed` is the symbol that follows them. */
static void begin_metrics(struct reader *reader)
{
    struct tally_variant *variant = reader->variant;
    variant->symbols[variant->event_count] =
        (struct tally_symbol){"elapsed", tally_quantity_of_event(TALLY_UNIT_NS)};
    reader->section = IN_METRICS;
}

/* A line that does not start with a blank. */
static int read_keyword(struct reader *reader, char *text)
{
    struct tally_group *group = reader->group;
    char *rest = text + strcspn(text, " \t");
    bool is_end = !*rest;
    if (!is_end)
        *rest++ = '\0';
    rest = trim(rest);
    if (!strcmp(text, "SHORT") && !group->summary && *rest) {
        group->summary = tally_strdup(rest);
        return 0;
    }
    if (!strcmp(text, "FOR"))
        return begin_variant(reader, rest);
    if (!strcmp(text, "EVENTS") && !*rest) {
        if ((!reader->variant || reader->variant->metric_count) && begin_variant(reader, "any") < 0)
            return TALLY_ERROR;
        reader->section = IN_EVENTS;
        return 0;
    }
    if (!strcmp(text, "METRICS") && !*rest && reader->section == IN_EVENTS) {
        begin_metrics(reader);
        return 0;
    }
    return wrong(reader,
                 "\"%s\" is not expected here; a group has SHORT TEXT, then FOR PROCESSORS, "
                 "EVENTS, METRICS as often as needed, then LONG, and blanks before all other lines",
                 text);
}

static int read_line(struct reader *reader, char *line)
{
    char *text = trim(line);
    if (!*text || *text == '#')
        return 0;
    if (text == line)
        return read_keyword(reader, text);
    if (reader->section == IN_EVENTS)
        return read_event(reader, text);
    if (reader->section == IN_METRICS)
        return read_metric(reader, text);
    return wrong(reader, "\"%s\" is in neither EVENTS nor METRICS", text);
}

static int check_whole(struct reader *reader)
{
    const struct tally_group *group = reader->group;
    if (end_variant(reader) < 0)
        return TALLY_ERROR;
    if (!group->summary)
        return wrong(reader, "the line SHORT is missing");
    if (!group->variant_count)
        return wrong(reader, "EVENTS and METRICS are missing");
    if (!group->description)
        return wrong(reader, "LONG is missing: say how to read the numbers");
    return 0;
}

static int read_text(struct tally_group *group, char *text)
{
    struct reader reader = {.group = group};
    for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
        reader.line++;
        if (!strcmp(line, "LONG")) {
            char *prose = trim(text ? text : line + strlen(line));
            if (*prose)
                group->description = tally_strdup(prose);
            break;
        }
        if (read_line(&reader, line) < 0)
            return TALLY_ERROR;
    }
    return check_whole(&reader);
}

static int add_name(const char *name, void *data)
{
    struct tally_buffer *names = data;
    tally_buffer_printf(names, "%s%s", names->size ? ", " : "", name);
    return 0;
}

static int unknown(const char *name)
{
    struct tally_buffer names = {0};
    if (tally_group_each(add_name, &names) < 0)
        return TALLY_ERROR;
    tally_error_code(TALLY_NOT_FOUND,
                     "there is no metric group \"%s\"; there are %s, and the path of a file of "
                     "your own has a slash in it, as ./%s.group.",
                     name, names.data ? names.data : "none", name);
    tally_buffer_release(&names);
    return TALLY_NOT_FOUND;
}

static char *path_of(const char *name)
{
    struct tally_buffer path = {0};
    if (strchr(name, '/'))
        return tally_strdup(name);
    char *folder = tally_group_folder();
    tally_buffer_printf(&path, "%s/%s.group", folder ? folder : "", name);
    free(folder);
    return path.data;
}

/* The file's name without its folder and ending. */
static char *name_of(const char *path)
{
    char *name = tally_strdup(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

int tally_group_load(struct tally_group **out, const char *name)
{
    size_t size = 0;
    char *path = path_of(name), *text = tally_read_file(path, &size);
    if (!text) {
        int error = errno;
        free(path);
        if (error == ENOENT && !strchr(name, '/'))
            return unknown(name);
        return tally_error_code(TALLY_NOT_FOUND, "cannot read the metric group \"%s\": %s.", name,
                                strerror(error));
    }
    struct tally_group *group = tally_alloc_zeroed(1, sizeof(*group));
    group->path = path;
    group->name = name_of(path);
    int result = strlen(text) == size
                     ? read_text(group, text)
                     : tally_error("\"%s\" is no metric group: it has binary data in it.", path);
    free(text);
    if (result < 0)
        tally_group_free(group);
    else
        *out = group;
    return result;
}

void tally_group_free(struct tally_group *group)
{
    if (!group)
        return;
    for (int i = 0; i < group->variant_count; i++)
        free(group->variants[i]);
    free(group->variants);
    free(group->name);
    free(group->path);
    free(group->summary);
    free(group->description);
    free(group);
}
