/*
 * The machines that can be simulated: sizes of caches and of the branch predictor, as text files
 * that are in simulator/models/ and installed beside the command.
 *
 * To add one: a file in simulator/models/, and its name in simulator/CMakeLists.txt.
 */
#ifndef TALLY_SOURCES_SIMULATED_MODEL_H
#define TALLY_SOURCES_SIMULATED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct tally_model_level {
    uint64_t size; /* bytes, or entries; 0: there is none */
    uint64_t ways;
    int at; /* line of the model's file; 0: not there */
};

/*
 * Two-bit counters for the outcomes of conditional branches, and the last targets of indirect ones.
 * "gshare" looks both up by address and by the way that led here, "bimodal" by address alone.
 */
struct tally_model_predictor {
    bool has_history;           /* gshare */
    uint64_t outcomes, targets; /* entries: powers of two */
    int at;                     /* as of a level; 0: the default */
};

struct tally_model {
    char *name, *description;
    uint64_t line;                                        /* bytes */
    int line_at;                                          /* as `at` of a level */
    struct tally_model_level l1i, l1d, l2, l3, tlb, itlb; /* tlb: of data */
    struct tally_model_predictor predictor;
};

/*
 * A model by name, or by the path of its file (with a slash in it); "host" is this machine, see
 * simulated_host.h. What is wrong in a file is told with its line. Ended with release.
 */
int tally_model_load(struct tally_model *model, const char *name);
void tally_model_release(struct tally_model *model);

const char *tally_model_predictor_kind(const struct tally_model_predictor *predictor);

/* The names that come with the command, sorted, NULL at the end; the caller frees all of it. */
char **tally_model_names(void);

#endif
