/*
 * embeds_python LIBPYTHON SCRIPT: works a while as a native program, then loads an interpreter by
 * dlopen() and has it run the script.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *function(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

int main(int argc, char **argv)
{
    void (*initialize)(void), (*finalize)(void);
    int (*run)(const char *);
    char *text = calloc(1, 1 << 16);
    if (argc < 3 || !text)
        return 1;
    memset(calloc(1, 1 << 20), 1, 1 << 20);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    FILE *script = fopen(argv[2], "r");
    if (!library || !script) {
        fprintf(stderr, "%s\n", library ? "no script" : dlerror());
        return 1;
    }
    if (!fread(text, 1, (1 << 16) - 1, script))
        return 1;
    *(void **)&initialize = function(library, "Py_Initialize");
    *(void **)&finalize = function(library, "Py_Finalize");
    *(void **)&run = function(library, "PyRun_SimpleString");
    initialize();
    int failed = run(text);
    finalize();
    return failed != 0;
}
