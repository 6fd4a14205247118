#include "sources/simulated_outcome.h"

#include "base/error.h"
#include "recording/handout.h"
#include "sources/simulated_words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { SIGNALLED = 128 }; /* what a shell adds to the signal that ended a program */

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
    uint32_t images, killed, running, flags;
    uint64_t counts[TALLY_MAX_COUNTERS];
    bool is_root_ended;
    bool is_full; /* a process could not write its counts */
    char refusal[128];
};

static void add_counts(struct totals *totals, const struct tally_image_header *header)
{
    totals->images++;
    totals->flags |= header->flags;
    for (int i = 0; i < TALLY_MAX_COUNTERS; i++)
        totals->counts[i] += header->after[i];
    if (header->is_root && header->refusal[0])
        snprintf(totals->refusal, sizeof(totals->refusal), "%.127s", header->refusal);
}

static void add_image(struct totals *totals, const struct tally_image_header *header)
{
    if (header->state != TALLY_IMAGE_SAMPLING) {
        totals->is_root_ended |= header->is_root != 0;
        add_counts(totals, header);
        return;
    }
    if (kill((pid_t)header->pid, 0) == 0 || errno == EPERM)
        totals->running++;
    else
        totals->killed++;
    if (header->flags & TALLY_IMAGE_REWRITTEN)
        add_counts(totals, header);
}

/* The simulator writes with the file locked, and in little time. */
static bool lock_file(int fd)
{
    enum { TRIES = 200, STEP_MS = 10 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        nanosleep(&step, NULL);
    }
    return false;
}

/*
 * What outlives the run may not write to a recording that is going to be sealed. `header` is what
 * it has written by then. One that cannot be closed is taken away.
 */
static bool close_image(int directory, const char *name, struct tally_image_header *header)
{
    const size_t offset = offsetof(struct tally_image_header, flags);
    int fd = openat(directory, name, O_RDWR | O_CLOEXEC);
    bool is_closed = fd >= 0 && lock_file(fd) &&
                     pread(fd, header, sizeof(*header), 0) == (ssize_t)sizeof(*header);
    if (is_closed) {
        uint32_t flags = header->flags | TALLY_IMAGE_CLOSED;
        is_closed = pwrite(fd, &flags, sizeof(flags), (off_t)offset) == (ssize_t)sizeof(flags);
    }
    if (!is_closed)
        unlinkat(directory, name, 0);
    if (fd >= 0)
        close(fd);
    return is_closed;
}

static int read_totals(int directory, bool is_over, struct totals *totals)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    *totals = (struct totals){0};
    if (!list)
        return tally_error("cannot read the recording: %s.", strerror(errno));
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        struct tally_image_header header;
        if (!read_header(directory, entry->d_name, &header))
            continue;
        if (!is_over || header.state != TALLY_IMAGE_SAMPLING ||
            close_image(directory, entry->d_name, &header))
            add_image(totals, &header);
    }
    closedir(list);
    return 0;
}

uint64_t tally_simulated_progress(const struct tally_session *session)
{
    uint64_t sum = 0;
    int directory = tally_session_directory(session);
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    if (!list)
        return 0;
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list)) {
        struct tally_image_header header;
        if (read_header(directory, entry->d_name, &header))
            sum += header.progress;
    }
    closedir(list);
    return sum;
}

/* What is not in the counts, or not as it is without. */
static void add_notes(struct tally_run *run, const struct totals *totals, const char *within,
                      const char *unknown, bool has_failed)
{
    if (totals->is_full)
        tally_run_note(run, "counts could not be written to the recording (is the disk full?), and "
                            "are missing.");
    if (totals->killed || totals->running)
        tally_run_note(run,
                       "processes killed%s: %" PRIu32 ", that outlive the program: %" PRIu32 "; "
                       "what they did after their last report is not counted (one comes every 5 "
                       "seconds, or less often).",
                       totals->is_full ? " or without room to write" : "", totals->killed,
                       totals->running);
    if (within && totals->images)
        tally_run_note(
            run,
            totals->flags & TALLY_IMAGE_WITHIN
                ? "only what ran within %s is simulated."
                : "%s never ran: nothing is simulated; name it as the rows of report do, "
                  "or give FILE:LINE.",
            within);
    if (totals->flags & TALLY_IMAGE_LEFT)
        tally_run_note(run,
                       "programs that valgrind cannot run (set-user-ID, for another processor, or "
                       "executed where valgrind or tallystack may not be read) ran as they are, "
                       "not counted.");
    if (totals->flags & TALLY_IMAGE_UNKNOWN && !has_failed)
        tally_run_note(run, "this valgrind does not know %s, and the program got SIGILL for it.",
                       unknown);
    if (totals->flags & TALLY_IMAGE_INTERPRETERS)
        tally_run_note(run, "subinterpreters ran: in a thread of another one, what they did may be "
                            "counted for the line that ran them, not for functions of their own.");
    if (totals->flags & TALLY_IMAGE_FOLDED)
        tally_run_note(run,
                       "there were more than 262144 call paths: of the others, recursive calls "
                       "count for the same function farther out.");
}

static void find_failure(struct tally_simulated_outcome *outcome, const struct totals *totals,
                         const char *words, const char *unknown, int exit_status)
{
    char cause[256];
    const bool is_killed = exit_status > SIGNALLED;
    if (totals->flags & TALLY_IMAGE_UNKNOWN && exit_status == SIGNALLED + SIGILL)
        snprintf(outcome->failure, sizeof(outcome->failure),
                 "this valgrind does not know %s, which ended the program; a newer one may.",
                 unknown);
    else if (!totals->is_root_ended && tally_words_of_failure(words, cause, sizeof(cause)))
        snprintf(outcome->failure, sizeof(outcome->failure), "valgrind gave up on the program: %s.",
                 cause);
    else if (!totals->images && totals->is_full)
        snprintf(
            outcome->failure, sizeof(outcome->failure),
            "the recording cannot be written: the disk is full, or files may not be so large.");
    else if (!totals->images && is_killed)
        snprintf(outcome->failure, sizeof(outcome->failure),
                 "signal %d (%s) ended the program before anything was counted.",
                 exit_status - SIGNALLED, strsignal(exit_status - SIGNALLED));
    else if (!totals->images)
        snprintf(outcome->failure, sizeof(outcome->failure),
                 "valgrind cannot run the program; nothing was counted.");
}

static void take_counts(struct tally_run *run, const struct totals *totals)
{
    for (int i = 0, counter = 0; i < run->event_count; i++) {
        const struct tally_event *event = &run->events[i].event;
        double total = 0;
        for (int k = 0; k < event->term_count; k++)
            total += event->terms[k].factor * (double)totals->counts[counter++];
        run->events[i].total = (uint64_t)total;
        run->events[i].has_total = totals->images > 0;
    }
}

static int wait_for_last(struct tally_session *session, struct totals *totals)
{
    enum { PATIENCE_MS = 5000, STEP_MS = 20 };
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    const int directory = tally_session_directory(session);
    if (read_totals(directory, false, totals) < 0)
        return TALLY_ERROR;
    for (int waited = 0; totals->running && waited < PATIENCE_MS; waited += STEP_MS) {
        nanosleep(&step, NULL);
        tally_session_serve(session);
        if (read_totals(directory, false, totals) < 0)
            return TALLY_ERROR;
    }
    return read_totals(directory, true, totals);
}

int tally_simulated_totals(struct tally_session *session, struct tally_run *run, const char *within,
                           int exit_status, struct tally_simulated_outcome *outcome)
{
    struct totals totals;
    char unknown[256];
    if (wait_for_last(session, &totals) < 0)
        return TALLY_ERROR;
    char *words = tally_handout_words(tally_session_handout(session));
    tally_words_of_unknown(words, unknown, sizeof(unknown));
    totals.is_full = tally_words_of_full(words);
    *outcome = (struct tally_simulated_outcome){.images = totals.images};
    memcpy(outcome->refusal, totals.refusal, sizeof(totals.refusal));
    find_failure(outcome, &totals, words, unknown, exit_status);
    add_notes(run, &totals, within, unknown, outcome->failure[0] != '\0');
    take_counts(run, &totals);
    free(words);
    return 0;
}
