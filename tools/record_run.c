/* Waiting for the end of a recorded program, and closing its recording. */
#include "record.h"

#include "base/error.h"
#include "profile/fingerprint.h"
#include "recording/reader.h"
#include "summary.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

int record_wait(struct record *record, struct tally_launch *launch, struct tally_session *session,
                int *status, struct rusage *usage)
{
    enum { WITHOUT_PIDFD_MS = 20 };
    int pidfd = (int)syscall(SYS_pidfd_open, launch->pid, 0);
    struct pollfd watched[] = {{.fd = tally_session_descriptor(session), .events = POLLIN},
                               {.fd = pidfd, .events = POLLIN}};
    uint64_t interval_ns = record->interval_ms * 1000000u;
    uint64_t next = record->start_ns + interval_ns;
    int ended = 0;
    while (ended == 0) {
        int64_t patience = pidfd < 0 ? WITHOUT_PIDFD_MS : 1000;
        if (interval_ns) {
            int64_t left = ((int64_t)(next - record_now_ns()) + 999999) / 1000000;
            patience = left < 0 ? 0 : left < patience ? left : patience;
        }
        poll(watched, 2, (int)patience);
        tally_session_serve(session);
        if (record->simulate)
            record_show_progress(record, session);
        if (interval_ns && record_now_ns() >= next) {
            record_keep_interval(record, session);
            while (next <= record_now_ns())
                next += interval_ns;
        }
        ended = tally_launch_wait(launch, false, status, usage);
    }
    record_end_progress(record);
    tally_session_serve(session);
    if (interval_ns)
        record_keep_interval(record, session);
    if (pidfd >= 0)
        close(pidfd);
    return ended < 0 ? ended : 0;
}

int record_finish(struct record *record, struct tally_session *session)
{
    struct tally_recording *recording = NULL;
    if (tally_session_end(session) < 0 || record_write_description(record, session) < 0 ||
        tally_recording_open(&recording, record->output) < 0)
        return TALLY_ERROR;
    struct tally_profile *profile = tally_profile_new(recording, false, NULL, NULL);
    record_note_gaps(record, profile);
    int result = tally_fingerprint_write(profile, tally_session_directory(session));
    /* What is simulated is exact: a difference there is to be seen. */
    for (int i = 0; i < record->run.event_count && !record->simulate; i++)
        record->run.events[i].total += (uint64_t)profile->excess[i];
    if (result == 0)
        result = record_write_description(record, session);
    record_say_notes(record);
    if (result == 0)
        result = tally_session_seal(session);
    if (result == 0 && !record->is_quiet)
        summary_print(profile, record->output);
    tally_profile_free(profile);
    tally_recording_close(recording);
    return result;
}
