/* Data of plots/waits.gp: what each thread did with its wall time. */
#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "output/csv.h"
#include "output/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 32 };

struct bars {
    struct tally_plot *plot;
    const struct tally_accounts *accounts;
    uint32_t *threads; /* that are known of, the longest first */
    size_t known, count;
    double largest;
};

static const struct tally_accounts *sorted_accounts;

static int by_wall_time(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    double l = sorted_accounts->threads[left].wall_ns, r = sorted_accounts->threads[right].wall_ns;
    if (l != r)
        return l > r ? -1 : 1;
    return left < right ? -1 : left > right;
}

static void choose_threads(struct bars *bars, size_t limit)
{
    const struct tally_accounts *accounts = bars->accounts;
    size_t all = accounts->profile->thread_count;
    bars->threads = tally_alloc_zeroed(all + 1, sizeof(*bars->threads));
    for (size_t i = 0; i < all; i++)
        if (accounts->threads[i].wall_ns > 0)
            bars->threads[bars->known++] = (uint32_t)i;
    sorted_accounts = accounts;
    if (bars->known)
        qsort(bars->threads, bars->known, sizeof(*bars->threads), by_wall_time);
    bars->count = limit && limit < bars->known ? limit : bars->known;
    if (bars->known)
        bars->largest = 1.02 * accounts->threads[bars->threads[0]].wall_ns;
}

static const struct tally_process *process_of(const struct bars *bars, size_t row)
{
    const struct tally_profile *profile = bars->accounts->profile;
    return &profile->processes[profile->threads[bars->threads[row]].process];
}

static bool has_one_process(const struct bars *bars)
{
    for (size_t row = 1; row < bars->known; row++)
        if (process_of(bars, row) != process_of(bars, 0))
            return false;
    return true;
}

/* "TID NAME", after "PID, " where there are several processes. */
static char *label_of(const struct bars *bars, size_t row, bool is_alone)
{
    const char *thread = bars->accounts->profile->threads[bars->threads[row]].name;
    struct tally_buffer label = {0};
    if (!is_alone)
        tally_buffer_printf(&label, "%u, ", process_of(bars, row)->pid);
    tally_buffer_printf(&label, "%s", thread);
    char *shortened = tally_plot_shortened(label.data, LABEL_COLUMNS);
    tally_buffer_release(&label);
    return shortened;
}

static void write_segment(const struct bars *bars, size_t row, int account, double begin)
{
    uint32_t index = bars->threads[row];
    const struct tally_thread_account *thread = &bars->accounts->threads[index];
    double value = thread->states[account];
    FILE *out = tally_plot_data(bars->plot);
    fprintf(out, "%zu,", row + 1);
    tally_csv_number(out, begin);
    fputc(',', out);
    tally_csv_number(out, begin + value);
    fprintf(out, ",%d,%.4f,%s,%s,%s,", account + 1, 100 * value / thread->wall_ns,
            tally_unit_name(TALLY_UNIT_NS), tally_source_name(TALLY_SOURCE_CLOCK),
            tally_account_names[account]);
    tally_csv_field(out, process_of(bars, row)->name);
    fputc(',', out);
    tally_csv_field(out, bars->accounts->profile->threads[index].name);
    fputs("\r\n", out);
}

/* Also says which accounts are in the picture: those alone are in its legend. */
static void write_rows(const struct bars *bars)
{
    double totals[TALLY_ACCOUNTS] = {0};
    size_t widest = 0;
    bool is_alone = has_one_process(bars);
    fputs("row,begin,end,account_number,share,unit,source,account,process,thread\r\n",
          tally_plot_data(bars->plot));
    tally_plot_array(bars->plot, "label", bars->count);
    tally_plot_array(bars->plot, "wall", bars->count);
    for (size_t row = 0; row < bars->count; row++) {
        const struct tally_thread_account *thread = &bars->accounts->threads[bars->threads[row]];
        char *label = label_of(bars, row, is_alone), shown[32];
        size_t columns = tally_plot_columns(label);
        double begin = 0;
        widest = columns > widest ? columns : widest;
        tally_plot_text_at(bars->plot, "label", row, label);
        tally_plot_text_at(
            bars->plot, "wall", row,
            tally_format_value(shown, sizeof(shown), thread->wall_ns, TALLY_UNIT_NS));
        free(label);
        for (int account = 0; account < TALLY_ACCOUNTS; account++) {
            if (thread->states[account] <= 0)
                continue;
            write_segment(bars, row, account, begin);
            begin += thread->states[account];
            totals[account] += thread->states[account];
        }
    }
    tally_plot_number(bars->plot, "label_width", (double)widest);
    tally_plot_array(bars->plot, "account_name", TALLY_ACCOUNTS);
    tally_plot_array(bars->plot, "account_shown", TALLY_ACCOUNTS);
    for (size_t i = 0; i < TALLY_ACCOUNTS; i++) {
        tally_plot_text_at(bars->plot, "account_name", i, tally_account_names[i]);
        tally_plot_number_at(bars->plot, "account_shown", i, totals[i] > 0);
    }
}

static void write_words(const struct bars *bars, const struct tally_recording *recording)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "What threads did with their wall time");
    if (bars->count < bars->known)
        tally_buffer_printf(&text, ": the longest %zu of %zu", bars->count, bars->known);
    tally_plot_words(bars->plot, "heading", text.data, 18);
    tally_buffer_release(&text);
    tally_plot_provenance(bars->plot, recording, bars->accounts->profile,
                          tally_plot_source(TALLY_SOURCE_CLOCK),
                          "CPU time and readiness exact, waits by looking on");
}

int tally_plot_waits(struct tally_plot *plot, const struct tally_recording *recording,
                     const struct tally_accounts *accounts, size_t limit)
{
    struct bars bars = {.plot = plot, .accounts = accounts};
    choose_threads(&bars, limit);
    if (bars.count) {
        struct tally_plot_scale scale = tally_plot_scale_of(bars.largest, TALLY_UNIT_NS);
        tally_plot_size(plot, 236 + 26 * bars.count, 9 + bars.count);
        tally_plot_number(plot, "rows", (double)bars.count);
        tally_plot_number(plot, "largest", bars.largest);
        tally_plot_number(plot, "scale", scale.factor);
        tally_plot_text(plot, "unit", scale.unit);
        write_rows(&bars);
        write_words(&bars, recording);
    }
    free(bars.threads);
    return bars.count ? 0
                      : tally_error("the recording does not say what its threads waited for; "
                                    "record it anew, without --simulate.");
}
