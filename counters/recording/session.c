#include "recording/session.h"

#include "agent/attr.h"
#include "base/buffer.h"
#include "base/error.h"
#include "recording/control.h"
#include "recording/folder.h"
#include "recording/handout.h"
#include "recording/seal.h"
#include "recording/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct image {
    struct tally_image_header *header; /* mapped */
    pid_t pid;
};

struct tally_session {
    struct tally_folder folder;
    bool has_foreign;
    int control_fd, listener;
    FILE *series;
    struct tally_control *control;
    char token[TALLY_TOKEN_SIZE + 1];
    char **environment;
    pid_t root;
    bool has_root_image;
    tally_count_now *count_now;
    void *counting;
    size_t image_count;
    struct image *images;
    uint32_t hellos;               /* constructors that ran */
    struct tally_watch *watch;     /* NULL: waits are not watched */
    int events;                    /* an epoll descriptor over the listener and the watch */
    struct tally_handout *handout; /* of a simulated recording, which has none of those */
};

/* Control page */

static int make_control(struct tally_session *session, const struct tally_session_options *options,
                        const struct tally_event_list *events)
{
    session->control_fd = memfd_create("tallystack-control", MFD_CLOEXEC);
    if (session->control_fd < 0 || ftruncate(session->control_fd, TALLY_CONTROL_SIZE) < 0)
        return tally_error("cannot make the control page: %s.", strerror(errno));
    void *page =
        mmap(NULL, TALLY_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, session->control_fd, 0);
    if (page == MAP_FAILED)
        return tally_error("cannot map the control page: %s.", strerror(errno));
    session->control = page;
    session->control->is_clock = options->is_clock;
    session->control->is_native = options->is_native;
    session->control->bytes_left = options->max_size ? options->max_size : UINT64_MAX;
    return tally_control_set_counters(session->control, events, options->is_clock);
}

/* Socket */

static void random_hex(char *out, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[64];
    if (getrandom(bytes, size, 0) != (ssize_t)size)
        abort();
    for (size_t i = 0; i < size; i++)
        out[i] = digits[bytes[i] & 15];
    out[size] = '\0';
}

static int make_socket(struct tally_session *session, char name[TALLY_NAME_SIZE + 1])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    random_hex(name, TALLY_NAME_SIZE);
    int size = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s%s",
                        TALLY_SOCKET_PREFIX, name);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
    session->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (session->listener < 0 ||
        bind(session->listener, (const struct sockaddr *)&address, length) < 0 ||
        listen(session->listener, SOMAXCONN) < 0)
        return tally_error("cannot listen for the program's processes: %s.", strerror(errno));
    return 0;
}

static int wake_on(struct tally_session *session, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(session->events, EPOLL_CTL_ADD, fd, &event);
}

static int make_events(struct tally_session *session, double watch_share)
{
    if (watch_share > 0)
        session->watch =
            tally_watch_new(session->folder.descriptor, watch_share, &session->control->bytes_left);
    session->events = epoll_create1(EPOLL_CLOEXEC);
    if (session->events < 0 || wake_on(session, session->listener) < 0 ||
        (session->watch && wake_on(session, tally_watch_descriptor(session->watch)) < 0))
        return tally_error("cannot wait for the program's processes: %s.", strerror(errno));
    return 0;
}

static int find_agent(char path[PATH_MAX])
{
    static const char *const places[] = {"../lib/tallystack/tallystack-agent.so",
                                         TALLYSTACK_AGENT_FROM_BIN};
    char own[PATH_MAX], candidate[PATH_MAX + 256];
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (size < 0)
        return tally_error("cannot find the agent: /proc is not mounted.");
    own[size] = '\0';
    *strrchr(own, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(candidate, sizeof(candidate), "%s/%s", own, places[i]);
        if (realpath(candidate, path))
            return strpbrk(path, " :") ? tally_error("the agent's path \"%s\" has a space or a "
                                                     "colon, which LD_PRELOAD cannot hold; install "
                                                     "tallystack elsewhere.",
                                                     path)
                                       : 0;
    }
    return tally_error("the agent (tallystack-agent.so) is not installed beside %s.", own);
}

static char *join(const char *name, const char *value, const char *more)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "%s=%s%s%s", name, value, more && *more ? ":" : "",
                        more ? more : "");
    return text.data;
}

static int make_environment(struct tally_session *session, const char *name)
{
    char agent[PATH_MAX], value[TALLY_NAME_SIZE + TALLY_TOKEN_SIZE + 2];
    if (find_agent(agent) < 0)
        return TALLY_ERROR;
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    session->environment = tally_alloc_zeroed(count + 3, sizeof(*session->environment));
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0 &&
            strncmp(environ[i], TALLY_SESSION_VARIABLE "=", sizeof(TALLY_SESSION_VARIABLE)) != 0)
            session->environment[used++] = tally_strdup(environ[i]);
    snprintf(value, sizeof(value), "%s:%s", name, session->token);
    session->environment[used++] = join("LD_PRELOAD", agent, getenv("LD_PRELOAD"));
    session->environment[used++] = join(TALLY_SESSION_VARIABLE, value, NULL);
    return 0;
}

int tally_session_prepare(struct tally_session **out, const struct tally_session_options *options,
                          const struct tally_event_list *events)
{
    struct tally_session *session = tally_alloc_zeroed(1, sizeof(*session));
    char name[TALLY_NAME_SIZE + 1];
    session->control_fd = session->listener = session->events = -1;
    random_hex(session->token, TALLY_TOKEN_SIZE);
    int result = tally_folder_make(&session->folder, options->path);
    if (result == 0 && options->is_simulated)
        result = tally_handout_new(&session->handout, session->folder.descriptor);
    if (result == 0 && !options->is_simulated)
        result = make_control(session, options, events);
    if (result == 0 && !options->is_simulated)
        result = make_socket(session, name);
    if (result == 0 && !options->is_simulated)
        result = make_events(session, options->watch_share);
    if (result == 0 && !options->is_simulated)
        result = make_environment(session, name);
    if (result < 0) {
        tally_session_release(session);
        return result;
    }
    *out = session;
    return 0;
}

char *const *tally_session_environment(struct tally_session *session)
{
    return session->environment;
}

void tally_session_hold(struct tally_session *session, pid_t root, tally_count_now *count_now,
                        void *counting)
{
    session->root = root;
    session->count_now = count_now;
    session->counting = counting;
}

int tally_session_commit(struct tally_session *session)
{
    return tally_folder_commit(&session->folder);
}

void tally_session_discard(struct tally_session *session)
{
    tally_folder_discard(&session->folder);
}

int tally_session_descriptor(const struct tally_session *session)
{
    return session->handout ? tally_handout_descriptor(session->handout) : session->events;
}

const struct tally_handout *tally_session_handout(const struct tally_session *session)
{
    return session->handout;
}

/* Requests */

static int make_image(struct tally_session *session, pid_t pid, struct tally_welcome *welcome)
{
    char name[32];
    uint32_t number = (uint32_t)session->image_count + 1;
    snprintf(name, sizeof(name), "%06" PRIu32 ".image", number);
    int fd = openat(session->folder.descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int error = posix_fallocate(fd, 0, TALLY_HEADER_SIZE);
    void *header = MAP_FAILED;
    if (!error) {
        header = mmap(NULL, TALLY_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = header == MAP_FAILED ? errno : 0;
    }
    if (error) {
        close(fd);
        unlinkat(session->folder.descriptor, name, 0);
        session->control->stopped = (uint32_t)error;
        return -error;
    }
    struct tally_image_header *image = header;
    memcpy(image->magic, TALLY_IMAGE_MAGIC, sizeof(image->magic));
    image->pid = (uint32_t)pid;
    image->counter_count = session->control->counter_count;
    image->is_clock = session->control->is_clock;
    image->is_root = pid == session->root;
    if (image->is_root && !session->has_root_image && session->count_now)
        session->count_now(session->counting, image->counted);
    session->has_root_image |= image->is_root != 0;
    session->images =
        tally_realloc(session->images, session->image_count + 1, sizeof(*session->images));
    session->images[session->image_count++] = (struct image){image, pid};
    if (session->watch)
        tally_watch_add(session->watch, number, pid, image);
    welcome->image = number;
    return fd;
}

static void reply(int peer, const struct tally_welcome *welcome, const int *fds, int count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } ancillary = {0};
    struct tally_welcome copy = *welcome;
    struct iovec bytes = {&copy, sizeof(copy)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (count) {
        size_t size = (size_t)count * sizeof(int);
        message.msg_control = ancillary.room;
        message.msg_controllen = CMSG_SPACE(size);
        ancillary.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&ancillary.header), fds, size);
    }
    sendmsg(peer, &message, MSG_NOSIGNAL);
}

/* A process that gave up its rights may not open its threads' counters; we still may. */
static int open_counter_for(struct tally_session *session, const struct tally_hello *hello,
                            pid_t pid, int group)
{
    if (hello->index >= session->control->counter_count)
        return -EINVAL;
    const struct tally_counter *counter = &session->control->counters[hello->index];
    struct perf_event_attr attr;
    tally_counter_attr(counter, hello->index, counter->period, &attr);
    /* The thread's number is the asker's own; in another PID namespace it names a stranger. */
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%" PRIu32, (int)pid, hello->tid);
    if (access(path, F_OK) < 0)
        return -ESRCH;
    int fd = (int)syscall(SYS_perf_event_open, &attr, (pid_t)hello->tid, -1,
                          hello->group ? group : -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int receive(int peer, struct tally_hello *hello, int *passed)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec bytes = {hello, sizeof(*hello)};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.room,
                             .msg_controllen = sizeof(ancillary.room)};
    *passed = -1;
    if (recvmsg(peer, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*hello))
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(passed, CMSG_DATA(header), sizeof(*passed));
    return 0;
}

static void answer(struct tally_session *session, int peer, pid_t pid,
                   const struct tally_hello *hello, int passed)
{
    struct tally_welcome welcome = {.pid = (uint32_t)pid, .is_root = pid == session->root};
    int fds[2] = {session->control_fd, -1}, count = 0;
    int *own = &fds[1];
    if (hello->kind == TALLY_HELLO_FOREIGN) {
        session->hellos++;
        session->has_foreign |= !welcome.is_root;
    } else if (hello->kind == TALLY_HELLO_IMAGE) {
        session->hellos++;
        fds[1] = make_image(session, pid, &welcome);
        count = 2;
    } else if (hello->kind == TALLY_HELLO_COUNTER) {
        own = &fds[0];
        fds[0] = open_counter_for(session, hello, pid, passed);
        count = 1;
    }
    if (count && *own < 0) {
        welcome.status = -*own;
        count = 0;
    }
    reply(peer, &welcome, fds, count);
    if (count)
        close(*own);
}

static void serve_one(struct tally_session *session, int peer)
{
    struct ucred peer_is = {0};
    socklen_t size = sizeof(peer_is);
    struct timeval patience = {.tv_sec = 1};
    struct tally_hello hello;
    int passed = -1;
    setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &peer_is, &size) == 0 &&
        receive(peer, &hello, &passed) == 0 &&
        memcmp(hello.token, session->token, TALLY_TOKEN_SIZE) == 0)
        answer(session, peer, peer_is.pid, &hello, passed);
    if (passed >= 0)
        close(passed);
    close(peer);
}

void tally_session_serve(struct tally_session *session)
{
    int peer;
    if (session->handout) {
        tally_handout_serve(session->handout);
        return;
    }
    while ((peer = accept4(session->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        serve_one(session, peer);
    if (session->watch)
        tally_watch_look(session->watch);
}

int tally_session_series(struct tally_session *session, double time_s, const char *event,
                         const char *unit, const char *source, const uint64_t *value)
{
    if (!session->series) {
        int fd =
            openat(session->folder.descriptor, "series.csv", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        session->series = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (!session->series)
            return tally_error("cannot write the interval series: %s.", strerror(errno));
        fputs("time_s,event,unit,source,value\n", session->series);
    }
    fprintf(session->series, "%.6f,%s,%s,%s,", time_s, event, unit, source);
    if (value)
        fprintf(session->series, "%" PRIu64, *value);
    fputc('\n', session->series);
    if (fflush(session->series) != 0)
        return tally_error("cannot write the interval series: %s.", strerror(errno));
    return 0;
}

const char *tally_session_refusal(const struct tally_session *session)
{
    if (!session->control->refused)
        return NULL;
    for (size_t i = 0; i < session->image_count; i++)
        if (session->images[i].header->is_root && session->images[i].header->refusal[0])
            return session->images[i].header->refusal;
    return "this interpreter is not supported";
}

/* The last image of a process that has not said its end. */
static bool is_open(const struct tally_session *session, size_t index)
{
    const struct image *image = &session->images[index];
    uint32_t state = image->header->state;
    if (state != TALLY_IMAGE_OPENED && state != TALLY_IMAGE_SAMPLING)
        return false;
    for (size_t i = index + 1; i < session->image_count; i++)
        if (session->images[i].pid == image->pid)
            return false;
    return true;
}

static bool ends_within(pid_t pid, int patience_ms)
{
    struct pollfd process = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (process.fd < 0)
        return true;
    bool has_ended = poll(&process, 1, patience_ms) != 0;
    close(process.fd);
    return has_ended;
}

/*
 * Processes that outlive the run stop writing; a handler that has begun gets the time to end, and
 * so does what ends with the program, like multiprocessing's helpers. Returns how many go on.
 */
static uint32_t close_images(struct tally_session *session)
{
    enum { PATIENCE_MS = 50 };
    int patience_ms = PATIENCE_MS;
    uint32_t outliving = 0;
    session->control->closed = 1;
    for (size_t i = 0; i < session->image_count; i++)
        if (is_open(session, i) && !ends_within(session->images[i].pid, patience_ms)) {
            outliving++;
            patience_ms = 0;
        }
    return outliving;
}

struct tally_session_news tally_session_news(struct tally_session *session)
{
    uint32_t outliving = close_images(session);
    /* The root's own exec happened before there was an agent. */
    bool silent_exec = session->control->execs + 1 > session->hellos;
    return (struct tally_session_news){
        .has_foreign = session->has_foreign || silent_exec,
        .stopped = session->control->stopped,
        .outliving = outliving,
        .images = (uint32_t)session->image_count,
        .watch_ns = session->watch ? tally_watch_cost(session->watch) : 0,
        .watch_gap = session->watch ? tally_watch_gap(session->watch) : NULL,
        .tasks_gap = session->watch ? tally_watch_tasks_gap(session->watch) : NULL,
    };
}

int tally_session_describe(struct tally_session *session, const json_t *description)
{
    int fd = openat(session->folder.descriptor, "session.json.new",
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w"); /* jansson itself writes token by token */
    if (!file)
        return tally_error("cannot write to the recording: %s.", strerror(errno));
    int failed = json_dumpf(description, file, JSON_INDENT(1) | JSON_SORT_KEYS) < 0;
    failed |= fflush(file) == EOF;
    int error = errno;
    failed |= fclose(file) == EOF;
    if (!failed)
        failed = renameat(session->folder.descriptor, "session.json.new",
                          session->folder.descriptor, "session.json") < 0;
    if (!failed)
        return 0;
    unlinkat(session->folder.descriptor, "session.json.new", 0);
    return tally_error("cannot write to the recording: %s.", strerror(error ? error : ENOSPC));
}

int tally_session_end(struct tally_session *session)
{
    if (session->control)
        session->control->closed = 1;
    tally_watch_free(session->watch);
    session->watch = NULL;
    tally_folder_use_reserve(&session->folder);
    FILE *series = session->series;
    session->series = NULL;
    if (series && fclose(series) != 0)
        return tally_error("cannot write the interval series: %s.", strerror(errno));
    return 0;
}

int tally_session_directory(const struct tally_session *session)
{
    return session->folder.descriptor;
}

int tally_session_seal(struct tally_session *session)
{
    return tally_seal_write(session->folder.descriptor);
}

void tally_session_release(struct tally_session *session)
{
    if (!session)
        return;
    tally_watch_free(session->watch);
    tally_handout_free(session->handout);
    for (size_t i = 0; i < session->image_count; i++)
        munmap(session->images[i].header, TALLY_HEADER_SIZE);
    free(session->images);
    if (session->series)
        fclose(session->series);
    if (session->control)
        munmap(session->control, TALLY_CONTROL_SIZE);
    int fds[] = {session->control_fd, session->listener, session->events};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (char **entry = session->environment; entry && *entry; entry++)
        free(*entry);
    free(session->environment);
    tally_folder_release(&session->folder);
    free(session);
}
