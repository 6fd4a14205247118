/* Recording a program that runs by itself, with the agent preloaded. */
#include "command.h"
#include "record.h"

#include "base/error.h"
#include "events/throttle.h"

#include <inttypes.h>
#include <string.h>

static const char *stop_reason(uint32_t stopped)
{
    return stopped == 1 ? "--max-size was reached" : strerror((int)stopped);
}

static int run_program(struct record *record, struct tally_session *session,
                       struct tally_launch *launch, int *status)
{
    struct rusage usage = {0};
    if (totals_open(&record->totals, &record->run, launch->pid) < 0 ||
        record_write_description(record, session) < 0) {
        *status = TALLY_EXIT_FAILED;
        return TALLY_ERROR;
    }
    *status = TALLY_EXIT_FAILED;
    tally_session_hold(session, launch->pid, record->run.is_clock ? NULL : record_count_now,
                       record);
    record->start_ns = record_now_ns();
    if (tally_launch_go(launch, status) < 0 || tally_session_commit(session) < 0)
        return TALLY_ERROR;
    if (record_wait(record, launch, session, status, &usage) < 0)
        return TALLY_ERROR;
    const char *refusal = tally_session_refusal(session);
    if (refusal) {
        *status = TALLY_EXIT_FAILED;
        tally_session_discard(session);
        return tally_error("%s (3.11 to 3.15 are, with the GIL); --native counts it as a native "
                           "program.",
                           refusal);
    }
    record_take_times(record, &usage);
    if (record_take_totals(record) < 0)
        return TALLY_ERROR;
    struct tally_session_news news = tally_session_news(session);
    record->run.exit_status = *status;
    record->run.has_foreign = news.has_foreign;
    record->run.stopped = news.stopped;
    if (news.stopped)
        tally_run_note(&record->run,
                       "writing samples ended early (%s); what is missing is in the "
                       "row [lost].",
                       stop_reason(news.stopped));
    if (news.outliving)
        tally_run_note(&record->run,
                       "processes that outlived the program: %" PRIu32 "; what they did after its "
                       "end is not in the recording.",
                       news.outliving);
    record->run.watch_ns = news.watch_ns;
    uint64_t tick_samples = tally_throttle_tick_samples();
    if (tick_samples < record->run.tick_samples)
        record->run.tick_samples = tick_samples; /* the kernel has lowered it meanwhile */
    if (news.watch_gap)
        tally_run_note(&record->run, "%s", news.watch_gap);
    if (news.tasks_gap)
        tally_run_note(&record->run, "%s", news.tasks_gap);
    if (!news.images)
        tally_run_note(&record->run, "no process could be sampled: the program is static, "
                                     "set-user-ID or of another C library, or ended before it was "
                                     "loaded; only its totals are known.");
    record_say_notes(record);
    if (record_finish(record, session) < 0) {
        *status = TALLY_EXIT_FAILED;
        return TALLY_ERROR;
    }
    return 0;
}

int record_measured(struct record *record)
{
    struct tally_session_options session_options = {.path = record->output,
                                                    .max_size = record->max_size,
                                                    .is_native = record->is_native,
                                                    .watch_share =
                                                        (double)record->watch_percent / 100,
                                                    .is_clock = record->run.is_clock};
    struct tally_session *session = NULL;
    struct tally_launch launch;
    int status = TALLY_EXIT_FAILED;
    if (tally_session_prepare(&session, &session_options, &record->list) < 0)
        return command_failed("record");
    int result = tally_launch_prepare(&launch, record->argv, tally_session_environment(session));
    if (result == 0) {
        result = run_program(record, session, &launch, &status);
        if (result < 0)
            command_failed("record");
        tally_launch_release(&launch);
    } else {
        command_failed("record");
    }
    totals_close(&record->totals);
    tally_session_release(session);
    return status;
}
