#include "base/launch.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    int signal;
    bool is_passed_on; /* else ignored */
} handled[] = {{SIGINT, false}, {SIGQUIT, false}, {SIGXFSZ, false}, {SIGTERM, true},
               {SIGHUP, true},  {SIGUSR1, true},  {SIGUSR2, true}};
enum { HANDLED = sizeof(handled) / sizeof(handled[0]) };

static volatile sig_atomic_t workload_pid;
static struct tally_witness witness;

static void pass_on(int signal)
{
    int saved = errno;
    if (!tally_witness_saw(&witness, signal) && workload_pid > 0)
        kill(workload_pid, signal);
    errno = saved;
}

/* A disposition that the caller already ignores (nohup) stays ignored, for the workload as well. */
static void take_signals(struct tally_launch *launch)
{
    launch->saved = tally_alloc_zeroed(HANDLED, sizeof(*launch->saved));
    tally_witness_start(&witness);
    for (int i = 0; i < HANDLED; i++) {
        struct sigaction action = {.sa_handler = SIG_IGN, .sa_flags = SA_RESTART};
        sigfillset(&action.sa_mask); /* one question to the witness at a time */
        if (handled[i].is_passed_on)
            action.sa_handler = pass_on;
        sigaction(handled[i].signal, NULL, &launch->saved[i]);
        if (launch->saved[i].sa_handler != SIG_IGN)
            sigaction(handled[i].signal, &action, NULL);
    }
}

static void give_signals_back(struct tally_launch *launch)
{
    if (!launch->saved)
        return;
    for (int i = 0; i < HANDLED; i++)
        sigaction(handled[i].signal, &launch->saved[i], NULL);
    tally_witness_end(&witness);
    free(launch->saved);
    launch->saved = NULL;
}

static _Noreturn void run_child(int go, int failed, char *const argv[], char *const envp[],
                                const struct tally_launch *launch)
{
    char byte;
    ssize_t got;
    do
        got = read(go, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got != 1)
        _exit(TALLY_EXIT_FAILED);
    for (int i = 0; i < HANDLED; i++)
        sigaction(handled[i].signal, &launch->saved[i], NULL);
    if (envp)
        execvpe(argv[0], argv, envp);
    else
        execvp(argv[0], argv);
    int error = errno;
    if (write(failed, &error, sizeof(error)) < 0)
        _exit(TALLY_EXIT_FAILED);
    _exit(TALLY_EXIT_CANNOT_RUN);
}

int tally_launch_prepare(struct tally_launch *launch, char *const argv[], char *const envp[])
{
    int go[2], failed[2];
    *launch = (struct tally_launch){
        .program = argv[0], .go = -1, .failed = -1, .cpu_ns = -1, .ready_ns = -1};
    if (pipe2(go, O_CLOEXEC) < 0)
        return tally_error("cannot make a pipe: %s.", strerror(errno));
    if (pipe2(failed, O_CLOEXEC) < 0) {
        int error = errno;
        close(go[0]);
        close(go[1]);
        return tally_error("cannot make a pipe: %s.", strerror(error));
    }
    take_signals(launch);
    launch->pid = fork();
    if (launch->pid == 0) {
        close(go[1]);
        close(failed[0]);
        run_child(go[0], failed[1], argv, envp, launch);
    }
    int error = errno;
    close(go[0]);
    close(failed[1]);
    launch->go = go[1];
    launch->failed = failed[0];
    if (launch->pid < 0) {
        tally_launch_release(launch);
        return tally_error("cannot start a process: %s.", strerror(error));
    }
    workload_pid = launch->pid;
    return 0;
}

int tally_launch_go(struct tally_launch *launch, int *exit_status)
{
    int error = 0;
    ssize_t got;
    if (write(launch->go, "", 1) != 1)
        error = errno;
    close(launch->go);
    launch->go = -1;
    do
        got = read(launch->failed, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    close(launch->failed);
    launch->failed = -1;
    if (got == 0 && !error)
        return 0;
    waitpid(launch->pid, NULL, 0);
    launch->pid = 0;
    workload_pid = 0;
    *exit_status = error == ENOENT ? TALLY_EXIT_NOT_FOUND : TALLY_EXIT_CANNOT_RUN;
    return tally_error("cannot run \"%s\": %s.", launch->program, strerror(error));
}

static void read_accounts(struct tally_launch *launch)
{
    char path[64];
    size_t size;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)launch->pid);
    char *text = tally_read_file(path, &size);
    if (!text || sscanf(text, "%lf %lf", &launch->cpu_ns, &launch->ready_ns) != 2)
        launch->cpu_ns = launch->ready_ns = -1;
    free(text);
}

int tally_launch_wait(struct tally_launch *launch, bool block, int *exit_status,
                      struct rusage *usage)
{
    siginfo_t ended = {0};
    int status = 0, got;
    do
        got = waitid(P_PID, (id_t)launch->pid, &ended, WEXITED | WNOWAIT | (block ? 0 : WNOHANG));
    while (got < 0 && errno == EINTR);
    if (got == 0 && !ended.si_pid)
        return 0;
    if (got == 0) {
        read_accounts(launch);
        got = wait4(launch->pid, &status, 0, usage);
    }
    if (got < 0)
        return tally_error("cannot wait for the program: %s.", strerror(errno));
    launch->pid = 0;
    workload_pid = 0;
    *exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return 1;
}

void tally_launch_release(struct tally_launch *launch)
{
    if (launch->go >= 0)
        close(launch->go);
    if (launch->failed >= 0)
        close(launch->failed);
    if (launch->go >= 0 && launch->pid > 0)
        waitpid(launch->pid, NULL, 0); /* the closed pipe made it leave */
    launch->go = launch->failed = -1;
    launch->pid = 0;
    workload_pid = 0;
    give_signals_back(launch);
}
