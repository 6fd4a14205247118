#include "recording/look.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int open_file(const struct tally_eye *eye, const char *name)
{
    char path[48];
    snprintf(path, sizeof(path), "%d/%s", (int)eye->tid, name);
    return openat(eye->task, path, O_RDONLY | O_CLOEXEC);
}

void tally_eye_open(struct tally_eye *eye)
{
    eye->schedstat = open_file(eye, "schedstat");
    eye->syscall = -1;
}

void tally_eye_close(struct tally_eye *eye)
{
    if (eye->schedstat >= 0)
        close(eye->schedstat);
    if (eye->syscall >= 0)
        close(eye->syscall);
    eye->schedstat = eye->syscall = -1;
}

/* The text of the thread's file, through a descriptor kept open if there is one. */
static ssize_t read_file(const struct tally_eye *eye, int kept, const char *name, char *text,
                         size_t room)
{
    int fd = kept >= 0 ? kept : open_file(eye, name);
    if (fd < 0)
        return -1;
    ssize_t size = pread(fd, text, room - 1, 0);
    int error = errno;
    if (fd != kept)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    errno = error;
    return size;
}

bool tally_look_times(const struct tally_eye *eye, struct tally_times *out)
{
    char text[96];
    *out = (struct tally_times){0};
    if (read_file(eye, eye->schedstat, "schedstat", text, sizeof(text)) >= 0) {
        char *at = text;
        out->cpu_ns = strtoull(at, &at, 10);
        out->delay_ns = strtoull(at, &at, 10);
        out->slices = strtoull(at, &at, 10);
        return true;
    }
    char path[16];
    snprintf(path, sizeof(path), "%d", (int)eye->tid);
    return errno != ESRCH && faccessat(eye->task, path, F_OK, 0) == 0;
}

/* What waiting for a descriptor is waiting for. */
static enum tally_state state_of_descriptor(const struct tally_eye *eye, uint64_t fd)
{
    static const struct {
        const char *link;
        enum tally_state state;
    } kinds[] = {{"anon_inode:[pidfd]", TALLY_STATE_CHILD},
                 {"anon_inode:[timerfd]", TALLY_STATE_SLEEP},
                 {"anon_inode:[eventpoll]", TALLY_STATE_POLL}};
    char path[48], link[64];
    struct statx status;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)eye->pid, (int)fd);
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return TALLY_STATE_OTHER;
    if (S_ISSOCK(status.stx_mode))
        return TALLY_STATE_SOCKET;
    if (S_ISFIFO(status.stx_mode))
        return TALLY_STATE_PIPE;
    if (S_ISREG(status.stx_mode) || S_ISBLK(status.stx_mode) || S_ISDIR(status.stx_mode))
        return TALLY_STATE_FILE;
    ssize_t size = readlink(path, link, sizeof(link) - 1);
    link[size > 0 ? size : 0] = '\0';
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(link, kinds[i].link))
            return kinds[i].state;
    return TALLY_STATE_OTHER;
}

/* One descriptor, or several pipes, are as good as a read; several others make an event loop. */
static enum tally_state state_of_poll(const struct tally_eye *eye, uint64_t address, uint64_t count)
{
    enum { FEW = PY_VIEW_MAX / sizeof(struct pollfd) };
    struct pollfd polled[FEW];
    if (count == 0)
        return TALLY_STATE_SLEEP;
    if (count > FEW)
        return TALLY_STATE_POLL;
    const void *bytes = eye->memory->view(eye->memory, address, count * sizeof(*polled));
    if (!bytes)
        return TALLY_STATE_POLL;
    memcpy(polled, bytes, count * sizeof(*polled));
    enum tally_state first = state_of_descriptor(eye, (uint64_t)polled[0].fd);
    for (uint64_t i = 1; i < count; i++)
        if (first != TALLY_STATE_PIPE ||
            state_of_descriptor(eye, (uint64_t)polled[i].fd) != TALLY_STATE_PIPE)
            return TALLY_STATE_POLL;
    return first;
}

static enum tally_state state_of_select(const struct tally_eye *eye, uint64_t count,
                                        const uint64_t *sets)
{
    enum { FEW = PY_VIEW_MAX * 8 };
    uint64_t found = 0, descriptor = 0;
    if (count == 0)
        return TALLY_STATE_SLEEP;
    if (count > FEW)
        return TALLY_STATE_POLL;
    for (int i = 0; i < 3; i++) {
        const uint64_t *words =
            sets[i] ? eye->memory->view(eye->memory, sets[i], (count + 63) / 64 * 8) : NULL;
        for (uint64_t bit = 0; words && bit < count; bit++) {
            uint64_t word;
            memcpy(&word, words + bit / 64, sizeof(word));
            if (word >> bit % 64 & 1) {
                descriptor = bit;
                found++;
            }
        }
    }
    return found == 1 ? state_of_descriptor(eye, descriptor) : TALLY_STATE_POLL;
}

/* The file system that all sockets are in, as the kernel writes its number. */
static uint64_t socket_device(void)
{
    static uint64_t device;
    struct stat status;
    int fd = device ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return device;
    if (fstat(fd, &status) == 0)
        device = (uint64_t)major(status.st_dev) << 20 | minor(status.st_dev);
    close(fd);
    return device;
}

/* What an epoll watches. Of very many descriptors some tell enough. */
struct watched {
    int sockets, pipes, children, others;
};

static void add_watched(const struct tally_eye *eye, const char *line, struct watched *out)
{
    const char *device = strstr(line, "sdev:");
    if (device && strtoull(device + 5, NULL, 16) == socket_device()) {
        out->sockets++;
        return;
    }
    enum tally_state state = state_of_descriptor(eye, strtoull(line + 4, NULL, 10));
    if (state == TALLY_STATE_PIPE)
        out->pipes++;
    else if (state == TALLY_STATE_CHILD)
        out->children++;
    else
        out->others++;
}

static struct watched watched_by(const struct tally_eye *eye, uint64_t epoll)
{
    enum { MANY = 64 };
    char path[48], line[256];
    struct watched watched = {0};
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)eye->pid, (int)epoll);
    FILE *file = fopen(path, "re");
    while (file && !watched.others && watched.sockets + watched.pipes + watched.children < MANY &&
           fgets(line, sizeof(line), file))
        if (!strncmp(line, "tfd:", 4))
            add_watched(eye, line, &watched);
    if (file)
        fclose(file);
    return watched;
}

/* One socket is the event loop's own, to be woken up by. A child's pipes end with it. */
static enum tally_state state_of_watched(const struct watched *watched)
{
    bool has_others = watched->pipes || watched->children;
    if (watched->others || (has_others && watched->sockets > 1))
        return TALLY_STATE_POLL;
    if (!has_others)
        return watched->sockets > 1 ? TALLY_STATE_SOCKET : TALLY_STATE_POLL;
    return watched->children ? TALLY_STATE_CHILD : TALLY_STATE_PIPE;
}

/* A brief timer ends before two looks can tell whether something else did. */
static void look_at_epoll(const struct tally_eye *eye, const uint64_t args[6],
                          struct tally_seen *out)
{
    enum { BRIEF_MS = 10 };
    int32_t timeout_ms = (int32_t)args[3];
    if (timeout_ms >= 0 && timeout_ms < BRIEF_MS)
        return;
    struct watched watched = watched_by(eye, args[0]);
    enum tally_state state = state_of_watched(&watched);
    bool is_own = state == TALLY_STATE_POLL && watched.sockets == 1 && !watched.others;
    if (timeout_ms < 0) {
        out->state = state;
        out->waker = is_own ? TALLY_WAKER_OWN : TALLY_WAKER_NONE;
    } else if (is_own || state != TALLY_STATE_POLL) {
        out->beside = state;
        out->timer_ns = (uint64_t)timeout_ms * 1000000u;
    }
}

static enum tally_state state_of_futex(const struct tally_eye *eye, uint64_t address)
{
    return address - eye->runtime < eye->runtime_size ? TALLY_STATE_GIL : TALLY_STATE_LOCK;
}

static enum tally_state state_of_fcntl(uint64_t command)
{
    return command == F_SETLKW || command == F_OFD_SETLKW ? TALLY_STATE_LOCK : TALLY_STATE_FILE;
}

/* Of a named pipe it waits for the other end. */
static enum tally_state state_of_open(const struct tally_eye *eye)
{
    char function[64];
    bool is_pipe = read_file(eye, -1, "wchan", function, sizeof(function)) > 0 &&
                   tally_state_of_wchan(function) == TALLY_STATE_PIPE;
    return is_pipe ? TALLY_STATE_PIPE : TALLY_STATE_FILE;
}

static enum tally_state state_of_call(const struct tally_eye *eye, long number,
                                      const uint64_t args[6])
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        return state_of_poll(eye, args[0], args[1]);
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        return state_of_select(eye, args[0], args + 1);
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
    case SYS_epoll_pwait:
        return TALLY_STATE_POLL;
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        return TALLY_STATE_SLEEP;
    case SYS_futex:
        return state_of_futex(eye, args[0]);
    case SYS_flock:
    case SYS_semop:
    case SYS_semtimedop:
        return TALLY_STATE_LOCK;
    case SYS_fcntl:
        return state_of_fcntl(args[1]);
    case SYS_wait4:
    case SYS_waitid:
#ifdef SYS_vfork
    case SYS_vfork:
#endif
    case SYS_clone: /* sleeps only for a child that borrows its parent's memory */
#ifdef SYS_clone3
    case SYS_clone3:
#endif
        return TALLY_STATE_CHILD;
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_sendfile: /* the first is what is written to */
    case SYS_splice:
        return state_of_descriptor(eye, args[0]);
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
        return TALLY_STATE_SOCKET;
#ifdef SYS_open
    case SYS_open:
#endif
    case SYS_openat:
        return state_of_open(eye);
    case SYS_ioctl:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
#ifdef SYS_pause
    case SYS_pause:
#endif
    case SYS_exit:
    case SYS_exit_group:
        return TALLY_STATE_OTHER;
    default: /* fsync, pread64, getdents64, rename, io_uring_enter, ... */
        return TALLY_STATE_FILE;
    }
}

enum tally_state tally_state_of_wchan(const char *function)
{
    static const struct {
        const char *part;
        enum tally_state state;
    } known[] = {
        {"futex", TALLY_STATE_OTHER}, /* a lock or the GIL; before the "do_wait" in its names */
        {"nanosleep", TALLY_STATE_SLEEP}, {"poll", TALLY_STATE_POLL},
        {"do_select", TALLY_STATE_POLL},  {"pipe", TALLY_STATE_PIPE},
        {"fifo", TALLY_STATE_PIPE},       {"unix_", TALLY_STATE_SOCKET},
        {"skb", TALLY_STATE_SOCKET},      {"sk_", TALLY_STATE_SOCKET},
        {"inet", TALLY_STATE_SOCKET},     {"tcp", TALLY_STATE_SOCKET},
        {"do_wait_", TALLY_STATE_OTHER},  {"do_wait", TALLY_STATE_CHILD},
        {"waitid", TALLY_STATE_CHILD},    {"wait_for_partner", TALLY_STATE_PIPE},
        {"folio", TALLY_STATE_FILE},      {"io_schedule", TALLY_STATE_FILE},
        {"filemap", TALLY_STATE_FILE},    {"page_", TALLY_STATE_FILE},
        {"submit_bio", TALLY_STATE_FILE}, {"blk", TALLY_STATE_FILE},
        {"jbd2", TALLY_STATE_FILE},       {"iomap", TALLY_STATE_FILE},
        {"flock", TALLY_STATE_LOCK},      {"posix_lock", TALLY_STATE_LOCK},
        {"locks_lock", TALLY_STATE_LOCK}, {"fcntl_setlk", TALLY_STATE_LOCK},
        {"semtimedop", TALLY_STATE_LOCK},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(function, known[i].part))
            return known[i].state;
    return TALLY_STATE_OTHER;
}

/* The letter of stat; 0 if the thread is gone. *terminal is that of its session, 0 if none. */
static char state_letter(const struct tally_eye *eye, int *terminal)
{
    char text[512], letter = '\0';
    *terminal = 0;
    if (read_file(eye, -1, "stat", text, sizeof(text)) <= 0)
        return '\0';
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %c %*d %*d %*d %d", &letter, terminal) < 1)
        return '\0';
    return letter;
}

static bool is_waiting(char letter)
{
    return letter == 'S' || letter == 'D' || letter == 'I';
}

/* A thread that runs or is stopped tells nothing of what could be seen: the sight stays `most`. */
static void look_at_kernel(const struct tally_eye *eye, enum tally_sight most,
                           struct tally_seen *out)
{
    char function[64] = "";
    int terminal;
    char letter = state_letter(eye, &terminal);
    *out = (struct tally_seen){.sight = most, .state = TALLY_STATE_RUNNING};
    if (letter == '\0' || letter == 'Z' || letter == 'X')
        out->sight = TALLY_SIGHT_GONE;
    if (letter == 'T' || letter == 't')
        out->state = TALLY_STATE_OTHER;
    if (!is_waiting(letter))
        return;
    out->state = letter == 'D' ? TALLY_STATE_FILE : TALLY_STATE_OTHER;
    if (most > TALLY_SIGHT_KERNEL || read_file(eye, -1, "wchan", function, sizeof(function)) <= 0 ||
        !strcmp(function, "0")) {
        if (is_waiting(state_letter(eye, &terminal))) /* else it woke up meanwhile */
            out->sight = TALLY_SIGHT_STATE;
        return;
    }
    enum tally_state told = tally_state_of_wchan(function);
    /* TCP sleeps there, and terminals do. */
    if (!strcmp(function, "wait_woken") && !terminal)
        told = TALLY_STATE_SOCKET;
    out->sight = TALLY_SIGHT_KERNEL;
    /* Uninterruptible sleep is the disk's, unless it is for another thread's page tables. */
    if (told != TALLY_STATE_OTHER || strstr(function, "rwsem") || strstr(function, "mmap"))
        out->state = told;
    out->is_poll = told == TALLY_STATE_POLL;
}

static bool is_epoll(long number)
{
    switch (number) {
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
        return true;
    default:
        return false;
    }
}

static bool is_poll(long number)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
#endif
#ifdef SYS_select
    case SYS_select:
#endif
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
    case SYS_ppoll:
    case SYS_pselect6:
        return true;
    default:
        return is_epoll(number);
    }
}

/* Whether a poll has no timer. */
static bool is_untimed(long number, const uint64_t args[6])
{
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
        return (int32_t)args[2] < 0;
#endif
    case SYS_ppoll:
        return !args[2];
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
        return !args[3];
#endif
    default:
        return is_epoll(number) ? (int32_t)args[3] < 0 : !args[4];
    }
}

void tally_look(struct tally_eye *eye, enum tally_sight most, struct tally_seen *out)
{
    char text[256];
    uint64_t args[6] = {0};
    if (most == TALLY_SIGHT_CALL && eye->syscall < 0)
        eye->syscall = open_file(eye, "syscall");
    if (most > TALLY_SIGHT_CALL ||
        read_file(eye, eye->syscall, "syscall", text, sizeof(text)) <= 0) {
        look_at_kernel(eye, most, out);
        return;
    }
    *out = (struct tally_seen){.sight = TALLY_SIGHT_CALL, .state = TALLY_STATE_RUNNING};
    if (text[0] == 'r') /* "running" */
        return;
    char *at = text;
    long number = strtol(at, &at, 10);
    if (number < 0) { /* a page fault, or stopped */
        look_at_kernel(eye, TALLY_SIGHT_KERNEL, out);
        if (out->sight != TALLY_SIGHT_GONE)
            out->sight = TALLY_SIGHT_CALL;
        return;
    }
    for (int i = 0; i < 6; i++)
        args[i] = strtoull(at, &at, 16);
    out->state = state_of_call(eye, number, args);
    out->is_poll = is_poll(number);
    if (out->is_poll && is_untimed(number, args))
        out->waker = TALLY_WAKER_NONE;
    if (is_epoll(number))
        look_at_epoll(eye, args, out);
    out->waited_at = args[0];
}

bool tally_look_usage(const struct tally_eye *eye, uint64_t *user_ns, uint64_t *system_ns)
{
    char text[512];
    unsigned long long user, system;
    if (read_file(eye, -1, "stat", text, sizeof(text)) <= 0)
        return false;
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                      &system) != 2)
        return false;
    uint64_t tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    *user_ns = user * tick_ns;
    *system_ns = system * tick_ns;
    return true;
}
