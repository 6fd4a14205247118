/*
 * Simulated counts: the models, the events, and running a program under the Valgrind tool
 * (simulator/), which writes the images of a recording by itself.
 *
 * To add a model: a file in simulator/models/, and its name in simulator/CMakeLists.txt. To add an
 * event: a row of the table in simulated.c.
 */
#ifndef TALLY_SOURCES_SIMULATED_H
#define TALLY_SOURCES_SIMULATED_H

#include "events/event.h"
#include "recording/run.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tally_model_level {
    uint64_t size; /* bytes, or entries; 0: there is none */
    uint64_t ways;
};

struct tally_model {
    char *name, *description;
    uint64_t line; /* bytes */
    struct tally_model_level l1i, l1d, l2, l3, tlb;
};

/* A model by name, or by the path of its file (with a slash in it); ended with release. */
int tally_model_load(struct tally_model *model, const char *name);
void tally_model_release(struct tally_model *model);

/*
 * Resolves a list as `-e` takes it; NULL gives the default set. An event that the model has no such
 * cache for is an error, and left out of the default set with a note to `run`.
 */
int tally_simulated_events(const char *list, const struct tally_model *model, struct tally_run *run,
                           struct tally_event_list *out);

struct tally_simulated_command {
    char **argv, **environment; /* owned */
};

/*
 * How to run `argv` under the tool, writing to the folder `recording`. Fails with TALLY_NOT_FOUND
 * when the program itself is not found; `*exit_status` then is what a shell says.
 */
int tally_simulated_command(struct tally_simulated_command *out, char *const argv[],
                            const struct tally_model *model, const struct tally_event_list *events,
                            const char *recording, int *exit_status);
void tally_simulated_command_release(struct tally_simulated_command *command);

/*
 * Takes the totals of `run` from the images in the recording's folder, and how many were written to
 * their end; processes that end just now get a moment to do so. When the interpreter was refused,
 * the reason is in `refusal`.
 */
int tally_simulated_totals(int directory, struct tally_run *run, uint32_t *images,
                           char refusal[128]);

#endif
