/*
 * Starting a workload, held before its exec so that counters can be attached to it, and waiting for
 * it as a shell would.
 *
 * Between tally_launch_prepare() and tally_launch_go() the child exists and blocks; its PID can be
 * given to perf_event_open() with enable_on_exec. While the workload runs the parent ignores SIGINT
 * and SIGQUIT (the terminal sends them to the workload as well) and passes SIGTERM, SIGHUP, SIGUSR1
 * and SIGUSR2 on, unless the whole process group got them (base/witness.h).
 * It ignores SIGXFSZ, too: a file that reaches the limit of its size is an error to be told.
 */
#ifndef TALLY_BASE_LAUNCH_H
#define TALLY_BASE_LAUNCH_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
    TALLY_EXIT_FAILED = 125,     /* tallystack itself failed */
    TALLY_EXIT_CANNOT_RUN = 126, /* the program was found but could not be run */
    TALLY_EXIT_NOT_FOUND = 127,  /* the program was not found */
};

struct tally_launch {
    const char *program; /* borrowed: argv[0] */
    pid_t pid;
    int go;     /* write end of the pipe that releases the child; -1 when closed */
    int failed; /* read end of the pipe on which a failed exec reports its errno; -1 when closed */
    struct sigaction *saved;
    /* Of its main thread, when it has ended: time on a CPU, and ready without one; negative where
     * the kernel does not tell. */
    double cpu_ns, ready_ns;
};

/*
 * Forks a child that will exec `argv` (searched in PATH) in environment `envp` (NULL: ours). The
 * arrays are only read. On failure nothing is left behind.
 */
int tally_launch_prepare(struct tally_launch *launch, char *const argv[], char *const envp[]);

/*
 * Lets the child exec. Returns 0 when the program has started, else a negative number with the
 * sentence set and `*exit_status` TALLY_EXIT_CANNOT_RUN or TALLY_EXIT_NOT_FOUND; the child is then
 * reaped.
 */
int tally_launch_go(struct tally_launch *launch, int *exit_status);

/*
 * Waits for the workload. With `block` false returns 0 at once while it still runs, 1 when it has
 * ended. `*exit_status` is as a shell reports it (128 + N for signal N); `usage`, which may be
 * NULL, gets the resources of the workload and all descendants it waited for.
 */
int tally_launch_wait(struct tally_launch *launch, bool block, int *exit_status,
                      struct rusage *usage);

/* Kills a child that was never released, closes descriptors, gives signal dispositions back. */
void tally_launch_release(struct tally_launch *launch);

#endif
