#include "sources/simulated.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "base/text.h"
#include "simulator/raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Events */

#define BIT(name)   TALLY_RAW_BIT(TALLY_RAW_##name)
#define DATA(level) (BIT(level##_LOAD) | BIT(level##_STORE))
#define ALL(level)  (DATA(level) | BIT(level##_FETCH))

static const struct simulated_event {
    const char *name, *alias;
    uint64_t mask;
} simulated_events[] = {
    {"PAPI_TOT_INS", "instructions", BIT(INSTRUCTIONS)},
    {"PAPI_LD_INS", "L1-dcache-loads", BIT(LOADS)},
    {"PAPI_SR_INS", "L1-dcache-stores", BIT(STORES)},
    {"PAPI_L1_ICM", "L1-icache-load-misses", BIT(L1_FETCH)},
    {"PAPI_L1_DCM", NULL, DATA(L1)},
    {"PAPI_L2_TCM", NULL, ALL(L2)},
    {"PAPI_L3_TCM", "cache-misses", ALL(L3)},
    {"PAPI_BR_INS", "branches", BIT(BRANCHES)},
    {"PAPI_BR_MSP", "branch-misses", BIT(CONDITIONAL_MISS) | BIT(INDIRECT_MISS)},
    /* The default set ends here. */
    {"PAPI_LST_INS", NULL, BIT(LOADS) | BIT(STORES)},
    {"PAPI_L1_TCM", NULL, ALL(L1)},
    {"PAPI_L1_LDM", "L1-dcache-load-misses", BIT(L1_LOAD)},
    {"PAPI_L1_STM", "L1-dcache-store-misses", BIT(L1_STORE)},
    {"PAPI_L2_ICM", NULL, BIT(L2_FETCH)},
    {"PAPI_L2_DCM", NULL, DATA(L2)},
    {"PAPI_L2_LDM", NULL, BIT(L2_LOAD)},
    {"PAPI_L2_STM", NULL, BIT(L2_STORE)},
    {"PAPI_L3_ICM", NULL, BIT(L3_FETCH)},
    {"PAPI_L3_DCM", NULL, DATA(L3)},
    {"PAPI_L3_LDM", "LLC-load-misses", BIT(L3_LOAD)},
    {"PAPI_L3_STM", "LLC-store-misses", BIT(L3_STORE)},
    {"PAPI_TLB_DM", NULL, DATA(TLB)},
    {"dTLB-load-misses", NULL, BIT(TLB_LOAD)},
    {"dTLB-store-misses", NULL, BIT(TLB_STORE)},
    {"PAPI_BR_CN", NULL, BIT(CONDITIONAL)},
    {"PAPI_BR_IND", NULL, BIT(INDIRECT)},
    {"conditional-branch-misses", NULL, BIT(CONDITIONAL_MISS)},
    {"indirect-branch-misses", NULL, BIT(INDIRECT_MISS)},
    {"calls", NULL, BIT(CALLS)},
};

enum { DEFAULT_EVENTS = 9, EVENTS = sizeof(simulated_events) / sizeof(simulated_events[0]) };

static const struct simulated_event *find_event(const char *name, size_t size)
{
    for (size_t i = 0; i < EVENTS; i++) {
        const char *names[] = {simulated_events[i].name, simulated_events[i].alias};
        for (int k = 0; k < 2; k++)
            if (names[k] && strlen(names[k]) == size && !strncasecmp(names[k], name, size))
                return &simulated_events[i];
    }
    return NULL;
}

/* Which cache the model lacks for the event; NULL if it has all. */
static const char *lacks(const struct tally_model *model, uint64_t mask)
{
    if (mask & ALL(L2) && !model->l2.size)
        return "second-level cache";
    if (mask & ALL(L3) && !model->l3.size)
        return "third-level cache";
    return mask & DATA(TLB) && !model->tlb.size ? "data TLB" : NULL;
}

static void add_event(struct tally_event_list *list, const char *name, size_t size,
                      const struct simulated_event *from, const struct tally_model *model)
{
    struct tally_event *event = &list->events[list->count++];
    *event = (struct tally_event){
        .source = TALLY_SOURCE_SIMULATED, .unit = TALLY_UNIT_COUNT, .period = 1, .term_count = 1};
    snprintf(event->name, sizeof(event->name), "%.*s", (int)size, name);
    snprintf(event->terms[0].encoding, sizeof(event->terms[0].encoding), "simulated:%s:%s",
             model->name, from->name);
    event->terms[0].factor = 1;
    event->terms[0].config = from->mask;
}

static int add_named(struct tally_event_list *list, const char *name, size_t size,
                     const struct tally_model *model)
{
    const struct simulated_event *event = find_event(name, size);
    if (!event)
        return tally_error_code(TALLY_NOT_FOUND, "\"%.*s\" is not simulated.", (int)size, name);
    if (list->count == TALLY_MAX_EVENTS)
        return tally_error("at most %d events can be simulated in one run.", TALLY_MAX_EVENTS);
    if (lacks(model, event->mask))
        return tally_error("%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event->mask));
    add_event(list, name, size, event, model);
    return 0;
}

int tally_simulated_events(const char *list, const struct tally_model *model, struct tally_run *run,
                           struct tally_event_list *out)
{
    *out = (struct tally_event_list){0};
    for (int i = 0; i < DEFAULT_EVENTS && !list; i++) {
        const struct simulated_event *event = &simulated_events[i];
        if (lacks(model, event->mask))
            tally_run_note(run, "%s is not simulated: the model \"%s\" has no %s.", event->name,
                           model->name, lacks(model, event->mask));
        else
            add_event(out, event->name, strlen(event->name), event, model);
    }
    while (list && *list) {
        size_t size = strcspn(list, ",");
        if (add_named(out, list, size, model) < 0)
            return TALLY_ERROR;
        list += size + (list[size] == ',');
    }
    return out->count ? 0 : tally_error("name the events to simulate after -e.");
}

/* Models */

/* A file beside the command: `built` from bin/ of a build, else as installed. */
static char *beside_command(const char *const *places, size_t count, const char *name)
{
    char own[PATH_MAX], *found;
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (size < 0)
        return NULL;
    own[size] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < count; i++) {
        struct tally_buffer path = {0};
        tally_buffer_printf(&path, "%s/%s/%s", own, places[i], name);
        found = realpath(path.data, NULL);
        tally_buffer_release(&path);
        if (found)
            return found;
    }
    return NULL;
}

static char *model_path(const char *name)
{
    static const char *const places[] = {"../share/tallystack/models", TALLYSTACK_MODELS_FROM_BIN};
    struct tally_buffer file = {0};
    if (strchr(name, '/'))
        return tally_strdup(name);
    tally_buffer_printf(&file, "%s.model", name);
    char *path = beside_command(places, 2, file.data);
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

/* Environment: what makes two runs alike */

/* So that the interpreter's and the C library's behaviour repeats, unless the user has set it. */
static const char *const pins[] = {"PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1",
                                   "LD_BIND_NOW=1"};
/* `rep movsb` counts one instruction for each byte. */
#define TUNABLES                                                                                   \
    "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff:glibc.cpu.x86_rep_stosb_threshold=0x7fffffff"

struct environment {
    char **entries;
    size_t count;
};

static void set_entry(struct environment *environment, char *entry, bool replace)
{
    size_t name = strcspn(entry, "=") + 1;
    for (size_t i = 0; i < environment->count; i++) {
        if (strncmp(environment->entries[i], entry, name) != 0)
            continue;
        if (replace) {
            free(environment->entries[i]);
            environment->entries[i] = entry;
        } else {
            free(entry);
        }
        return;
    }
    environment->entries =
        tally_realloc(environment->entries, environment->count + 2, sizeof(entry));
    environment->entries[environment->count++] = entry;
    environment->entries[environment->count] = NULL;
}

static void set_text(struct environment *environment, bool replace, const char *name,
                     const char *value, const char *more)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "%s=%s%s%s", name, value, more && *more ? ":" : "",
                        more ? more : "");
    set_entry(environment, text.data, replace);
}

static size_t block_size(char *const *entries)
{
    size_t size = 0;
    for (; *entries; entries++)
        size += strlen(*entries) + 1 + sizeof(*entries);
    return size;
}

/* The size of the environment moves the stack, and with it what shares a cache set: filled up to a
 * round size, a variable more or less moves nothing. */
static void pad(struct environment *environment, char *const *argv)
{
    enum { ROUND = 16384 };
    static const char name[] = "TALLYSTACK_PADDING=";
    size_t size = block_size(environment->entries) + block_size(argv) + sizeof(name) + 8;
    size_t fill = ROUND - size % ROUND;
    char *entry = tally_alloc(sizeof(name) + fill);
    memcpy(entry, name, sizeof(name) - 1);
    memset(entry + sizeof(name) - 1, '.', fill);
    entry[sizeof(name) - 1 + fill] = '\0';
    set_entry(environment, entry, true);
}

static char **make_environment(const char *tool_folder, char *const *argv)
{
    struct environment environment = {0};
    for (char **entry = environ; *entry; entry++)
        if (strncmp(*entry, "TALLYSTACK_PADDING=", 19) != 0)
            set_entry(&environment, tally_strdup(*entry), true);
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++)
        set_entry(&environment, tally_strdup(pins[i]), false);
    set_text(&environment, true, "GLIBC_TUNABLES", TUNABLES, getenv("GLIBC_TUNABLES"));
    set_text(&environment, true, "VALGRIND_LIB", tool_folder, NULL);
    pad(&environment, argv);
    return environment.entries;
}

/* Command line */

static bool is_executable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

static char *in_path(const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return access(name, F_OK) == 0 ? tally_strdup(name) : NULL;
    for (path = path ? path : "/usr/bin:/bin"; *path; path += *path == ':') {
        size_t size = strcspn(path, ":");
        struct tally_buffer candidate = {0};
        tally_buffer_printf(&candidate, "%.*s%s%s", (int)size, path, size ? "/" : "./", name);
        if (is_executable(candidate.data))
            return candidate.data;
        tally_buffer_release(&candidate);
        path += size;
    }
    return NULL;
}

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *print(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    return text;
}

static char *machine_argument(const char *name, const struct tally_model_level *level)
{
    return print("--machine=%s=%" PRIu64 ",%" PRIu64, name, level->size, level->ways);
}

static char *events_argument(const struct tally_event_list *events)
{
    struct tally_buffer text = {0};
    for (int i = 0; i < events->count; i++)
        tally_buffer_printf(&text, "%s%" PRIx64,
                            i ? "," : "--events=", events->events[i].terms[0].config);
    return text.data;
}

static char **make_arguments(const char *valgrind, char *const argv[],
                             const struct tally_model *model, const struct tally_event_list *events,
                             const char *recording)
{
    size_t count = 0, used = 0;
    while (argv[count])
        count++;
    char *ours[] = {
        print("%s", valgrind),
        print("--tool=tallystack"),
        print("--command-line-only=yes"),
        print("-q"),
        print("--log-file=/dev/null"), /* warnings of system calls it does not know */
        print("--vgdb=no"),
        print("--trace-children=yes"),
        print("--max-threads=2000"),
        print("--recording=%s", recording),
        print("--parent=%d", (int)getpid()),
        events_argument(events),
        print("--machine=line=%" PRIu64, model->line),
        machine_argument("l1i", &model->l1i),
        machine_argument("l1d", &model->l1d),
        machine_argument("l2", &model->l2),
        machine_argument("l3", &model->l3),
        machine_argument("tlb", &model->tlb),
    };
    char **out = tally_alloc_zeroed(sizeof(ours) / sizeof(ours[0]) + count + 1, sizeof(*out));
    for (; used < sizeof(ours) / sizeof(ours[0]); used++)
        out[used] = ours[used];
    for (size_t i = 0; i < count; i++)
        out[used++] = tally_strdup(argv[i]);
    return out;
}

int tally_simulated_command(struct tally_simulated_command *out, char *const argv[],
                            const struct tally_model *model, const struct tally_event_list *events,
                            const char *recording, int *exit_status)
{
    static const char *const places[] = {"../lib/tallystack", TALLYSTACK_LIB_FROM_BIN};
    *out = (struct tally_simulated_command){0};
    char *tool = beside_command(places, 2, "valgrind");
    char *valgrind = in_path("valgrind"), *program = in_path(argv[0]);
    int result = 0;
    if (!tool)
        result = tally_error("this tallystack was built without the simulator; build it where the "
                             "package \"valgrind\" is installed.");
    else if (!valgrind)
        result = tally_error("--simulate needs valgrind, which is not installed; install the "
                             "package \"valgrind\".");
    else if (!program) {
        *exit_status = TALLY_EXIT_NOT_FOUND;
        result =
            tally_error_code(TALLY_NOT_FOUND, "cannot run \"%s\": %s.", argv[0], strerror(ENOENT));
    } else if (!is_executable(program)) {
        *exit_status = TALLY_EXIT_CANNOT_RUN;
        result = tally_error("cannot run \"%s\": %s.", argv[0], strerror(EACCES));
    }
    if (result == 0) {
        out->argv = make_arguments(valgrind, argv, model, events, recording);
        out->environment = make_environment(tool, argv);
    }
    free(tool);
    free(valgrind);
    free(program);
    return result;
}

static void free_list(char **list)
{
    for (char **entry = list; entry && *entry; entry++)
        free(*entry);
    free(list);
}

void tally_simulated_command_release(struct tally_simulated_command *command)
{
    free_list(command->argv);
    free_list(command->environment);
    *command = (struct tally_simulated_command){0};
}

/* Totals */

static bool read_header(int directory, const char *name, struct tally_image_header *header)
{
    size_t size = strlen(name);
    if (size < 6 || strcmp(name + size - 6, ".image") != 0)
        return false;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_whole = read(fd, header, sizeof(*header)) == (ssize_t)sizeof(*header) &&
                    !memcmp(header->magic, TALLY_IMAGE_MAGIC, sizeof(header->magic));
    close(fd);
    return is_whole;
}

struct totals {
    uint32_t images, killed, running;
    uint64_t counts[TALLY_MAX_COUNTERS];
    char refusal[128];
};

static void add_image(struct totals *totals, const struct tally_image_header *header)
{
    if (header->state == TALLY_IMAGE_SAMPLING) {
        if (kill((pid_t)header->pid, 0) == 0 || errno == EPERM)
            totals->running++;
        else
            totals->killed++;
        return;
    }
    totals->images++;
    for (int i = 0; i < TALLY_MAX_COUNTERS; i++)
        totals->counts[i] += header->after[i];
    if (header->is_root && header->refusal[0])
        snprintf(totals->refusal, sizeof(totals->refusal), "%.127s", header->refusal);
}

static int read_totals(int directory, struct totals *totals)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    *totals = (struct totals){0};
    if (!list)
        return tally_error("cannot read the recording: %s.", strerror(errno));
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        struct tally_image_header header;
        if (read_header(directory, entry->d_name, &header))
            add_image(totals, &header);
    }
    closedir(list);
    return 0;
}

int tally_simulated_totals(int directory, struct tally_run *run, uint32_t *images,
                           char refusal[128])
{
    enum { PATIENCE_MS = 5000, STEP_MS = 20 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    struct totals totals;
    if (read_totals(directory, &totals) < 0)
        return TALLY_ERROR;
    for (int waited = 0; totals.running && waited < PATIENCE_MS; waited += STEP_MS) {
        nanosleep(&step, NULL);
        if (read_totals(directory, &totals) < 0)
            return TALLY_ERROR;
    }
    if (totals.killed || totals.running)
        tally_run_note(run,
                       "%" PRIu32 " processes were killed and %" PRIu32 " outlive the program: "
                       "what they did is not counted.",
                       totals.killed, totals.running);
    *images = totals.images;
    memcpy(refusal, totals.refusal, sizeof(totals.refusal));
    for (int i = 0; i < run->event_count; i++) {
        run->events[i].total = totals.counts[i];
        run->events[i].has_total = totals.images > 0;
    }
    return 0;
}
