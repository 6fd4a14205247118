/* Threads in a plot: which, what they are called, and what the colours of their states mean. */
#include "output/plot.h"

#include "base/buffer.h"

#include <stdlib.h>

enum { LABEL_COLUMNS = 32 };

static const struct tally_accounts *sorted_accounts;

static int by_wall_time(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    double l = sorted_accounts->threads[left].wall_ns, r = sorted_accounts->threads[right].wall_ns;
    if (l != r)
        return l > r ? -1 : 1;
    return left < right ? -1 : left > right;
}

void tally_plot_choose_threads(struct tally_plot_threads *out,
                               const struct tally_accounts *accounts, size_t limit)
{
    size_t all = accounts->profile->thread_count;
    *out = (struct tally_plot_threads){
        .accounts = accounts, .threads = tally_alloc_zeroed(all + 1, sizeof(*out->threads))};
    for (size_t i = 0; i < all; i++)
        if (accounts->threads[i].wall_ns > 0)
            out->threads[out->known++] = (uint32_t)i;
    sorted_accounts = accounts;
    if (out->known)
        qsort(out->threads, out->known, sizeof(*out->threads), by_wall_time);
    out->count = limit && limit < out->known ? limit : out->known;
}

const struct tally_process *tally_plot_process(const struct tally_plot_threads *threads, size_t row)
{
    const struct tally_profile *profile = threads->accounts->profile;
    return &profile->processes[profile->threads[threads->threads[row]].process];
}

static bool has_one_process(const struct tally_plot_threads *threads)
{
    for (size_t row = 1; row < threads->known; row++)
        if (tally_plot_process(threads, row) != tally_plot_process(threads, 0))
            return false;
    return true;
}

/* "TID NAME", after "PID, " where there are several processes. */
static char *label_of(const struct tally_plot_threads *threads, size_t row, bool is_alone)
{
    const char *thread = threads->accounts->profile->threads[threads->threads[row]].name;
    struct tally_buffer label = {0};
    if (!is_alone)
        tally_buffer_printf(&label, "%u, ", tally_plot_process(threads, row)->pid);
    tally_buffer_printf(&label, "%s", thread);
    char *shortened = tally_plot_shortened(label.data, LABEL_COLUMNS);
    tally_buffer_release(&label);
    return shortened;
}

void tally_plot_labels(struct tally_plot *plot, const struct tally_plot_threads *threads)
{
    bool is_alone = has_one_process(threads);
    size_t widest = 0;
    tally_plot_array(plot, "label", threads->count);
    for (size_t row = 0; row < threads->count; row++) {
        char *label = label_of(threads, row, is_alone);
        size_t columns = tally_plot_columns(label);
        widest = columns > widest ? columns : widest;
        tally_plot_text_at(plot, "label", row, label);
        free(label);
    }
    tally_plot_number(plot, "label_width", (double)widest);
}

void tally_plot_legend(struct tally_plot *plot, const double totals[TALLY_ACCOUNTS])
{
    tally_plot_number(plot, "accounts", TALLY_ACCOUNTS);
    tally_plot_array(plot, "account_name", TALLY_ACCOUNTS);
    tally_plot_array(plot, "account_shown", TALLY_ACCOUNTS);
    for (size_t i = 0; i < TALLY_ACCOUNTS; i++) {
        tally_plot_text_at(plot, "account_name", i, tally_account_names[i]);
        tally_plot_number_at(plot, "account_shown", i, totals[i] > 0);
    }
}
