/* Data of plots/waits.gp: what each thread did with its wall time. */
#include "output/plot.h"

#include "base/buffer.h"
#include "base/error.h"
#include "output/csv.h"
#include "output/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bars {
    struct tally_plot *plot;
    const struct tally_accounts *accounts;
    struct tally_plot_threads threads;
    double largest;
};

static void write_segment(const struct bars *bars, size_t row, int account, double begin)
{
    uint32_t index = bars->threads.threads[row];
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
    tally_csv_field(out, tally_plot_process(&bars->threads, row)->name);
    fputc(',', out);
    tally_csv_field(out, bars->accounts->profile->threads[index].name);
    fputs("\r\n", out);
}

/* Also says which accounts are in the picture: those alone are in its legend. */
static void write_rows(const struct bars *bars)
{
    double totals[TALLY_ACCOUNTS] = {0};
    fputs("row,begin,end,account_number,share,unit,source,account,process,thread\r\n",
          tally_plot_data(bars->plot));
    tally_plot_labels(bars->plot, &bars->threads);
    tally_plot_array(bars->plot, "wall", bars->threads.count);
    for (size_t row = 0; row < bars->threads.count; row++) {
        const struct tally_thread_account *thread =
            &bars->accounts->threads[bars->threads.threads[row]];
        char shown[32];
        double begin = 0;
        tally_plot_text_at(
            bars->plot, "wall", row,
            tally_format_value(shown, sizeof(shown), thread->wall_ns, TALLY_UNIT_NS));
        for (int account = 0; account < TALLY_ACCOUNTS; account++) {
            if (thread->states[account] <= 0)
                continue;
            write_segment(bars, row, account, begin);
            begin += thread->states[account];
            totals[account] += thread->states[account];
        }
    }
    tally_plot_legend(bars->plot, totals);
}

static void write_words(const struct bars *bars, const struct tally_recording *recording)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "What threads did with their wall time");
    if (bars->threads.count < bars->threads.known)
        tally_buffer_printf(&text, ": the longest %zu of %zu", bars->threads.count,
                            bars->threads.known);
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
    tally_plot_choose_threads(&bars.threads, accounts, limit);
    if (bars.threads.count) {
        bars.largest = 1.02 * accounts->threads[bars.threads.threads[0]].wall_ns;
        struct tally_plot_scale scale = tally_plot_scale_of(bars.largest, TALLY_UNIT_NS);
        tally_plot_size(plot, 236 + 26 * bars.threads.count, 9 + bars.threads.count);
        tally_plot_number(plot, "rows", (double)bars.threads.count);
        tally_plot_number(plot, "largest", bars.largest);
        tally_plot_number(plot, "scale", scale.factor);
        tally_plot_text(plot, "unit", scale.unit);
        write_rows(&bars);
        write_words(&bars, recording);
    }
    bool has_any = bars.threads.count > 0;
    free(bars.threads.threads);
    return has_any ? 0 : tally_accounts_refuse(accounts);
}
