/*
 * Functions of libc that would lose the agent, or let the program break it by accident:
 *
 *   pthread_create                  every thread gets its counters
 *   exec*, posix_spawn*             children started with a cleaned environment keep the agent
 *   _exit, _Exit                    final counts, which exit() writes by our destructor
 *   close, close_range, closefrom,
 *   dup2, dup3                      "close everything" spares our few descriptors
 *   sigaction, signal,
 *   pthread_sigmask, sigprocmask    SIGTRAP stays ours and is never blocked; the program keeps and
 *                                   sees the action that it wants
 *   dlopen                          an interpreter may have been loaded
 */
#include "agent/agent.h"

#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Other preloaded libraries may call us before our constructor has run. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real_##name;                                                          \
    static __typeof__(name) *name##_of_libc(void)                                                  \
    {                                                                                              \
        if (!real_##name)                                                                          \
            real_##name = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);                             \
        return real_##name;                                                                        \
    }

REAL(pthread_create)
REAL(execve)
REAL(execvpe)
REAL(fexecve)
REAL(posix_spawn)
REAL(posix_spawnp)
REAL(_exit)
REAL(close)
REAL(close_range)
REAL(dup2)
REAL(dup3)
REAL(sigaction)
REAL(signal)
REAL(pthread_sigmask)
REAL(sigprocmask)
REAL(dlopen)

void interpose_init(void)
{
    pthread_create_of_libc();
    execve_of_libc();
    execvpe_of_libc();
    fexecve_of_libc();
    posix_spawn_of_libc();
    posix_spawnp_of_libc();
    _exit_of_libc();
    close_of_libc();
    close_range_of_libc();
    dup2_of_libc();
    dup3_of_libc();
    sigaction_of_libc();
    signal_of_libc();
    pthread_sigmask_of_libc();
    sigprocmask_of_libc();
    dlopen_of_libc();
}

int interpose_real_sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    return sigaction_of_libc()(signal, action, old);
}

/* Threads */

struct thread_start {
    void *(*run)(void *);
    void *argument;
};

static void *run_thread(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    agent_thread_start();
    return start.run(start.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    struct thread_start *start = agent.active ? malloc(sizeof(*start)) : NULL;
    if (!start)
        return pthread_create_of_libc()(thread, attributes, run, argument);
    *start = (struct thread_start){run, argument};
    int failed = pthread_create_of_libc()(thread, attributes, run_thread, start);
    if (failed)
        free(start);
    return failed;
}

/* New programs */

static const char preload_variable[] = "LD_PRELOAD=";
static const char session_variable[] = TALLY_SESSION_VARIABLE "=";

static bool is_variable(const char *entry, const char *name_and_equals)
{
    return !strncmp(entry, name_and_equals, strlen(name_and_equals));
}

static size_t count_entries(char *const environment[])
{
    size_t count = 0;
    while (environment && environment[count])
        count++;
    return count;
}

static const char *preload_of(char *const environment[])
{
    for (size_t i = 0; environment && environment[i]; i++)
        if (is_variable(environment[i], preload_variable))
            return environment[i] + sizeof(preload_variable) - 1;
    return NULL;
}

/* Bytes that compose_environment() needs; it is called in the child of a vfork: no malloc. */
static size_t environment_size(char *const environment[])
{
    const char *preload = preload_of(environment);
    return (count_entries(environment) + 3) * sizeof(char *) + sizeof(agent.preload) + 2 +
           (preload ? strlen(preload) : 0);
}

/*
 * `environment` with our variables, in `room`. Where the library cannot be read any more (another
 * root, another user) they are taken out instead, or the dynamic linker would complain.
 */
static char *const *compose_environment(char *const environment[], void *room)
{
    char **out = room;
    size_t count = count_entries(environment), used = 0;
    char *text = (char *)(out + count + 3);
    const char *preload = preload_of(environment);
    bool readable = faccessat(AT_FDCWD, agent.library, R_OK, AT_EACCESS) == 0;
    const char *ours = preload ? strstr(preload, agent.library) : NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_variable(environment[i], preload_variable) &&
            !is_variable(environment[i], session_variable))
            out[used++] = environment[i];
    if (readable) {
        out[used++] = agent.session;
        if (ours)
            sprintf(text, "%s%s", preload_variable, preload);
        else
            sprintf(text, "%s%s%s", agent.preload, preload && *preload ? ":" : "",
                    preload ? preload : "");
        out[used++] = text;
    } else if (preload) {
        const char *after = ours ? ours + strlen(agent.library) : preload;
        sprintf(text, "%s%.*s%s", preload_variable, ours ? (int)(ours - preload) : 0, preload,
                after);
        out[used++] = text;
    }
    out[used] = NULL;
    return out;
}

static bool follows_children(void)
{
    return agent.session[0] != '\0' && agent.library[0] != '\0';
}

static void count_execs(int more)
{
    if (agent.control)
        atomic_fetch_add((_Atomic int64_t *)&agent.control->execs, more);
}

/* Not so in the child of a vfork, which runs in its parent's memory. */
static bool is_our_process(void)
{
    return agent.active && getpid() == agent.pid;
}

/* Before an exec that may fail: the counts so far, and that it happened. */
static void before_exec(void)
{
    count_execs(1);
    if (is_our_process() && agent_slot)
        counters_pause(agent_slot);
    agent_process_end();
}

static int after_failed_exec(int result)
{
    count_execs(-1);
    if (!is_our_process())
        return result;
    int saved = errno;
    if (agent_may_write())
        agent.image->state = TALLY_IMAGE_SAMPLING;
    if (agent_slot)
        counters_resume(agent_slot);
    errno = saved;
    return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const environment[])
{
    if (!follows_children())
        return execve_of_libc()(path, argv, environment);
    void *room = alloca(environment_size(environment));
    before_exec();
    return after_failed_exec(execve_of_libc()(path, argv, compose_environment(environment, room)));
}

EXPORT int execvpe(const char *file, char *const argv[], char *const environment[])
{
    if (!follows_children())
        return execvpe_of_libc()(file, argv, environment);
    void *room = alloca(environment_size(environment));
    before_exec();
    return after_failed_exec(execvpe_of_libc()(file, argv, compose_environment(environment, room)));
}

EXPORT int fexecve(int fd, char *const argv[], char *const environment[])
{
    if (!follows_children())
        return fexecve_of_libc()(fd, argv, environment);
    void *room = alloca(environment_size(environment));
    before_exec();
    return after_failed_exec(fexecve_of_libc()(fd, argv, compose_environment(environment, room)));
}

EXPORT int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

static size_t count_arguments(va_list arguments)
{
    size_t count = 1;
    while (va_arg(arguments, char *))
        count++;
    return count;
}

/* The list that starts with `first` as an array in `argv`. */
#define COLLECT_ARGUMENTS(argv, first, arguments)                                                  \
    do {                                                                                           \
        va_list counted;                                                                           \
        va_start(counted, first);                                                                  \
        size_t count_ = first ? count_arguments(counted) : 0;                                      \
        va_end(counted);                                                                           \
        argv = alloca((count_ + 1) * sizeof(*argv));                                               \
        va_start(arguments, first);                                                                \
        memcpy(argv, &first, sizeof(*argv));                                                       \
        for (size_t i_ = 1; i_ <= count_; i_++)                                                    \
            argv[i_] = va_arg(arguments, char *);                                                  \
    } while (0)

EXPORT int execl(const char *path, const char *first, ...)
{
    va_list arguments;
    char **argv;
    COLLECT_ARGUMENTS(argv, first, arguments);
    va_end(arguments);
    return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    va_list arguments;
    char **argv;
    COLLECT_ARGUMENTS(argv, first, arguments);
    va_end(arguments);
    return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    va_list arguments;
    char **argv;
    COLLECT_ARGUMENTS(argv, first, arguments);
    char *const *environment = va_arg(arguments, char *const *);
    va_end(arguments);
    return execve(path, argv, environment);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[],
                       char *const environment[])
{
    if (!follows_children())
        return posix_spawn_of_libc()(pid, path, actions, attributes, argv, environment);
    void *room = alloca(environment_size(environment));
    int failed = posix_spawn_of_libc()(pid, path, actions, attributes, argv,
                                       compose_environment(environment, room));
    count_execs(!failed);
    return failed;
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const environment[])
{
    if (!follows_children())
        return posix_spawnp_of_libc()(pid, file, actions, attributes, argv, environment);
    void *room = alloca(environment_size(environment));
    int failed = posix_spawnp_of_libc()(pid, file, actions, attributes, argv,
                                        compose_environment(environment, room));
    count_execs(!failed);
    return failed;
}

EXPORT void _exit(int status)
{
    agent_process_end();
    _exit_of_libc()(status);
    __builtin_unreachable();
}

EXPORT void _Exit(int status)
{
    _exit(status);
}

/* Descriptors */

/* The lowest descriptor of ours from `from` on; INT_MAX: none. */
static int next_own(int from)
{
    int lowest = INT_MAX;
    if (!agent.active)
        return lowest;
    if (agent.image_fd >= from)
        lowest = agent.image_fd;
    for (struct slot *slot = slot_first(); slot; slot = slot->next)
        for (uint32_t i = 0; i < agent.control->counter_count; i++)
            if (slot->fds[i] >= from && slot->fds[i] < lowest)
                lowest = slot->fds[i];
    return lowest;
}

static bool is_own(int fd)
{
    /* Ours were moved up; programs rarely have any there. */
    return agent.active && fd > 255 && next_own(fd) == fd;
}

EXPORT int close(int fd)
{
    if (!is_own(fd))
        return close_of_libc()(fd);
    errno = EBADF;
    return -1;
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    while (first <= last && first <= INT_MAX) {
        int own = next_own((int)first);
        if (own == INT_MAX || (unsigned)own > last)
            break;
        if ((unsigned)own > first) {
            int failed = close_range_of_libc()(first, (unsigned)own - 1, flags);
            if (failed)
                return failed;
        }
        first = (unsigned)own + 1;
        if (first > last)
            return 0;
    }
    return close_range_of_libc()(first, last, flags);
}

EXPORT void closefrom(int first)
{
    close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0);
}

/* The program wants this number for itself: ours moves on. */
static void make_way(int fd)
{
    if (!is_own(fd))
        return;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
    if (agent.image_fd == fd)
        agent.image_fd = moved;
    for (struct slot *slot = slot_first(); slot; slot = slot->next)
        for (uint32_t i = 0; i < agent.control->counter_count; i++)
            if (slot->fds[i] == fd)
                slot->fds[i] = moved;
}

EXPORT int dup2(int from, int to)
{
    make_way(to);
    return dup2_of_libc()(from, to);
}

EXPORT int dup3(int from, int to, int flags)
{
    make_way(to);
    return dup3_of_libc()(from, to, flags);
}

/* Signals */

EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
    if (signal == SIGTRAP && agent.active)
        return sample_program_action(action, old);
    return sigaction_of_libc()(signal, action, old);
}

EXPORT __sighandler_t signal(int number, __sighandler_t handler)
{
    if (number != SIGTRAP || !agent.active)
        return signal_of_libc()(number, handler);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
    sample_program_action(&action, &old);
    return old.sa_handler;
}

/* Of overflows while SIGTRAP is blocked the kernel keeps one, and where the others were is lost. */
static const sigset_t *without_trap(int how, const sigset_t *set, sigset_t *room)
{
    if (!set || how == SIG_UNBLOCK || !agent.active || !sigismember(set, SIGTRAP))
        return set;
    *room = *set;
    sigdelset(room, SIGTRAP);
    return room;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t room;
    return pthread_sigmask_of_libc()(how, without_trap(how, set, &room), old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t room;
    return sigprocmask_of_libc()(how, without_trap(how, set, &room), old);
}

/* Libraries */

/* dlopen() looks at its caller's address, so it must be entered by a jump: a sibling call. */
EXPORT void *dlopen(const char *file, int mode)
{
    atomic_store(&agent.look_again, true);
    if (file && strstr(file, "libpython"))
        agent_activate_late();
    return dlopen_of_libc()(file, mode);
}
