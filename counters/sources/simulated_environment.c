#include "sources/simulated_environment.h"

#include "base/buffer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So that the interpreter's and the C library's behaviour repeats, unless the user has set it.
 * Expat takes a seed of 0 from the interpreter for none, and draws a random one. The threads of a
 * numerical library wait by spinning, which counts whatever the turns that Valgrind gives them add
 * up to. */
static const char *const pins[] = {"PYTHONHASHSEED=1",       "PYTHONDONTWRITEBYTECODE=1",
                                   "LD_BIND_NOW=1",          "OMP_NUM_THREADS=1",
                                   "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1"};
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

char **tally_simulated_environment(const char *tool_folder, char *const *argv)
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
