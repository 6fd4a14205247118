/* tallystack plot: pictures of recordings. */
#include "command.h"
#include "loaded.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "output/plot.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_LIMIT = 256, OPTION_KEEP, OPTION_SIZE, LARGEST_SIDE = 20000 };

struct plot {
    const struct kind *kind;
    const char *input, *event;
    struct tally_plot_request request;
    uint64_t limit;
    bool has_limit;
    char **recordings; /* borrowed from argv */
    size_t recording_count;
};

static int draw_functions(struct plot *plot);
static int draw_lines(struct plot *plot);
static int draw_timeline(struct plot *plot);
static int draw_trend(struct plot *plot);
static int draw_waits(struct plot *plot);

/* To add a kind, see output/plot.h. */
static const struct kind {
    const char *name, *script;
    int (*draw)(struct plot *plot); /* the exit status, or negative with the sentence */
    uint64_t limit;
    bool has_event, has_recordings;
} kinds[] = {
    {"functions", "functions", draw_functions, 20, true, false},
    {"lines", "functions", draw_lines, 20, true, false},
    {"timeline", "timeline", draw_timeline, 12, false, false},
    {"trend", "trend", draw_trend, 6, false, true},
    {"waits", "waits", draw_waits, 20, false, false},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const struct argp_option options[] = {
    {"input", 'i', "REC", 0, "The recording (tallystack.rec)", 0},
    {"event", 'e', "EVENT", 0, "Of functions and lines: this event (the first one)", 0},
    {"limit", OPTION_LIMIT, "N", 0,
     "N rows or threads (20, of a timeline 12), or N functions of a trend (6), at most", 0},
    {"output", 'o', "FILE", 0,
     "Draw to FILE.svg, FILE.png, FILE.pdf or FILE.txt (tallystack-KIND.svg); - draws text to "
     "the standard output",
     0},
    {"size", OPTION_SIZE, "WxH", 0,
     "Pixels, or characters of text: 1000 or 100 wide, as high as the content needs", 0},
    {"keep", OPTION_KEEP, NULL, 0, "Leave FILE.gp and FILE.csv, which draw the picture again", 0},
    {0},
};

static void take_kind(struct plot *plot, const char *name, struct argp_state *state)
{
    for (size_t i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, name))
            plot->kind = &kinds[i];
    if (!plot->kind)
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "there is no plot of \"%s\"; there are functions, lines, timeline, trend and "
                     "waits.",
                     name);
}

static void take_size(struct plot *plot, const char *size, struct argp_state *state)
{
    char *end, *start = NULL;
    unsigned long width = strtoul(size, &end, 10), height = 0;
    if (*size >= '0' && *size <= '9' && *end == 'x' && end[1] >= '0' && end[1] <= '9') {
        start = end + 1;
        height = strtoul(start, &end, 10);
    }
    if (!start || *end || width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "the size \"%s\" is not WIDTHxHEIGHT, such as 1000x600.", size);
    plot->request.width = (unsigned)width;
    plot->request.height = (unsigned)height;
}

static void take_argument(struct plot *plot, char *arg, struct argp_state *state)
{
    if (!plot->kind) {
        take_kind(plot, arg, state);
        return;
    }
    if (!plot->kind->has_recordings)
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "\"%s\" is not expected here; a recording is named with -i.", arg);
    plot->recordings = tally_realloc(plot->recordings, plot->recording_count + 1, sizeof(char *));
    plot->recordings[plot->recording_count++] = arg;
}

static void check_arguments(struct plot *plot, struct argp_state *state)
{
    const char *name = plot->kind->name;
    if (plot->event && !plot->kind->has_event)
        argp_failure(state, TALLY_EXIT_FAILED, 0, "plot %s draws all events; leave -e out.", name);
    if (plot->kind->has_recordings && plot->input)
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "a %s takes its recordings without -i: tallystack plot %s REC REC...", name,
                     name);
    if (plot->kind->has_recordings && plot->recording_count < 2)
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "a %s needs two recordings or more: tallystack plot %s REC REC...", name,
                     name);
    if (!plot->input)
        plot->input = "tallystack.rec";
    if (!plot->has_limit)
        plot->limit = plot->kind->limit;
    plot->request.script = plot->kind->script;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct plot *plot = state->input;
    switch (key) {
    case 'i':
        plot->input = arg;
        break;
    case 'e':
        plot->event = arg;
        break;
    case 'o':
        plot->request.output = arg;
        break;
    case OPTION_LIMIT:
        plot->has_limit = true;
        if (tally_parse_count(arg, "the limit", &plot->limit) < 0)
            argp_failure(state, TALLY_EXIT_FAILED, 0, "%s", tally_error_text());
        break;
    case OPTION_SIZE:
        take_size(plot, arg, state);
        break;
    case OPTION_KEEP:
        plot->request.keep = true;
        break;
    case ARGP_KEY_ARG:
        take_argument(plot, arg, state);
        break;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "what to plot is missing: functions, lines, timeline, trend or waits.");
        break;
    case ARGP_KEY_SUCCESS:
        check_arguments(plot, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp plot_argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "functions\nlines\ntimeline\ntrend REC REC...\nwaits",
    .doc = "Draw a picture of a recording with gnuplot.\v"
           "functions and lines: the top ones of one event, with 95 % intervals. timeline: rates "
           "over time, of a recording made with -I, and what its threads did meanwhile. trend: "
           "several recordings side by side. waits: "
           "what each thread did with its wall time.",
};

static int draw_view(struct plot *plot, enum tally_view_kind view_kind)
{
    struct loaded loaded;
    struct tally_plot *picture = NULL;
    struct tally_view view;
    if (loaded_open(&loaded, "plot", plot->input, false) < 0)
        return TALLY_ERROR;
    int result = loaded_event(&loaded.recording->run, plot->event), event = result, status = 0;
    if (result >= 0)
        result = tally_plot_new(&picture, &plot->request);
    if (result >= 0) {
        tally_view_make(&view, view_kind, loaded.profile, NULL, event);
        result = tally_plot_functions(picture, loaded.recording, &view, event, plot->limit);
        tally_view_release(&view);
    }
    if (result >= 0)
        result = tally_plot_draw(picture);
    status = loaded_status(&loaded);
    tally_plot_free(picture);
    loaded_close(&loaded);
    return result < 0 ? result : status;
}

static int draw_functions(struct plot *plot)
{
    return draw_view(plot, TALLY_VIEW_FUNCTION);
}

static int draw_lines(struct plot *plot)
{
    return draw_view(plot, TALLY_VIEW_LINE);
}

typedef int draw_accounts_fn(struct tally_plot *picture, const struct tally_recording *recording,
                             const struct tally_accounts *accounts, size_t limit);

static int draw_accounts(struct plot *plot, draw_accounts_fn *draw)
{
    struct loaded loaded;
    struct tally_plot *picture = NULL;
    if (loaded_open(&loaded, "plot", plot->input, false) < 0)
        return TALLY_ERROR;
    struct tally_accounts *accounts = tally_accounts_new(loaded.profile);
    int status = loaded_status(&loaded), result = tally_plot_new(&picture, &plot->request);
    if (result >= 0)
        result = draw(picture, loaded.recording, accounts, plot->limit);
    if (result >= 0)
        result = tally_plot_draw(picture);
    tally_plot_free(picture);
    tally_accounts_free(accounts);
    loaded_close(&loaded);
    return result < 0 ? result : status;
}

static int draw_timeline(struct plot *plot)
{
    return draw_accounts(plot, tally_plot_timeline);
}

static int draw_waits(struct plot *plot)
{
    return draw_accounts(plot, tally_plot_waits);
}

/* The last part of the path, without ".rec". The caller frees it. */
static char *short_name(const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    const char *start = path + size;
    while (start > path && start[-1] != '/')
        start--;
    size -= (size_t)(start - path);
    if (size > 4 && !strncmp(start + size - 4, ".rec", 4))
        size -= 4;
    return strndup(start, size);
}

/* Short names, unless two are the same: the paths then. The caller frees them. */
static char **name_recordings(const struct plot *plot)
{
    char **names = tally_alloc_zeroed(plot->recording_count, sizeof(*names));
    bool is_clear = true;
    for (size_t i = 0; i < plot->recording_count; i++) {
        names[i] = short_name(plot->recordings[i]);
        for (size_t k = 0; k < i; k++)
            is_clear = is_clear && strcmp(names[i], names[k]) != 0;
    }
    for (size_t i = 0; i < plot->recording_count && !is_clear; i++) {
        free(names[i]);
        names[i] = tally_strdup(plot->recordings[i]);
    }
    return names;
}

static int draw_runs(struct plot *plot, const struct loaded *loaded)
{
    size_t count = plot->recording_count;
    struct tally_plot_run *runs = tally_alloc_zeroed(count, sizeof(*runs));
    struct tally_plot *picture = NULL;
    char **names = name_recordings(plot);
    for (size_t i = 0; i < count; i++)
        runs[i] = (struct tally_plot_run){
            .name = names[i], .recording = loaded[i].recording, .profile = loaded[i].profile};
    int result = tally_plot_new(&picture, &plot->request);
    if (result >= 0)
        result = tally_plot_trend(picture, runs, count, plot->limit);
    if (result >= 0)
        result = tally_plot_draw(picture);
    tally_plot_free(picture);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    free(runs);
    return result;
}

static int draw_trend(struct plot *plot)
{
    size_t opened = 0;
    int result = 0, status = 0;
    struct loaded *loaded = tally_alloc_zeroed(plot->recording_count, sizeof(*loaded));
    while (opened < plot->recording_count && result >= 0) {
        result = loaded_open(&loaded[opened], "plot", plot->recordings[opened], false);
        if (result >= 0 && loaded_status(&loaded[opened++]))
            status = TALLY_EXIT_FAILED;
    }
    if (result >= 0)
        result = draw_runs(plot, loaded);
    while (opened > 0)
        loaded_close(&loaded[--opened]);
    free(loaded);
    return result < 0 ? result : status;
}

int cmd_plot(int argc, char **argv)
{
    struct plot plot = {0};
    char output[64];
    command_parse(&plot_argp, argc, argv, NULL, &plot);
    if (!plot.request.output) {
        snprintf(output, sizeof(output), "tallystack-%s.svg", plot.kind->name);
        plot.request.output = output;
    }
    int result = plot.kind->draw(&plot);
    free(plot.recordings);
    return result < 0 ? command_failed("plot") : command_finish("plot", result);
}
