#include "loaded.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct progress {
    const char *what;
    double next; /* share done at which to look at the clock again */
    struct timespec start;
    bool is_shown;
};

/* Nothing for what is done within a second. */
static void show_progress(double done, void *context)
{
    struct progress *progress = context;
    struct timespec now;
    if (done < progress->next)
        return;
    progress->next = done + 0.01;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - progress->start.tv_sec < 1 && !progress->is_shown)
        return;
    progress->is_shown = true;
    fprintf(stderr, "\r%s: %3.0f %%", progress->what, 100 * done);
}

static void start_progress(struct progress *progress, const char *what)
{
    *progress = (struct progress){.what = what, .next = 0.01};
    clock_gettime(CLOCK_MONOTONIC, &progress->start);
}

static void end_progress(const struct progress *progress)
{
    enum { ERASE_LINE = 40 };
    if (progress->is_shown)
        fprintf(stderr, "\r%*s\r", ERASE_LINE, "");
}

void loaded_resolve(struct tally_symbols *symbols)
{
    struct progress progress;
    start_progress(&progress, "looking up symbols");
    tally_symbols_resolve(symbols, isatty(STDERR_FILENO) ? show_progress : NULL, &progress);
    end_progress(&progress);
}

int loaded_open(struct loaded *loaded, const char *command, const char *path, bool addresses)
{
    struct progress progress;
    *loaded = (struct loaded){0};
    int result = tally_recording_open(&loaded->recording, path);
    if (result < 0)
        return result;
    start_progress(&progress, "reading the recording");
    loaded->profile = tally_profile_new(loaded->recording, addresses,
                                        isatty(STDERR_FILENO) ? show_progress : NULL, &progress);
    end_progress(&progress);
    for (size_t i = 0; i < loaded->recording->note_count; i++)
        fprintf(stderr, "tallystack %s: %s\n", command, loaded->recording->notes[i]);
    return 0;
}

void loaded_close(struct loaded *loaded)
{
    tally_profile_free(loaded->profile);
    tally_recording_close(loaded->recording);
}

int loaded_event(const struct tally_run *run, const char *name)
{
    struct tally_buffer names = {0};
    if (!name)
        return 0;
    for (int i = 0; i < run->event_count; i++)
        if (!strcmp(run->events[i].event.name, name))
            return i;
    for (int i = 0; i < run->wide_count; i++)
        if (!strcmp(run->wide[i].event.name, name))
            return tally_error_code(
                TALLY_NOT_FOUND,
                "\"%s\" counts for the whole machine and has no rows; "
                "\"tallystack stat -i\" has its total, and \"plot timeline\" its "
                "series if there is one.",
                name);
    const struct tally_run_missing *missing = tally_run_missing_of(run, name);
    if (missing)
        return tally_error_code(TALLY_NOT_FOUND, "%s is missing in the recording: %s", name,
                                missing->why);
    for (int i = 0; i < run->event_count; i++)
        tally_buffer_printf(&names, "%s%s", i ? ", " : "", run->events[i].event.name);
    int result = tally_error_code(TALLY_NOT_FOUND, "the recording has no event \"%s\"; it has %s.",
                                  name, names.data);
    tally_buffer_release(&names);
    return result;
}

int loaded_status(const struct loaded *loaded)
{
    return loaded->recording->is_damaged ? TALLY_EXIT_FAILED : 0;
}
