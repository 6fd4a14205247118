/* stat on a model machine: the program runs under the simulator, whose totals are taken. */
#include "stat.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/launch.h"
#include "recording/session.h"
#include "sources/simulated.h"
#include "sources/simulated_outcome.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int stat_choose_simulated(struct stat *stat)
{
    struct tally_event_list list = {0};
    struct tally_run notes = {0};
    int result = tally_model_load(&stat->model, stat->options.simulate);
    if (result == 0)
        result = tally_simulated_events(stat->options.events, &stat->model, &notes, &list);
    for (int i = 0; i < notes.note_count; i++)
        fprintf(stderr, "tallystack stat: %s\n", notes.notes[i]);
    tally_run_release(&notes);
    if (result < 0)
        return result;
    for (int i = 0; i < list.count; i++)
        stat->events[i].event = list.events[i];
    stat->count = list.count;
    return 0;
}

static void list_of(const struct stat *stat, struct tally_event_list *list)
{
    *list = (struct tally_event_list){.count = stat->count};
    for (int i = 0; i < stat->count; i++)
        list->events[i] = stat->events[i].event;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Hands out files to the program's processes until it ends. */
static int serve(struct tally_session *session, struct tally_launch *launch, int *exit_status,
                 struct rusage *usage)
{
    enum { PATIENCE_MS = 20 };
    struct pollfd asked = {.fd = tally_session_descriptor(session), .events = POLLIN};
    int ended = 0;
    while (ended == 0) {
        poll(&asked, 1, PATIENCE_MS);
        tally_session_serve(session);
        ended = tally_launch_wait(launch, false, exit_status, usage);
    }
    return ended;
}

static int take_totals(struct stat *stat, struct tally_session *session, int exit_status)
{
    struct tally_run run = {.event_count = stat->count};
    struct tally_simulated_outcome outcome = {0};
    for (int i = 0; i < stat->count; i++)
        run.events[i].event = stat->events[i].event;
    int result = tally_simulated_totals(session, &run, NULL, exit_status, &outcome);
    for (int i = 0; i < run.note_count; i++)
        fprintf(stderr, "tallystack stat: %s\n", run.notes[i]);
    for (int i = 0; i < stat->count && result == 0 && outcome.images; i++)
        stat_add_value(&stat->events[i], (double)run.events[i].total, 1);
    tally_run_release(&run);
    return result == 0 && outcome.failure[0] ? tally_error("%s", outcome.failure) : result;
}

/* The simulator writes to a folder, which is there for as long as the program runs. */
static int run_in(struct stat *stat, const char *folder, char **program, int *exit_status)
{
    struct tally_session_options options = {.path = folder, .is_simulated = true};
    struct tally_session *session = NULL;
    struct tally_simulated_command command = {0};
    struct tally_launch launch = {.go = -1, .failed = -1};
    struct tally_event_list list;
    struct rusage usage;
    double begun = now_ns();
    list_of(stat, &list);
    int result = tally_session_prepare(&session, &options, &list);
    if (result < 0)
        return result;
    result = tally_session_commit(session);
    if (result == 0)
        result = tally_simulated_command(&command, program, &stat->model, &list, NULL, session,
                                         exit_status);
    if (result == 0)
        result = tally_simulated_launch(&launch, &command, exit_status);
    if (result == 0) {
        *exit_status = TALLY_EXIT_FAILED;
        result = serve(session, &launch, exit_status, &usage) < 0 ? TALLY_ERROR : 0;
    }
    if (result == 0 && (result = take_totals(stat, session, *exit_status)) < 0)
        *exit_status = TALLY_EXIT_FAILED;
    if (result == 0)
        stat_add_times(stat, now_ns() - begun, &usage, &launch);
    if (result == 0 && stat->times[0].runs == 1)
        fprintf(stderr, "tallystack stat: simulated on the model \"%s\": %s.\n", stat->model.name,
                stat->model.description);
    tally_launch_release(&launch);
    tally_simulated_command_release(&command);
    tally_session_discard(session);
    tally_session_release(session);
    return result;
}

int stat_run_simulated(struct stat *stat, char **command, int *exit_status)
{
    const char *place = getenv("TMPDIR");
    struct tally_buffer holder = {0}, folder = {0};
    *exit_status = TALLY_EXIT_FAILED;
    tally_buffer_printf(&holder, "%s/tallystack-XXXXXX", place && *place ? place : "/tmp");
    int result = 0;
    if (mkdtemp(holder.data)) {
        tally_buffer_printf(&folder, "%s/counts", holder.data);
        result = run_in(stat, folder.data, command, exit_status);
        rmdir(holder.data);
    } else {
        result = tally_error("cannot make a folder in \"%s\": %s; TMPDIR names another place.",
                             place && *place ? place : "/tmp", strerror(errno));
    }
    tally_buffer_release(&holder);
    tally_buffer_release(&folder);
    if (result < 0 && *exit_status < TALLY_EXIT_FAILED)
        *exit_status = TALLY_EXIT_FAILED;
    return result;
}
