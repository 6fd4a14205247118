#include "profile/module.h"

#include "base/buffer.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Just behind the last "/NAME/" in `file`, NULL if there is none. */
static const char *after_folder(const char *file, const char *name)
{
    const char *found = NULL;
    for (const char *at = file; (at = strstr(at, name)); at++)
        found = at + strlen(name);
    return found;
}

/* Just behind the last ".../lib/pythonX.Y/", the standard library. */
static const char *after_library(const char *file)
{
    const char *found = NULL;
    for (const char *at = file; (at = strstr(at, "/lib")); at++) {
        int major, minor, size = 0;
        const char *rest = at + strlen("/lib");
        if (!strncmp(rest, "64", 2))
            rest += 2;
        if (sscanf(rest, "/python%d.%d/%n", &major, &minor, &size) == 2 && size > 0)
            found = rest + size;
    }
    return found;
}

static bool folder_has(const char *folder, size_t size, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%.*s/%s", (int)size, folder, name);
    return length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0;
}

/* Behind the outermost folder that is not a package. */
static const char *after_packages(const char *file)
{
    const char *start = strrchr(file, '/');
    if (!start)
        return file;
    while (start > file && folder_has(file, (size_t)(start - file), "__init__.py")) {
        const char *above = start - 1;
        while (above > file && *above != '/')
            above--;
        start = above;
    }
    return start + 1;
}

/* Behind the archive that the file is imported from, NULL if that is none. */
static const char *after_archive(const char *file)
{
    char *path = tally_strdup(file), *end;
    const char *found = NULL;
    struct stat status;
    while (!found && (end = strrchr(path, '/')) && end > path) {
        *end = '\0';
        if (stat(path, &status) != 0)
            continue;
        if (!S_ISREG(status.st_mode))
            break;
        found = file + (end - path) + 1;
    }
    free(path);
    return found;
}

static bool ends_with(const char *text, size_t size, const char *end)
{
    size_t length = strlen(end);
    return size >= length && !memcmp(text + size - length, end, length);
}

static char *dotted(const char *path)
{
    size_t size = strlen(path);
    const char *dot = strchr(strrchr(path, '/') ? strrchr(path, '/') : path, '.');
    if (dot)
        size = (size_t)(dot - path);
    if (ends_with(path, size, "/__init__"))
        size -= strlen("/__init__");
    char *module = strndup(path, size);
    for (char *at = module; at && *at; at++)
        if (*at == '/')
            *at = '.';
    return module ? module : tally_strdup("");
}

char *tally_module_of(const char *file)
{
    static const char *const folders[] = {"/site-packages/", "/dist-packages/", "/lib-dynload/"};
    const char *start;
    if (!strncmp(file, "<frozen ", 8)) {
        char *module = tally_strdup(file + 8);
        module[strcspn(module, ">")] = '\0';
        return module;
    }
    if (file[0] == '<' || file[0] == '\0')
        return tally_strdup("");
    start = after_archive(file);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !start; i++)
        start = after_folder(file, folders[i]);
    if (!start)
        start = after_library(file);
    return dotted(start ? start : after_packages(file));
}

static bool takes_argument(char option)
{
    return option == 'W' || option == 'X';
}

static void drop_dots(char *file)
{
    for (char *dot; (dot = strstr(file, "/./"));)
        memmove(dot, dot + 2, strlen(dot + 2) + 1);
}

char *tally_module_file(const char *file, const char *directory)
{
    struct tally_buffer text = {0};
    if (file[0] == '<' || file[0] == '\0')
        return tally_strdup(file);
    tally_buffer_printf(&text, "%s%s%s", file[0] == '/' ? "" : directory, file[0] == '/' ? "" : "/",
                        file);
    drop_dots(text.data);
    return text.data;
}

void tally_module_of_program(const char *arguments, const char *directory, char **file,
                             char **module)
{
    char *copy = tally_strdup(arguments), *rest = copy;
    *file = *module = NULL;
    strsep(&rest, "\n"); /* the interpreter */
    for (char *word; (word = strsep(&rest, "\n"));) {
        if (word[0] != '-' || !word[1]) {
            *file = tally_module_file(word[1] || word[0] != '-' ? word : "<stdin>", directory);
            break;
        }
        const char *option = word + 1;
        while (*option && *option != 'c' && *option != 'm' && !takes_argument(*option) &&
               *option != '-')
            option++;
        if (*option == 'c') {
            *file = tally_strdup("<string>");
            break;
        }
        if (*option == 'm') {
            const char *name = option[1] ? option + 1 : strsep(&rest, "\n");
            *module = tally_strdup(name ? name : "");
            break;
        }
        if ((takes_argument(*option) && !option[1]) || !strcmp(word, "--check-hash-based-pycs"))
            strsep(&rest, "\n");
    }
    free(copy);
}
