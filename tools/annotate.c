/* tallystack annotate: source lines with their counts. */
#include "command.h"
#include "loaded.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/launch.h"
#include "base/text.h"
#include "output/csv.h"
#include "output/report.h"
#include "profile/fingerprint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_CSV = 256, OPTION_SORT, CONTEXT = 3 };

struct annotate {
    const char *input, *target, *sort;
    bool is_csv;
};

/* A source file and its text, in lines; none where it has changed or cannot be read. */
struct source {
    const char *file;
    size_t line_count;
    char **lines;
};

static const struct argp_option options[] = {
    {"input", 'i', "REC", 0, "The recording (tallystack.rec)", 0},
    {"sort", OPTION_SORT, "EVENT", 0, "Choose the top function by this event (the first one)", 0},
    {"csv", OPTION_CSV, NULL, 0, "Print CSV with a header row", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct annotate *annotate = state->input;
    switch (key) {
    case 'i':
        annotate->input = arg;
        break;
    case OPTION_SORT:
        annotate->sort = arg;
        break;
    case OPTION_CSV:
        annotate->is_csv = true;
        break;
    case ARGP_KEY_ARG:
        if (annotate->target)
            argp_failure(state, TALLY_EXIT_FAILED, 0, "name one function or file only.");
        annotate->target = arg;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp annotate_argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "[FUNCTION|FILE]",
    .doc = "Show the source of a function or a file with what its lines counted.\vA function is "
           "named as the report names it, with or without its module (json.decoder.JSONDecoder."
           "decode); a file by its path or the end of it. Without a name the function with the "
           "most is shown. Where the source has changed since it was recorded, only the counts are "
           "shown, without text.",
};

static bool ends_with_path(const char *file, const char *end)
{
    size_t size = strlen(file), length = strlen(end);
    return size >= length && !strcmp(file + size - length, end) &&
           (size == length || file[size - length - 1] == '/' || end[0] == '/');
}

static bool is_named(const struct tally_function *function, const char *name)
{
    size_t size = strlen(function->module);
    if (!strcmp(function->name, name))
        return true;
    return size && !strncmp(name, function->module, size) && name[size] == '.' &&
           !strcmp(name + size + 1, function->name);
}

static bool is_target(const struct annotate *annotate, const struct tally_row *row)
{
    struct tally_function function = {row->module, row->function, row->file, 0};
    return ends_with_path(row->file, annotate->target) || is_named(&function, annotate->target);
}

/* The full name of the function with the most of the sorted event; the caller frees it. */
static char *top_function(const struct tally_profile *profile, int sort)
{
    struct tally_view view;
    struct tally_buffer name = {0};
    tally_view_make(&view, TALLY_VIEW_FUNCTION, profile, NULL, sort);
    for (size_t i = 0; i < view.row_count && !name.data; i++) {
        const struct tally_row *row = &view.rows[i];
        if (row->file[0] == '/' && row->values[sort].self > 0)
            tally_buffer_printf(&name, "%s%s%s", row->module, *row->module ? "." : "",
                                row->function);
    }
    tally_view_release(&view);
    return name.data;
}

/* As Python ends lines: by any of \n, \r\n and \r. */
static void split_lines(struct source *source, const char *text)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t room = 0;
    if (!strncmp(text, byte_order_mark, strlen(byte_order_mark)))
        text += strlen(byte_order_mark);
    while (*text) {
        size_t length = strcspn(text, "\r\n");
        if (source->line_count == room) {
            room = room ? room * 2 : 256;
            source->lines = tally_realloc(source->lines, room, sizeof(*source->lines));
        }
        source->lines[source->line_count++] = tally_text_clean_line(text, length);
        text += length;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : *text != '\0';
    }
}

static void say_text_is_left_out(const struct source *source, const char *why)
{
    fprintf(stderr,
            "tallystack annotate: %s %s; counts are shown without its text, since they would stand "
            "beside the wrong lines.\n",
            source->file, why);
}

static void read_source(struct source *source, const struct annotate *annotate)
{
    size_t size;
    char *text = source->file[0] == '/' ? tally_read_file(source->file, &size) : NULL;
    if (!text) {
        fprintf(stderr, "tallystack annotate: %s cannot be read here; counts are shown alone.\n",
                source->file);
        return;
    }
    enum tally_source_state state =
        tally_fingerprint_check(annotate->input, source->file, text, size);
    if (state == TALLY_SOURCE_SAME)
        split_lines(source, text);
    free(text);
    if (state == TALLY_SOURCE_SAME)
        return;
    say_text_is_left_out(source, state == TALLY_SOURCE_CHANGED
                                     ? "has changed since it was recorded"
                                     : "may have changed, which the recording cannot tell");
}

static void forget_text(struct source *source)
{
    for (size_t i = 0; i < source->line_count; i++)
        free(source->lines[i]);
    free(source->lines);
    source->lines = NULL;
    source->line_count = 0;
}

static uint32_t last_line(const struct tally_view *view, const struct source *source)
{
    uint32_t last = (uint32_t)source->line_count;
    for (size_t i = 0; i < view->row_count; i++)
        if (!strcmp(view->rows[i].file, source->file) && view->rows[i].line > last)
            last = view->rows[i].line;
    return last;
}

/* What comes before the unit. */
static void start_csv_line(const struct source *source, uint32_t line, const char *event)
{
    tally_csv_field(stdout, source->file);
    printf(",%" PRIu32 ",", line);
    tally_csv_field(stdout, line <= source->line_count ? source->lines[line - 1] : "");
    putchar(',');
    tally_csv_field(stdout, event);
}

static void print_csv_line(const struct tally_view *view, const struct source *source,
                           uint32_t line, const struct tally_row *row)
{
    const struct tally_run *run = view->profile->run;
    for (size_t e = 0; e < view->profile->event_count; e++) {
        const struct tally_event *event = &run->events[e].event;
        start_csv_line(source, line, event->name);
        printf(",%s,%s,", tally_unit_name(event->unit), tally_source_name(event->source));
        tally_csv_number(stdout, row->values[e].self);
        putchar(',');
        tally_csv_number(stdout, row->values[e].inclusive);
        printf(",%" PRIu64 "\n", row->values[e].samples);
    }
    for (int e = 0; e < run->missing_count; e++) {
        start_csv_line(source, line, run->missing[e].name);
        printf(",%s,%s,,,\n", run->missing[e].unit, run->missing[e].source);
    }
}

static void print_text_line(const struct tally_view *view, const struct source *source,
                            uint32_t line, const struct tally_row *row)
{
    for (size_t e = 0; e < view->profile->event_count; e++) {
        char self[32] = "";
        double share = 0, total = tally_profile_total(view->profile, (int)e);
        if (row && row->values[e].self > 0) {
            tally_format_value(self, sizeof(self), row->values[e].self,
                               view->profile->run->events[e].event.unit);
            share = total > 0 ? 100 * row->values[e].self / total : 0;
        }
        if (*self)
            printf("%12s %5.1f%% ", self, share);
        else
            printf("%20s", "");
    }
    for (int e = 0; e < view->profile->run->missing_count; e++)
        printf("%12s %6s ", row ? "-" : "", "");
    printf("%5" PRIu32 "  %s\n", line, line <= source->line_count ? source->lines[line - 1] : "");
}

static void print_heading(const struct tally_view *view, const struct source *source)
{
    const struct tally_run *run = view->profile->run;
    printf("%s\n", source->file);
    for (int i = 0; i < run->note_count && run->events[0].event.source == TALLY_SOURCE_SIMULATED;
         i++)
        printf("note: %s\n", run->notes[i]);
    for (int i = 0; i < run->missing_count; i++)
        printf("%s is missing: %s\n", run->missing[i].name, run->missing[i].why);
    for (size_t e = 0; e < view->profile->event_count; e++)
        printf("%19.19s ", view->profile->run->events[e].event.name);
    for (int i = 0; i < run->missing_count; i++)
        printf("%19.19s ", run->missing[i].name);
    puts(" line");
}

/* Adds the rows of one line up: several functions may share it (lambdas, comprehensions). */
static void add_row(struct tally_row *sum, const struct tally_row *row, size_t events)
{
    for (size_t e = 0; e < events; e++) {
        sum->values[e].self += row->values[e].self;
        sum->values[e].samples += row->values[e].samples;
        if (row->values[e].inclusive > sum->values[e].inclusive)
            sum->values[e].inclusive = row->values[e].inclusive;
    }
}

static bool is_near(const bool *is_hit, uint32_t line, uint32_t last)
{
    uint32_t from = line > CONTEXT ? line - CONTEXT : 1;
    for (uint32_t at = from; at <= line + CONTEXT && at <= last; at++)
        if (is_hit[at])
            return true;
    return false;
}

/* One file: all lines with counts of the target, and some around them for people. */
static void show_source(const struct tally_view *view, const struct annotate *annotate,
                        const char *file)
{
    size_t events = view->profile->event_count;
    struct source source = {.file = file};
    read_source(&source, annotate);
    uint32_t last = last_line(view, &source);
    if (source.line_count && last > source.line_count) {
        say_text_is_left_out(&source,
                             "has fewer lines than the code that names it, as of templates");
        forget_text(&source);
    }
    bool *is_hit = tally_alloc_zeroed(last + 1, sizeof(*is_hit));
    struct tally_row *sums = tally_alloc_zeroed(last + 1, sizeof(*sums));
    struct tally_row_value *values = tally_alloc_zeroed((last + 1) * events, sizeof(*values));
    for (size_t i = 0; i < view->row_count; i++) {
        const struct tally_row *row = &view->rows[i];
        if (strcmp(row->file, file) != 0 || !is_target(annotate, row))
            continue;
        sums[row->line].values = &values[row->line * events];
        add_row(&sums[row->line], row, events);
        is_hit[row->line] = true;
    }
    if (!annotate->is_csv)
        print_heading(view, &source);
    bool was_shown = true;
    for (uint32_t line = 1; line <= last; line++) {
        if (annotate->is_csv) {
            if (is_hit[line])
                print_csv_line(view, &source, line, &sums[line]);
            continue;
        }
        bool is_shown = is_hit[line] || (source.line_count && is_near(is_hit, line, last));
        if (is_shown && !was_shown)
            puts("...");
        if (is_shown)
            print_text_line(view, &source, line, is_hit[line] ? &sums[line] : NULL);
        was_shown = is_shown;
    }
    free(is_hit);
    free(sums);
    free(values);
    forget_text(&source);
}

static bool was_seen(const struct tally_view *view, const struct annotate *annotate, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_target(annotate, &view->rows[i]) &&
            !strcmp(view->rows[i].file, view->rows[index].file))
            return true;
    return false;
}

static int annotate_profile(struct annotate *annotate, const struct loaded *loaded, int sort)
{
    struct tally_view view;
    size_t shown = 0;
    char *top = annotate->target ? NULL : top_function(loaded->profile, sort);
    if (top)
        annotate->target = top;
    if (!annotate->target)
        return tally_error("the recording has no Python function with a source file.");
    tally_view_make(&view, TALLY_VIEW_LINE, loaded->profile, NULL, sort);
    if (annotate->is_csv)
        puts("file,line,text,event,unit,source,self,inclusive,samples");
    for (size_t i = 0; i < view.row_count; i++) {
        const struct tally_row *row = &view.rows[i];
        if (!*row->file || !is_target(annotate, row) || was_seen(&view, annotate, i))
            continue;
        if (shown++ && !annotate->is_csv)
            putchar('\n');
        show_source(&view, annotate, row->file);
    }
    tally_view_release(&view);
    int result = shown ? 0
                       : tally_error("nothing was counted in a function or file \"%s\"; "
                                     "\"tallystack report --limit 0\" lists what was.",
                                     annotate->target);
    free(top);
    return result;
}

int cmd_annotate(int argc, char **argv)
{
    struct annotate annotate = {.input = "tallystack.rec"};
    struct loaded loaded;
    command_parse(&annotate_argp, argc, argv, NULL, &annotate);
    if (loaded_open(&loaded, "annotate", annotate.input, false) < 0)
        return command_failed("annotate");
    int status = loaded_status(&loaded), sort = loaded_event(&loaded.recording->run, annotate.sort);
    if (sort < 0 || annotate_profile(&annotate, &loaded, sort) < 0)
        status = command_failed("annotate");
    loaded_close(&loaded);
    return command_finish("annotate", status);
}
