#include "sources/simulated.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/launch.h"
#include "recording/handout.h"
#include "simulator/channel.h"
#include "sources/simulated_environment.h"
#include "sources/simulated_program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <unistd.h>

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
        for (int k = 0; k < events->events[i].term_count; k++)
            tally_buffer_printf(&text, "%s%" PRIx64,
                                text.size ? "," : "--events=", events->events[i].terms[k].config);
    return text.data;
}

static char **make_arguments(const char *valgrind, char *const argv[],
                             const struct tally_model *model, const struct tally_event_list *events,
                             const char *within, const struct tally_handout *handout)
{
    size_t count = 0, used = 0;
    while (argv[count])
        count++;
    char *ours[] = {
        print("%s", valgrind),
        print("--tool=tallystack"),
        print("--command-line-only=yes"),
        print("-q"),
        print("--log-file=/dev/null"), /* until the tool writes it to the recorder's file */
        print("--vgdb=no"),
        print("--trace-children=yes"),
        print("--max-threads=2000"),
        print(TALLY_CHANNEL_OPTION "=%d,%d", tally_handout_socket(handout),
              tally_handout_log(handout)),
        print("--parent=%d", (int)getpid()),
        events_argument(events),
        print("--machine=line=%" PRIu64, model->line),
        machine_argument("l1i", &model->l1i),
        machine_argument("l1d", &model->l1d),
        machine_argument("l2", &model->l2),
        machine_argument("l3", &model->l3),
        machine_argument("tlb", &model->tlb),
        machine_argument("itlb", &model->itlb),
        print("--machine=outcomes=%" PRIu64, model->predictor.outcomes),
        print("--machine=targets=%" PRIu64, model->predictor.targets),
        print("--machine=history=%d", model->predictor.has_history),
        within ? print("--within=%s", within) : NULL,
    };
    const size_t our_count = sizeof(ours) / sizeof(ours[0]) - !within;
    char **out = tally_alloc_zeroed(our_count + count + 1, sizeof(*out));
    for (; used < our_count; used++)
        out[used] = ours[used];
    for (size_t i = 0; i < count; i++)
        out[used++] = tally_strdup(argv[i]);
    return out;
}

/* Debian's command is a script for finding errors in memory: it changes the program's environment,
 * and its shell keeps PWD there. What it starts is beside it. */
static char *find_valgrind(void)
{
    char *command = in_path("valgrind");
    char *program = command ? print("%s.bin", command) : NULL;
    if (!program || !is_executable(program)) {
        free(program);
        return command;
    }
    free(command);
    return program;
}

/* The tool's folder and Valgrind, which the caller frees; or the sentence what is missing. */
static int find_tool(char **tool, char **valgrind)
{
    static const char *const places[] = {"../lib/tallystack", TALLYSTACK_LIB_FROM_BIN};
    *tool = tally_file_beside_command(places, 2, "valgrind");
    *valgrind = find_valgrind();
    if (!*tool)
        return tally_error("this tallystack was built without the simulator; build it where the "
                           "package \"valgrind\" is installed.");
    if (!*valgrind)
        return tally_error("--simulate needs valgrind, which is not installed; install the "
                           "package \"valgrind\".");
    return 0;
}

int tally_simulated_probe(void)
{
    char *tool, *valgrind;
    int result = find_tool(&tool, &valgrind);
    free(tool);
    free(valgrind);
    return result;
}

int tally_simulated_command(struct tally_simulated_command *out, char *const argv[],
                            const struct tally_model *model, const struct tally_event_list *events,
                            const char *within, const struct tally_session *session,
                            int *exit_status)
{
    char *tool, *valgrind, *program = in_path(argv[0]);
    *out = (struct tally_simulated_command){0};
    int result = find_tool(&tool, &valgrind);
    if (result == 0 && !program) {
        *exit_status = TALLY_EXIT_NOT_FOUND;
        result =
            tally_error_code(TALLY_NOT_FOUND, "cannot run \"%s\": %s.", argv[0], strerror(ENOENT));
    } else if (result == 0 && !is_executable(program)) {
        *exit_status = TALLY_EXIT_CANNOT_RUN;
        result = tally_error("cannot run \"%s\": %s.", argv[0], strerror(EACCES));
    } else if (result == 0) {
        result = tally_simulated_check_program(program);
        if (result == TALLY_NOT_FOUND)
            *exit_status = TALLY_EXIT_NOT_FOUND;
    }
    if (result == 0) {
        out->handout = tally_session_handout(session);
        out->argv = make_arguments(valgrind, argv, model, events, within, out->handout);
        out->environment = tally_simulated_environment(tool, argv);
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

static void inherit(const struct tally_handout *handout, bool is_inherited)
{
    const int flags = is_inherited ? 0 : FD_CLOEXEC;
    fcntl(tally_handout_socket(handout), F_SETFD, flags);
    fcntl(tally_handout_log(handout), F_SETFD, flags);
}

int tally_simulated_launch(struct tally_launch *launch, struct tally_simulated_command *command,
                           int *exit_status)
{
    int before = personality(0xffffffff);
    if (before >= 0)
        personality((unsigned long)before | ADDR_NO_RANDOMIZE);
    inherit(command->handout, true);
    int result = tally_launch_prepare(launch, command->argv, command->environment);
    inherit(command->handout, false);
    if (before >= 0)
        personality((unsigned long)before);
    return result < 0 ? result : tally_launch_go(launch, exit_status);
}
