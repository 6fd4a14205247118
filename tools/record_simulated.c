/* Recording a program that runs under the simulator. */
#include "command.h"
#include "record.h"

#include "base/error.h"

#include <string.h>

int record_choose_simulated(struct record *record)
{
    if (record->within && !*record->within)
        return tally_error("name the function after --within, as in --within=Class.method.");
    if (record->within && record->within[strlen(record->within) - 1] == ':')
        return tally_error("give the line behind the colon, as in --within=program.py:12.");
    if (record->sampling)
        return tally_error("--simulate does not go with %s: nothing is sampled, all is counted.",
                           record->sampling);
    if (tally_model_load(&record->model, record->simulate) < 0)
        return TALLY_ERROR;
    return tally_simulated_events(record->events, &record->model, &record->run, &record->list);
}

static int launch_simulated(struct record *record, struct tally_session *session,
                            struct tally_launch *launch, int *status)
{
    struct tally_simulated_command command;
    int result = tally_simulated_command(&command, record->argv, &record->model, &record->list,
                                         record->within, session, status);
    record->start_ns = record_now_ns();
    if (result == 0)
        result = tally_simulated_launch(launch, &command, status);
    if (result < 0)
        tally_session_discard(session);
    tally_simulated_command_release(&command);
    return result;
}

static int finish_simulated(struct record *record, struct tally_session *session,
                            const struct rusage *usage, int status)
{
    struct tally_simulated_outcome outcome;
    if (tally_simulated_totals(session, &record->run, record->within, status, &outcome) < 0)
        return TALLY_ERROR;
    if (outcome.refusal[0] || !outcome.images)
        tally_session_discard(session);
    if (outcome.refusal[0])
        return tally_error("%s (3.11 to 3.15 are, with the GIL).", outcome.refusal);
    if (!outcome.images)
        return tally_error("%s", outcome.failure);
    record_take_times(record, usage);
    record->run.exit_status = status;
    record_say_notes(record);
    /* In the recording, too; here it comes last. */
    if (outcome.failure[0])
        tally_run_note(&record->run, "%s", outcome.failure);
    record->said = record->run.note_count;
    if (record_finish(record, session) < 0)
        return TALLY_ERROR;
    return outcome.failure[0] ? tally_error("%s", outcome.failure) : 0;
}

int record_simulated(struct record *record)
{
    struct tally_session_options session_options = {.path = record->output, .is_simulated = true};
    struct tally_session *session = NULL;
    struct tally_launch launch = {.go = -1, .failed = -1};
    struct rusage usage = {0};
    int status = TALLY_EXIT_FAILED, result;
    if (tally_session_prepare(&session, &session_options, &record->list) < 0)
        return command_failed("record");
    tally_run_note(&record->run, "simulated on the model \"%s\": %s.", record->model.name,
                   record->model.description);
    result = record_write_description(record, session);
    if (result == 0)
        result = tally_session_commit(session);
    if (result == 0)
        result = launch_simulated(record, session, &launch, &status);
    if (result == 0) {
        result = record_wait(record, &launch, session, &status, &usage);
        if (result == 0)
            result = finish_simulated(record, session, &usage, status);
        if (result < 0)
            status = TALLY_EXIT_FAILED;
    }
    tally_launch_release(&launch);
    if (result < 0)
        command_failed("record");
    tally_session_release(session);
    return status;
}
