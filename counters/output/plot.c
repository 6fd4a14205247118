#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "output/csv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Kinds of files */

static const struct format {
    const char *name;
    const char *end; /* the last bytes of a file that is whole, a line end apart; NULL: none */
    unsigned width;
} formats[] = {
    {"svg", "</svg>", 1000},
    {"png", "IEND\xae\x42\x60\x82", 1000},
    {"pdf", "%%EOF", 1000},
    {"txt", NULL, 100},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]), TXT = FORMATS - 1 };

struct tally_plot {
    const struct format *format;
    bool keep, to_stdout;
    unsigned width, height;
    char *script;                        /* path of plots/KIND.gp */
    char *folder;                        /* of the picture */
    char *work;                          /* the private folder, NULL when there is none */
    char *picture, *script_name, *table; /* names in either folder */
    FILE *data;
    struct tally_buffer variables;
    sigset_t held, old_mask;
    bool is_masked;
    int ended_by; /* signal that came meanwhile */
};

FILE *tally_plot_data(struct tally_plot *plot)
{
    return plot->data;
}

bool tally_plot_is_text(const struct tally_plot *plot)
{
    return plot->format == &formats[TXT];
}

void tally_plot_size(struct tally_plot *plot, size_t pixels_high, size_t lines_high)
{
    if (!plot->height)
        plot->height = (unsigned)(tally_plot_is_text(plot) ? lines_high : pixels_high);
}

/* Text */

static size_t character_size(const char *text)
{
    size_t size = 1;
    while ((text[size] & 0xc0) == 0x80)
        size++;
    return size;
}

/* Letters of the Far East and pictures are two columns wide: all from Hangul on, nearly. */
static size_t character_columns(const char *text)
{
    unsigned char lead = (unsigned char)*text, next = lead ? (unsigned char)text[1] : 0;
    if (lead >= 0xf0)
        return 2;
    if (lead == 0xe1)
        return next >= 0x84 && next <= 0x85 ? 2 : 1;
    return lead >= 0xe3 ? 2 : 1;
}

size_t tally_plot_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text += character_size(text))
        columns += character_columns(text);
    return columns;
}

char *tally_plot_shortened(const char *text, size_t columns)
{
    struct tally_buffer out = {0};
    size_t have = tally_plot_columns(text), used = 0;
    if (have <= columns)
        return tally_strdup(text);
    size_t head = columns / 3, drop = have - columns + 1;
    for (; used + character_columns(text) <= head; text += character_size(text)) {
        used += character_columns(text);
        tally_buffer_append(&out, text, character_size(text));
    }
    tally_buffer_printf(&out, "…");
    for (size_t dropped = 0; *text && dropped < drop; text += character_size(text))
        dropped += character_columns(text);
    tally_buffer_append(&out, text, strlen(text));
    return out.data;
}

/* Variables */

/*
 * Before it parses a line, gnuplot looks in it for quotes, commands between backquotes and macros
 * after at signs, and it can be led astray. None of these gets into a line: they are variables.
 */
static const struct sign {
    char sign;
    const char *name, *value;
} signs[] = {
    {'\'', "apostrophe", "\\047"},
    {'"', "quote", "\\042"},
    {'`', "backquote", "\\140"},
    {'@', "at_sign", "\\100"},
};
enum { SIGNS = sizeof(signs) / sizeof(signs[0]) };

/* A string of gnuplot in which nothing is interpreted. */
static void append_quoted(struct tally_buffer *out, const char *text)
{
    tally_buffer_append(out, "'", 1);
    for (; *text; text++) {
        size_t s = 0;
        while (s < SIGNS && signs[s].sign != *text)
            s++;
        if (s < SIGNS)
            tally_buffer_printf(out, "'.%s.'", signs[s].name);
        else
            tally_buffer_append(out, text, 1);
    }
    tally_buffer_append(out, "'\n", 2);
}

static void append_text(struct tally_buffer *out, const char *text)
{
    char *clean = tally_text_clean(text, strlen(text));
    append_quoted(out, clean);
    free(clean);
}

void tally_plot_number(struct tally_plot *plot, const char *name, double value)
{
    tally_buffer_printf(&plot->variables, "%s = %.17g\n", name, value);
}

void tally_plot_text(struct tally_plot *plot, const char *name, const char *text)
{
    tally_buffer_printf(&plot->variables, "%s = ", name);
    append_text(&plot->variables, text);
}

void tally_plot_array(struct tally_plot *plot, const char *name, size_t count)
{
    tally_buffer_printf(&plot->variables, "array %s[%zu]\n", name, count);
}

void tally_plot_number_at(struct tally_plot *plot, const char *name, size_t index, double value)
{
    tally_buffer_printf(&plot->variables, "%s[%zu] = %.17g\n", name, index + 1, value);
}

void tally_plot_text_at(struct tally_plot *plot, const char *name, size_t index, const char *text)
{
    tally_buffer_printf(&plot->variables, "%s[%zu] = ", name, index + 1);
    append_text(&plot->variables, text);
}

void tally_plot_words(struct tally_plot *plot, const char *name, const char *text, unsigned size)
{
    enum { EDGES = 36 };
    size_t columns = plot->width - 1;
    if (!tally_plot_is_text(plot)) /* a letter is 0.58 as wide as high, in the mean */
        columns = plot->width > EDGES + 10 ? (size_t)((plot->width - EDGES) / (0.6 * size)) : 1;
    char *clean = tally_text_clean(text, strlen(text));
    char *words = tally_plot_shortened(clean, columns);
    tally_plot_text(plot, name, words);
    free(words);
    free(clean);
}

const char *tally_plot_source(enum tally_source_kind source)
{
    static const char *const words[] = {
        [TALLY_SOURCE_SOFTWARE] = "counted by the kernel (software)",
        [TALLY_SOURCE_HARDWARE] = "counted by the processor (hardware)",
        [TALLY_SOURCE_CLOCK] = "from the kernel's clocks and accounts (clock)",
        [TALLY_SOURCE_SIMULATED] = "SIMULATED on a model of the processor, not measured",
    };
    return words[source];
}

static void append_warnings(struct tally_buffer *warning, const struct tally_recording *recording)
{
    const struct tally_run *run = &recording->run;
    if (recording->is_damaged)
        tally_buffer_printf(warning, "Parts of the recording are damaged and left out. ");
    for (int i = 0; i < run->note_count; i++)
        tally_buffer_printf(warning, "%s ", run->notes[i]);
}

void tally_plot_provenance(struct tally_plot *plot, const struct tally_recording *recording,
                           const struct tally_profile *profile, const char *source,
                           const char *samples)
{
    const struct tally_run *run = &recording->run;
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "%s%s%s", source, *source ? " · " : "", run->command);
    tally_plot_words(plot, "subheading", text.data, 12);
    tally_buffer_clear(&text);
    tally_buffer_printf(&text, "%s%s%s", *profile->python ? "Python " : "", profile->python,
                        *profile->python ? " · " : "");
    tally_buffer_printf(&text, "%s", run->machine);
    tally_plot_words(plot, "footer_1", text.data, 10);
    tally_buffer_clear(&text);
    tally_buffer_printf(&text, "%s · %s · tallystack %s", run->started, samples, run->version);
    tally_plot_words(plot, "footer_2", text.data, 10);
    tally_buffer_clear(&text);
    tally_buffer_printf(&text, "%s", "");
    append_warnings(&text, recording);
    tally_plot_words(plot, "warning", text.data, 11);
    tally_buffer_release(&text);
}

struct tally_plot_scale tally_plot_scale_of(double largest, enum tally_unit unit)
{
    static const char *const prefixes[] = {"n", "µ", "m", "", "k", "M", "G", "T", "P"};
    enum { PLAIN = 3, LAST = 8 };
    double base = unit == TALLY_UNIT_NS ? 1e-9 : 1;
    const char *name = unit == TALLY_UNIT_NS ? "s" : unit == TALLY_UNIT_JOULE ? "J" : "";
    int prefix = largest > 0 ? (int)floor(log10(largest * base) / 3) + PLAIN : PLAIN;
    int least = unit == TALLY_UNIT_COUNT ? PLAIN : 0;
    prefix = prefix < least ? least : prefix > LAST ? LAST : prefix;
    struct tally_plot_scale scale = {.factor = base * pow(10, -3 * (prefix - PLAIN))};
    snprintf(scale.unit, sizeof(scale.unit), "%s%s", prefixes[prefix], name);
    return scale;
}

/* Beginning */

static const struct format *format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; i < FORMATS; i++)
        if (dot && !strcmp(dot + 1, formats[i].name))
            return &formats[i];
    return NULL;
}

static int find_script(char **path, const char *name)
{
    static const char *const places[] = {"../share/tallystack/plots", TALLYSTACK_PLOTS_FROM_BIN};
    char own[PATH_MAX];
    struct tally_buffer candidate = {0};
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (size < 0)
        return tally_error("cannot find the plot scripts: /proc is not mounted.");
    own[size] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        tally_buffer_clear(&candidate);
        tally_buffer_printf(&candidate, "%s/%s/%s.gp", own, places[i], name);
        if (access(candidate.data, R_OK) == 0) {
            *path = candidate.data;
            return 0;
        }
    }
    tally_buffer_release(&candidate);
    return tally_error("the plot script \"%s.gp\" is not installed beside %s.", name, own);
}

static char *joined(const char *first, const char *second, const char *third)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "%s%s%s", first, second, third);
    return text.data;
}

static int name_files(struct tally_plot *plot, const char *output)
{
    const char *temporary = getenv("TMPDIR"), *slash = strrchr(output, '/');
    const char *name = plot->to_stdout ? "picture.txt" : slash ? slash + 1 : output;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ')
            return tally_error("the name of the picture has control characters in it.");
    if (plot->to_stdout)
        plot->folder = tally_strdup(temporary && *temporary ? temporary : "/tmp");
    else
        plot->folder = slash ? strndup(output, (size_t)(slash - output) + 1) : tally_strdup(".");
    char *stem = strndup(name, (size_t)(strrchr(name, '.') - name));
    if (!*stem) {
        free(stem);
        return tally_error("\"%s\" is no name for a picture: nothing is before the dot.", output);
    }
    plot->picture = tally_strdup(name);
    plot->script_name = joined(stem, ".gp", "");
    plot->table = joined(stem, ".csv", "");
    free(stem);
    return 0;
}

static FILE *create(const struct tally_plot *plot, const char *name)
{
    char *path = joined(plot->work, "/", name);
    FILE *out = fopen(path, "wxe");
    if (!out)
        tally_error("cannot write %s: %s.", path, strerror(errno));
    free(path);
    return out;
}

static int make_work_folder(struct tally_plot *plot)
{
    char *template = joined(plot->folder, "/.tallystack-plot-", "XXXXXX");
    if (!mkdtemp(template)) {
        int error = errno;
        free(template);
        return tally_error("cannot write into the folder \"%s\": %s.", plot->folder,
                           strerror(error));
    }
    plot->work = template;
    plot->data = create(plot, plot->table);
    return plot->data ? 0 : TALLY_ERROR;
}

/* Those that would end us, and the one that tells of gnuplot's end. */
static void hold_signals(struct tally_plot *plot)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    sigemptyset(&plot->held);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&plot->held, ending[i]);
    signal(SIGCHLD, SIG_DFL);
    sigaddset(&plot->held, SIGCHLD);
    sigprocmask(SIG_BLOCK, &plot->held, &plot->old_mask);
    plot->is_masked = true;
}

int tally_plot_new(struct tally_plot **out, const struct tally_plot_request *request)
{
    struct tally_plot *plot = tally_alloc_zeroed(1, sizeof(*plot));
    plot->to_stdout = !strcmp(request->output, "-");
    plot->format = plot->to_stdout ? &formats[TXT] : format_of(request->output);
    plot->keep = request->keep;
    plot->height = request->height;
    int result = 0;
    if (!plot->format)
        result = tally_error("\"%s\" does not say what to draw: its name must end in .svg, .png, "
                             ".pdf or .txt.",
                             request->output);
    else if (plot->to_stdout && plot->keep)
        result = tally_error("to keep the script and the data, name the picture with -o FILE.txt.");
    else
        plot->width = request->width ? request->width : plot->format->width;
    if (result == 0)
        result = name_files(plot, request->output);
    if (result == 0)
        result = find_script(&plot->script, request->script);
    if (result == 0) {
        hold_signals(plot);
        result = make_work_folder(plot);
    }
    if (result < 0) {
        tally_plot_free(plot);
        return result;
    }
    *out = plot;
    return 0;
}

/* Ending */

static void remove_work_folder(struct tally_plot *plot)
{
    DIR *folder = opendir(plot->work);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(plot->work);
}

void tally_plot_free(struct tally_plot *plot)
{
    if (!plot)
        return;
    if (plot->data)
        fclose(plot->data);
    if (plot->work)
        remove_work_folder(plot);
    if (plot->ended_by)
        raise(plot->ended_by);
    if (plot->is_masked)
        sigprocmask(SIG_SETMASK, &plot->old_mask, NULL);
    free(plot->script);
    free(plot->folder);
    free(plot->work);
    free(plot->picture);
    free(plot->script_name);
    free(plot->table);
    tally_buffer_release(&plot->variables);
    free(plot);
}

/* Drawing */

static int close_file(FILE *out, const char *name)
{
    bool failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return 0;
    return tally_error("cannot write %s: %s.", name, strerror(errno));
}

static int append_file(FILE *out, const char *path)
{
    size_t size;
    char *text = tally_read_file(path, &size);
    if (!text)
        return tally_error("cannot read the plot script %s: %s.", path, strerror(errno));
    fputc('\n', out);
    fwrite(text, 1, size, out);
    free(text);
    return 0;
}

static int write_script(struct tally_plot *plot)
{
    struct tally_buffer names = {0};
    FILE *out = create(plot, plot->script_name);
    if (!out)
        return TALLY_ERROR;
    for (size_t s = 0; s < SIGNS; s++)
        tally_buffer_printf(&names, "%s = \"%s\"\n", signs[s].name, signs[s].value);
    tally_buffer_printf(&names, "script = ");
    append_quoted(&names, plot->script_name);
    /* Where the script lies, wherever gnuplot is called. */
    tally_buffer_printf(&names,
                        "folder = exists('ARG0') && strlen(ARG0) > strlen(script) && "
                        "ARG0[strlen(ARG0) - strlen(script) + 1:*] eq script ? "
                        "ARG0[1:strlen(ARG0) - strlen(script)] : ''\n"
                        "format = '%s'\npicture = folder . ",
                        plot->format->name);
    char *picture = joined("./", plot->picture, ""), *table = joined("./", plot->table, "");
    append_quoted(&names, picture);
    tally_buffer_printf(&names, "data = folder . ");
    append_quoted(&names, table);
    free(picture);
    free(table);
    fprintf(out, "# Made by tallystack plot; gnuplot draws the picture again from it.\n%s",
            names.data);
    tally_buffer_release(&names);
    fprintf(out, "width = %u\nheight = %u\n%s", plot->width, plot->height, plot->variables.data);
    char *folder = strndup(plot->script, (size_t)(strrchr(plot->script, '/') - plot->script));
    char *common = joined(folder, "/common.gp", "");
    int result = append_file(out, common);
    if (result == 0)
        result = append_file(out, plot->script);
    free(common);
    free(folder);
    int closed = close_file(out, plot->script_name);
    return result < 0 ? result : closed;
}

static int start_gnuplot(const struct tally_plot *plot, pid_t *pid)
{
    extern char **environ;
    char *script = joined("./", plot->script_name, "");
    char name[] = "gnuplot", defaults[] = "-d";
    char *argv[] = {name, defaults, script, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addchdir_np(&actions, plot->work);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, ".messages",
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawnattr_setsigmask(&attributes, &plot->old_mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawnp(pid, name, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(script);
    if (error == ENOENT)
        return tally_error("gnuplot, which draws the plots, is not installed; it is in the package "
                           "gnuplot-nox (sudo apt-get install gnuplot-nox).");
    return error ? tally_error("cannot run gnuplot: %s.", strerror(error)) : 0;
}

/* A signal that would end us ends gnuplot first. */
static int wait_for_gnuplot(struct tally_plot *plot, pid_t pid)
{
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
        int came = sigwaitinfo(&plot->held, NULL);
        if (came > 0 && came != SIGCHLD) {
            plot->ended_by = came;
            kill(pid, SIGTERM);
        }
    }
    if (got < 0)
        return tally_error("cannot wait for gnuplot: %s.", strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What gnuplot said, in one line. */
static char *read_messages(const struct tally_plot *plot)
{
    struct tally_buffer line = {0};
    size_t size;
    char *path = joined(plot->work, "/", ".messages"), *text = tally_read_file(path, &size);
    tally_buffer_append(&line, "", 0);
    for (char *save = NULL, *word = text ? strtok_r(text, " \t\r\n", &save) : NULL; word;
         word = strtok_r(NULL, " \t\r\n", &save))
        tally_buffer_printf(&line, "%s%s", line.size ? " " : "", word);
    free(text);
    free(path);
    return line.data;
}

/* A full disk does not make gnuplot fail. */
static bool is_whole(const struct tally_plot *plot, const char *path)
{
    size_t size, end_size = plot->format->end ? strlen(plot->format->end) : 0;
    char *content = tally_read_file(path, &size);
    bool is_good = content && size > end_size;
    while (is_good && end_size && size && content[size - 1] == '\n')
        size--;
    if (is_good && end_size)
        is_good =
            size >= end_size && !memcmp(content + size - end_size, plot->format->end, end_size);
    free(content);
    return is_good;
}

static int run_gnuplot(struct tally_plot *plot)
{
    pid_t pid;
    if (start_gnuplot(plot, &pid) < 0)
        return TALLY_ERROR;
    int status = wait_for_gnuplot(plot, pid);
    if (status < 0)
        return status;
    if (plot->ended_by)
        return tally_error("ended by signal %d.", plot->ended_by);
    char *picture = joined(plot->work, "/", plot->picture), *messages = read_messages(plot);
    int result = 0;
    if (status != 0)
        result = tally_error("gnuplot failed with status %d: %s", status,
                             *messages ? messages : "it said nothing.");
    else if (!is_whole(plot, picture))
        result =
            tally_error("gnuplot did not write the whole picture; is the disk full? %s", messages);
    free(messages);
    free(picture);
    return result;
}

static int move_out(const struct tally_plot *plot, const char *name)
{
    char *from = joined(plot->work, "/", name), *to = joined(plot->folder, "/", name);
    int result = 0;
    if (rename(from, to) < 0)
        result = tally_error("cannot write %s: %s.", to, strerror(errno));
    free(from);
    free(to);
    return result;
}

static int print_picture(const struct tally_plot *plot)
{
    size_t size;
    char *path = joined(plot->work, "/", plot->picture), *text = tally_read_file(path, &size);
    free(path);
    if (!text)
        return tally_error("cannot read the picture again: %s.", strerror(errno));
    fwrite(text, 1, size, stdout);
    free(text);
    return 0;
}

int tally_plot_draw(struct tally_plot *plot)
{
    FILE *data = plot->data;
    plot->data = NULL;
    int result = close_file(data, plot->table);
    if (result == 0)
        result = write_script(plot);
    if (result == 0)
        result = run_gnuplot(plot);
    if (result == 0 && plot->to_stdout)
        return print_picture(plot);
    if (result == 0)
        result = move_out(plot, plot->picture);
    if (result == 0 && plot->keep)
        result = move_out(plot, plot->script_name);
    if (result == 0 && plot->keep)
        result = move_out(plot, plot->table);
    return result;
}
