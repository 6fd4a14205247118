/*
 * Running a program under the Valgrind tool (simulator/), which writes the images of a recording by
 * itself. What it counted in all is in simulated_outcome.h.
 */
#ifndef TALLY_SOURCES_SIMULATED_H
#define TALLY_SOURCES_SIMULATED_H

#include "base/launch.h"
#include "recording/session.h"
#include "sources/simulated_events.h"
#include "sources/simulated_model.h"

#include <stdint.h>

/* Whether programs can be simulated here: 0, or a negative number with the reason. */
int tally_simulated_probe(void);

struct tally_simulated_command {
    char **argv, **environment; /* owned */
    const struct tally_handout *handout;
};

/*
 * How to run `argv` under the tool, writing to the recording of `session`, which is to be served.
 * With `within`, not NULL, only what runs in a call of that function is simulated. Fails with
 * TALLY_NOT_FOUND when the program itself is not found; `*exit_status` then is what a shell says.
 */
int tally_simulated_command(struct tally_simulated_command *out, char *const argv[],
                            const struct tally_model *model, const struct tally_event_list *events,
                            const char *within, const struct tally_session *session,
                            int *exit_status);
/* Starts it without randomised addresses; as tally_launch_prepare() and tally_launch_go(). */
int tally_simulated_launch(struct tally_launch *launch, struct tally_simulated_command *command,
                           int *exit_status);

void tally_simulated_command_release(struct tally_simulated_command *command);

#endif
