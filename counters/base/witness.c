#include "base/witness.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ends with the other end of the socket; holds nothing else open that others wait for the end of.
 */
static _Noreturn void testify(int asked)
{
    const struct timespec at_once = {0};
    int signal;
    dup2(asked, 0);
    close_range(1, UINT_MAX, 0);
    while (recv(0, &signal, sizeof(signal), 0) == sizeof(signal)) {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, signal);
        bool saw = sigtimedwait(&one, NULL, &at_once) == signal;
        send(0, &saw, sizeof(saw), MSG_NOSIGNAL);
    }
    _exit(0);
}

void tally_witness_start(struct tally_witness *witness)
{
    const struct timeval patience = {.tv_sec = 1}; /* somebody may have stopped it */
    sigset_t all, before;
    int ends[2];
    *witness = (struct tally_witness){.socket = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        testify(ends[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *witness = (struct tally_witness){pid, ends[0]};
}

bool tally_witness_saw(const struct tally_witness *witness, int signal)
{
    bool saw = false;
    return witness->pid > 0 &&
           send(witness->socket, &signal, sizeof(signal), MSG_NOSIGNAL) == sizeof(signal) &&
           recv(witness->socket, &saw, sizeof(saw), 0) == sizeof(saw) && saw;
}

void tally_witness_end(struct tally_witness *witness)
{
    if (witness->pid <= 0)
        return;
    close(witness->socket);
    while (waitpid(witness->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *witness = (struct tally_witness){.socket = -1};
}
