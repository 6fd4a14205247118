/*
 * The bands under a timeline: what each thread did over time, as it was seen by looking on.
 *
 * Time is cut into slices, in each of which a band is divided by how long the thread was in each
 * state; a part of a life that nobody looked at is said to be that. So the parts of a band sum to
 * the thread's wall time. Neighbouring slices of one and the same state are one part.
 */
#include "output/plot.h"

#include "base/buffer.h"
#include "output/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES_OF_PIXELS = 400, SLICES_OF_TEXT = 80 };

struct band {
    size_t slices;
    double slice_ns;
    double (*states)[TALLY_ACCOUNTS]; /* ns in each state, of each slice */
};

void tally_plot_bands_find(struct tally_plot_bands *bands, const struct tally_recording *recording,
                           const struct tally_accounts *accounts, size_t limit)
{
    *bands = (struct tally_plot_bands){.start_ns = recording->run.start_ns};
    tally_plot_choose_threads(&bands->threads, accounts, limit);
    if (!bands->start_ns || !accounts->profile->look_count)
        bands->threads.count = bands->threads.known = 0;
    for (size_t i = 0; i < accounts->span_count; i++)
        if (bands->threads.count)
            bands->duration =
                fmax(bands->duration,
                     ((double)accounts->spans[i].end_ns - (double)bands->start_ns) / 1e9);
}

/* From `begin` to `end`, ns since the start. */
static void add_time(struct band *band, double begin, double end, size_t account)
{
    for (size_t slice = (size_t)(begin / band->slice_ns); slice < band->slices && begin < end;
         slice++) {
        double until = fmin(end, (double)(slice + 1) * band->slice_ns);
        if (until > begin) {
            band->states[slice][account] += until - begin;
            begin = until;
        }
    }
}

static void add_span(struct band *band, const struct tally_plot_bands *bands,
                     const struct tally_span *span)
{
    const struct tally_accounts *accounts = bands->threads.accounts;
    const struct tally_profile *profile = accounts->profile;
    double start = (double)bands->start_ns, end = (double)span->end_ns - start;
    double at = fmax(0, (double)span->begin_ns - start);
    for (size_t i = 0; i < profile->look_count; i++) {
        const struct tally_look *look = &profile->looks[i];
        if (look->thread != span->thread)
            continue;
        double from = fmax(at, (double)look->begin_ns - start);
        double until = fmin(end, (double)look->begin_ns + (double)look->duration_ns - start);
        if (until <= from)
            continue;
        add_time(band, at, from, TALLY_ACCOUNT_UNSEEN);
        add_time(band, from, until, accounts->look_states[i]);
        at = until;
    }
    add_time(band, at, end, TALLY_ACCOUNT_UNSEEN);
}

/* The only state of the slice; -1: none or several. */
static int only_state(const double states[TALLY_ACCOUNTS], double slice_ns)
{
    for (int i = 0; i < TALLY_ACCOUNTS; i++)
        if (states[i] >= slice_ns * (1 - 1e-9))
            return i;
    return -1;
}

static int longest_state(const double states[TALLY_ACCOUNTS])
{
    int longest = 0;
    for (int i = 1; i < TALLY_ACCOUNTS; i++)
        if (states[i] > states[longest])
            longest = i;
    return longest;
}

/* One part of a band: slices `first` to `last`, between heights `low` and `high` of it. */
struct part {
    size_t first, last;
    int account;
    double low, high, ns;
    bool is_longest;
};

static void write_part(struct tally_plot *plot, const struct tally_plot_bands *bands,
                       const struct band *band, size_t row, const struct part *part)
{
    FILE *out = tally_plot_data(plot);
    uint32_t thread = bands->threads.threads[row];
    fprintf(out, "0,%.6f,", (double)part->first * band->slice_ns / 1e9);
    tally_csv_number(out, part->ns);
    fprintf(out, ",,%s,%s,%zu,%.6f,%.4f,%.4f,%d,%d,%s,", tally_unit_name(TALLY_UNIT_NS),
            tally_source_name(TALLY_SOURCE_CLOCK), row + 1,
            (double)(part->last + 1) * band->slice_ns / 1e9, part->low, part->high,
            part->account + 1, part->is_longest, tally_account_names[part->account]);
    tally_csv_field(out, tally_plot_process(&bands->threads, row)->name);
    fputc(',', out);
    tally_csv_field(out, bands->threads.accounts->profile->threads[thread].name);
    fputs("\r\n", out);
}

static void write_slice(struct tally_plot *plot, const struct tally_plot_bands *bands,
                        const struct band *band, size_t row, size_t slice)
{
    const double *states = band->states[slice];
    double low = 0;
    int longest = longest_state(states);
    for (int account = 0; account < TALLY_ACCOUNTS; account++) {
        if (states[account] <= 0)
            continue;
        double high = low + states[account] / band->slice_ns;
        struct part part = {slice, slice, account, low, high, states[account], account == longest};
        write_part(plot, bands, band, row, &part);
        low = high;
    }
}

static void write_band(struct tally_plot *plot, const struct tally_plot_bands *bands,
                       const struct band *band, size_t row)
{
    for (size_t slice = 0; slice < band->slices; slice++) {
        int state = only_state(band->states[slice], band->slice_ns);
        if (state < 0) {
            write_slice(plot, bands, band, row, slice);
            continue;
        }
        struct part part = {slice, slice, state, 0, 1, band->states[slice][state], true};
        while (slice + 1 < band->slices &&
               only_state(band->states[slice + 1], band->slice_ns) == state)
            part.ns += band->states[++slice][state];
        part.last = slice;
        write_part(plot, bands, band, row, &part);
    }
}

void tally_plot_bands_write(struct tally_plot *plot, const struct tally_plot_bands *bands)
{
    const struct tally_accounts *accounts = bands->threads.accounts;
    double totals[TALLY_ACCOUNTS] = {0};
    struct band band = {.slices = tally_plot_is_text(plot) ? SLICES_OF_TEXT : SLICES_OF_PIXELS};
    band.slice_ns = bands->duration * 1e9 / (double)band.slices;
    band.states = tally_alloc_zeroed(band.slices, sizeof(*band.states));
    for (size_t row = 0; row < bands->threads.count; row++) {
        memset(band.states, 0, band.slices * sizeof(*band.states));
        for (size_t i = 0; i < accounts->span_count; i++)
            if (accounts->spans[i].thread == bands->threads.threads[row])
                add_span(&band, bands, &accounts->spans[i]);
        for (size_t slice = 0; slice < band.slices; slice++)
            for (int account = 0; account < TALLY_ACCOUNTS; account++)
                totals[account] += band.states[slice][account];
        write_band(plot, bands, &band, row);
    }
    free(band.states);
    tally_plot_labels(plot, &bands->threads);
    tally_plot_legend(plot, totals);
}
