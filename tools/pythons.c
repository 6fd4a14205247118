#include "pythons.h"

#include "base/buffer.h"

#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PYTHONS = 64, FIRST_MINOR = 11, LAST_MINOR = 15, PATIENCE_S = 10 };

/* Answers in one line, on any Python: path, version, implementation, flags of the build. */
static const char question[] =
    "import os, sys\n"
    "kind = getattr(sys, 'implementation', None)\n"
    "print('%s\\t%d.%d.%d\\t%s\\t%s\\t%d' % ((os.path.realpath(sys.executable),) + "
    "tuple(sys.version_info[:3]) + (kind and kind.name or 'cpython', getattr(sys, 'abiflags', '') "
    "or '-', hasattr(sys, 'getobjects'))))";

static _Noreturn void run_question(const char *path, int answer)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(answer, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    alarm(PATIENCE_S); /* survives the exec */
    execl(path, path, "-E", "-S", "-c", question, (char *)NULL);
    _exit(127);
}

static bool ask(const char *path, char *line, size_t room)
{
    int answer[2], status = 0;
    if (pipe2(answer, O_CLOEXEC) < 0)
        return false;
    pid_t child = fork();
    if (child == 0)
        run_question(path, answer[1]);
    close(answer[1]);
    size_t used = 0;
    ssize_t got = 0;
    while (child > 0 && used + 1 < room &&
           (got = read(answer[0], line + used, room - 1 - used)) > 0)
        used += (size_t)got;
    line[used] = '\0';
    close(answer[0]);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void judge(struct python *python, const char *implementation, const char *flags, int traced)
{
    int major = 0, minor = 0;
    const char *why = NULL;
    sscanf(python->version, "%d.%d", &major, &minor);
    if (strcmp(implementation, "cpython") != 0)
        why = "not CPython";
    else if (major != 3 || minor < FIRST_MINOR || minor > LAST_MINOR)
        why = "3.11 to 3.15 are supported";
    else if (strchr(flags, 't'))
        why = "free-threaded build";
    else if (strchr(flags, 'd'))
        why = "debug build";
    else if (traced)
        why = "trace-refs build";
    snprintf(python->refusal, sizeof(python->refusal), "%s", why ? why : "");
}

struct search {
    void (*each)(const struct python *, void *);
    void *data;
    char *seen[2 * MAX_PYTHONS]; /* owned: paths asked and paths answered */
    int seen_count;
};

static bool is_new(struct search *search, const char *path)
{
    for (int i = 0; i < search->seen_count; i++)
        if (!strcmp(search->seen[i], path))
            return false;
    if (search->seen_count == 2 * MAX_PYTHONS)
        return false;
    search->seen[search->seen_count++] = tally_strdup(path);
    return true;
}

static void consider(struct search *search, const char *path)
{
    struct python python;
    char line[1024], implementation[32], flags[16];
    int traced = 0;
    char *real = realpath(path, NULL);
    bool fresh = real && access(real, X_OK) == 0 && is_new(search, real);
    free(real);
    if (!fresh || !ask(path, line, sizeof(line)) ||
        sscanf(line, "%511[^\t]\t%31s\t%31s\t%15s\t%d", python.path, python.version, implementation,
               flags, &traced) != 5)
        return;
    /* pyenv's shims are scripts that run an interpreter which may come again. */
    real = realpath(path, NULL);
    fresh = real && (!strcmp(real, python.path) || is_new(search, python.path));
    free(real);
    if (!fresh)
        return;
    judge(&python, implementation, flags, traced);
    search->each(&python, search->data);
}

/* python, python3 and python3.N, but not python3-config and the like. */
static bool is_interpreter_name(const char *name)
{
    const char *rest = name + strlen("python");
    rest += strspn(rest, "0123456789.");
    return *rest == '\0' || !strcmp(rest, "t") || !strcmp(rest, "d");
}

static void consider_all(struct search *search, const char *folder)
{
    char pattern[600];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/python*", folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (is_interpreter_name(strrchr(found.gl_pathv[i], '/') + 1))
            consider(search, found.gl_pathv[i]);
    globfree(&found);
}

static void search_pyenv(struct search *search)
{
    char folder[512];
    const char *root = getenv("PYENV_ROOT"), *home = getenv("HOME");
    if (root)
        snprintf(folder, sizeof(folder), "%s/versions/*/bin", root);
    else
        snprintf(folder, sizeof(folder), "%s/.pyenv/versions/*/bin", home ? home : "");
    consider_all(search, folder);
}

void pythons_each(void (*each)(const struct python *python, void *data), void *data)
{
    struct search search = {.each = each, .data = data};
    char *path = tally_strdup(getenv("PATH") ? getenv("PATH") : "/usr/local/bin:/usr/bin:/bin");
    char *rest = path;
    for (char *folder = strsep(&rest, ":"); folder; folder = strsep(&rest, ":"))
        if (*folder)
            consider_all(&search, folder);
    free(path);
    search_pyenv(&search);
    for (int i = 0; i < search.seen_count; i++)
        free(search.seen[i]);
}
