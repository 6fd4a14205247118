/*
 * Pictures of recordings, drawn by gnuplot.
 *
 * A picture is drawn from a CSV file by a script: variables, plots/common.gp and plots/KIND.gp, one
 * after the other. All of it is made in a private folder beside the picture, and moved out of there
 * only when gnuplot has drawn the whole picture.
 *
 * To add a kind of plot: write plots/KIND.gp, with its columns and variables in its first comment,
 * and add it to plots/CMakeLists.txt; write a plot_KIND.c beside this file with a function that
 * writes the data and sets the variables, and declare it below; add it to the table in tools/plot.c
 * and to the manual page.
 */
#ifndef TALLY_OUTPUT_PLOT_H
#define TALLY_OUTPUT_PLOT_H

#include "profile/accounts.h"
#include "profile/profile.h"
#include "profile/view.h"
#include "recording/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct tally_plot_request {
    const char *output;     /* FILE.svg, FILE.png, FILE.pdf or FILE.txt; "-": text to stdout */
    const char *script;     /* name of a script in plots/, without the ".gp" */
    unsigned width, height; /* pixels, characters of text; 0: what suits the content */
    bool keep;              /* leave FILE.gp and FILE.csv beside the picture */
};

struct tally_plot;

/*
 * Begins a picture. Until tally_plot_free() signals that would end the process wait, so that no
 * file is left behind; they end it then. On success *out is the caller's.
 */
int tally_plot_new(struct tally_plot **out, const struct tally_plot_request *request);
void tally_plot_free(struct tally_plot *plot);

/* Runs gnuplot, and puts the picture in its place. */
int tally_plot_draw(struct tally_plot *plot);

/* Kinds of plots: write the data and set the variables of one script each. */

/* functions.gp: the rows of a view sorted by `event`, `limit` at most (0: all). */
int tally_plot_functions(struct tally_plot *plot, const struct tally_recording *recording,
                         const struct tally_view *view, int event, size_t limit);

/* timeline.gp: the interval series, and what the `limit` threads (0: all) with the most wall time
 * did meanwhile. */
int tally_plot_timeline(struct tally_plot *plot, const struct tally_recording *recording,
                        const struct tally_accounts *accounts, size_t limit);

struct tally_plot_run { /* a recording among several */
    const char *name;
    const struct tally_recording *recording;
    const struct tally_profile *profile;
};

/* trend.gp: totals and the `limit` top functions of several recordings. */
int tally_plot_trend(struct tally_plot *plot, const struct tally_plot_run *runs, size_t count,
                     size_t limit);

/* waits.gp: the `limit` threads (0: all) with the most wall time, and what they did with it. */
int tally_plot_waits(struct tally_plot *plot, const struct tally_recording *recording,
                     const struct tally_accounts *accounts, size_t limit);

/* For the kinds. */

/*
 * The data, to be written as CSV with a header row. Foreign texts come last, since gnuplot loses
 * its way in them; what is shown of them is a variable.
 */
FILE *tally_plot_data(struct tally_plot *plot);

bool tally_plot_is_text(const struct tally_plot *plot);

/* Sets the size that suits the content, for what was not asked for. */
void tally_plot_size(struct tally_plot *plot, size_t pixels_high, size_t lines_high);

/* Sets a variable of the script; or element `index`, from 0, of an array of `count`. */
void tally_plot_number(struct tally_plot *plot, const char *name, double value);
void tally_plot_text(struct tally_plot *plot, const char *name, const char *text);
void tally_plot_array(struct tally_plot *plot, const char *name, size_t count);
void tally_plot_number_at(struct tally_plot *plot, const char *name, size_t index, double value);
void tally_plot_text_at(struct tally_plot *plot, const char *name, size_t index, const char *text);

/*
 * As tally_plot_text(), for a line of words across the picture: `text` loses its middle where that
 * is too long for letters of `size` pixels.
 */
void tally_plot_words(struct tally_plot *plot, const char *name, const char *text, unsigned size);

struct tally_plot_threads {
    const struct tally_accounts *accounts;
    uint32_t *threads; /* that are known of, the longest first; the caller frees them */
    size_t known, count;
};

/* The `limit` threads (0: all) with the most wall time. */
void tally_plot_choose_threads(struct tally_plot_threads *out,
                               const struct tally_accounts *accounts, size_t limit);
const struct tally_process *tally_plot_process(const struct tally_plot_threads *threads,
                                               size_t row);

/* Sets label, an array, and label_width. */
void tally_plot_labels(struct tally_plot *plot, const struct tally_plot_threads *threads);

/* Sets what the legend of common.gp is drawn from; accounts of which there is nothing are left out.
 */
void tally_plot_legend(struct tally_plot *plot, const double totals[TALLY_ACCOUNTS]);

/* How many bands there are to draw under a timeline of `duration` seconds, and drawing them: rows
 * of the data behind its own, with the same columns. */
struct tally_plot_bands {
    struct tally_plot_threads threads;
    uint64_t start_ns;
    double duration;
};
void tally_plot_bands_find(struct tally_plot_bands *bands, const struct tally_recording *recording,
                           const struct tally_accounts *accounts, size_t limit);
void tally_plot_bands_write(struct tally_plot *plot, const struct tally_plot_bands *bands);

/* Sets subheading, footer_1, footer_2 and warning: where the numbers of the picture come from. */
void tally_plot_provenance(struct tally_plot *plot, const struct tally_recording *recording,
                           const struct tally_profile *profile, const char *source,
                           const char *samples);

/* What a source does, in words: "counted by the kernel (software)". */
const char *tally_plot_source(enum tally_source_kind source);

/* What to multiply values of `unit` up to `largest` with, and what they are then: "ms", "k". */
struct tally_plot_scale {
    double factor;
    char unit[8];
};
struct tally_plot_scale tally_plot_scale_of(double largest, enum tally_unit unit);

/* Columns that text takes on a screen. */
size_t tally_plot_columns(const char *text);

/* A copy of at most `columns` columns, its middle replaced by "…". The caller frees it. */
char *tally_plot_shortened(const char *text, size_t columns);

#endif
