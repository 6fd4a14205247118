/* What a simulated run that takes long shows of its progress on a terminal. */
#include "record.h"

#include <stdio.h>
#include <unistd.h>

enum { FIRST_NS = 3000000000u, STEP_NS = 1000000000u };

void record_show_progress(struct record *record, const struct tally_session *session)
{
    struct record_progress *progress = &record->progress;
    uint64_t now = record_now_ns();
    if (record->is_quiet || !isatty(STDERR_FILENO) || now - record->start_ns < FIRST_NS ||
        now - progress->shown_ns < STEP_NS)
        return;
    uint64_t count = tally_simulated_progress(session);
    double seconds =
        (double)(now - (progress->shown_ns ? progress->shown_ns : record->start_ns)) / 1e9;
    double rate = count < progress->count ? 0 : (double)(count - progress->count) / seconds;
    fprintf(stderr, "\r\033[Ksimulated: %.1f M instructions, %.1f M/s", (double)count / 1e6,
            rate / 1e6);
    progress->shown_ns = now;
    progress->count = count;
}

void record_end_progress(const struct record *record)
{
    if (record->progress.shown_ns)
        fprintf(stderr, "\r\033[K");
}
