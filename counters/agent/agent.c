/* Attaching to a process, its threads and its forks; the connection to the recorder. */
#include "agent/agent.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct agent agent = {.image_fd = -1};
_Thread_local struct slot *agent_slot __attribute__((tls_model("initial-exec")));

static struct sockaddr_un address;
static socklen_t address_size;
static char token[TALLY_TOKEN_SIZE];
static pthread_key_t thread_key;
static bool has_thread_key;

enum {
    FD_FLOOR_LEAST = 256, /* interpose.c takes no lower one for ours */
    FD_FLOOR_MOST = 1 << 16,
    PATIENCE_S = 10,
};

/*
 * A copy of `fd` above the program's own limit, so that it has all of its numbers for itself: a
 * descriptor that is open stays so when the limit falls. -1: the hard limit leaves no room there.
 */
static int copy_above_limit(int fd, const struct rlimit *limit)
{
    struct rlimit raised = {.rlim_cur = limit->rlim_max, .rlim_max = limit->rlim_max};
    rlim_t floor = limit->rlim_cur > FD_FLOOR_LEAST ? limit->rlim_cur : FD_FLOOR_LEAST;
    if (floor >= limit->rlim_max || floor > FD_FLOOR_MOST || setrlimit(RLIMIT_NOFILE, &raised) < 0)
        return -1;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, (int)floor);
    setrlimit(RLIMIT_NOFILE, limit);
    return copy;
}

int agent_move_high(int fd)
{
    struct rlimit limit;
    int floor = FD_FLOOR_MOST, high = -1;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        high = copy_above_limit(fd, &limit);
        if (limit.rlim_cur < FD_FLOOR_MOST)
            floor = (int)limit.rlim_cur;
    }
    if (high < 0)
        high = fcntl(fd, F_DUPFD_CLOEXEC, floor / 4 * 3);
    if (high < 0)
        return fd;
    syscall(SYS_close, fd);
    return high;
}

/* "NAME:TOKEN" as protocol.h says. */
static bool parse_session(const char *value)
{
    size_t name = strcspn(value, ":");
    if (name != TALLY_NAME_SIZE || strlen(value) != TALLY_NAME_SIZE + 1 + TALLY_TOKEN_SIZE)
        return false;
    address.sun_family = AF_UNIX;
    size_t prefix = sizeof(TALLY_SOCKET_PREFIX) - 1;
    memcpy(address.sun_path + 1, TALLY_SOCKET_PREFIX, prefix);
    memcpy(address.sun_path + 1 + prefix, value, name);
    address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + prefix + name);
    memcpy(token, value + name + 1, sizeof(token));
    snprintf(agent.session, sizeof(agent.session), TALLY_SESSION_VARIABLE "=%s", value);
    return true;
}

static int connect_recorder(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, address_size) == 0)
        return fd;
    syscall(SYS_close, fd);
    return -1;
}

static bool send_hello(int socket_fd, struct tally_hello *hello, int passed)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } ancillary = {0};
    struct iovec bytes = {hello, sizeof(*hello)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    memcpy(hello->token, token, sizeof(token));
    if (passed >= 0) {
        message.msg_control = ancillary.room;
        message.msg_controllen = sizeof(ancillary.room);
        ancillary.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&ancillary.header), &passed, sizeof(passed));
    }
    return sendmsg(socket_fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*hello);
}

/* Receives the reply and up to `room` descriptors; returns how many, or -1. */
static int receive_welcome(int socket_fd, struct tally_welcome *welcome, int *fds, int room)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } ancillary;
    struct iovec bytes = {welcome, sizeof(*welcome)};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.room,
                             .msg_controllen = sizeof(ancillary.room)};
    ssize_t got;
    do
        got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int count = 0;
    if (header && header->cmsg_type == SCM_RIGHTS) {
        int received = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < received; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + (size_t)i * sizeof(fd), sizeof(fd));
            if (count < room)
                fds[count++] = fd;
            else
                syscall(SYS_close, fd);
        }
    }
    if (got == (ssize_t)sizeof(*welcome) && welcome->status == 0)
        return count;
    for (int i = 0; i < count; i++)
        syscall(SYS_close, fds[i]);
    return -1;
}

/* Returns the number of descriptors received, or -1. */
static int ask(struct tally_hello *hello, int passed, struct tally_welcome *welcome, int *fds,
               int room)
{
    int socket_fd = connect_recorder(), count = -1;
    if (socket_fd < 0)
        return -1;
    if (send_hello(socket_fd, hello, passed))
        count = receive_welcome(socket_fd, welcome, fds, room);
    syscall(SYS_close, socket_fd);
    return count;
}

int agent_ask_counter(uint32_t index, int leader)
{
    struct tally_hello hello = {.kind = TALLY_HELLO_COUNTER,
                                .index = index,
                                .tid = (uint32_t)syscall(SYS_gettid),
                                .group = leader >= 0};
    struct tally_welcome welcome;
    int fd = -1;
    return ask(&hello, leader, &welcome, &fd, 1) == 1 ? fd : -1;
}

/* Tells the recorder of a program without Python; whether it is the one that was asked to be run.
 */
static bool say_foreign(void)
{
    struct tally_hello hello = {.kind = TALLY_HELLO_FOREIGN};
    struct tally_welcome welcome;
    return ask(&hello, -1, &welcome, NULL, 0) == 0 && welcome.is_root;
}

static bool map_session(const int fds[2])
{
    void *control = mmap(NULL, TALLY_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    void *image = mmap(NULL, TALLY_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    syscall(SYS_close, fds[0]);
    if (control == MAP_FAILED || image == MAP_FAILED) {
        syscall(SYS_close, fds[1]);
        return false;
    }
    agent.control = control;
    agent.image = image;
    agent.image_fd = agent_move_high(fds[1]);
    return true;
}

static bool get_image(void)
{
    struct tally_hello hello = {.kind = TALLY_HELLO_IMAGE};
    struct tally_welcome welcome;
    int fds[2];
    if (ask(&hello, -1, &welcome, fds, 2) != 2)
        return false;
    return map_session(fds);
}

static void drop_image(void)
{
    if (agent.image)
        munmap(agent.image, TALLY_HEADER_SIZE);
    if (agent.control)
        munmap(agent.control, TALLY_CONTROL_SIZE);
    if (agent.image_fd >= 0)
        syscall(SYS_close, agent.image_fd);
    agent.image = NULL;
    agent.control = NULL;
    agent.image_fd = -1;
    agent.active = false;
}

/* Names for the reader; read from /proc, which a program in another root may not have. */
static void describe_image(void)
{
    char arguments[sizeof(agent.image->script)] = "";
    prctl(PR_GET_NAME, agent.image->comm);
    ssize_t size =
        readlink("/proc/self/exe", agent.image->program, sizeof(agent.image->program) - 1);
    if (size < 0)
        agent.image->program[0] = '\0';
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    size = read(fd, arguments, sizeof(arguments) - 1);
    syscall(SYS_close, fd);
    for (ssize_t i = 0; i + 1 < size; i++)
        if (arguments[i] == '\0')
            arguments[i] = '\n';
    memcpy(agent.image->script, arguments, sizeof(arguments));
}

/* Python's frames lie below the caller's; the first thread's stack is known to the dynamic linker.
 */
static uint64_t stack_top(void)
{
    extern void *__libc_stack_end;
    if (agent.pid == syscall(SYS_gettid))
        return (uint64_t)(uintptr_t)__libc_stack_end;
    return (uint64_t)(uintptr_t)__builtin_frame_address(0);
}

/* The watcher looks for new threads when this number has changed. */
static void count_threads(void)
{
    atomic_fetch_add((_Atomic uint32_t *)&agent.image->threads, 1);
}

/* For want of descriptors or of memory: what the thread counts in all is lost when it ends. */
static void leave_unsampled(void)
{
    if (agent_may_write())
        atomic_fetch_add((_Atomic uint32_t *)&agent.image->unsampled_threads, 1);
    if (has_thread_key)
        pthread_setspecific(thread_key, &agent);
}

static void lose_thread(void)
{
    uint64_t counts[TALLY_MAX_COUNTERS];
    if (!agent.active || !agent_may_write())
        return;
    bool is_all = true; /* the kernel has accounts of each event */
    counters_thread_accounts(counts);
    for (uint32_t i = 0; i < agent.control->counter_count; i++) {
        atomic_fetch_add((_Atomic uint64_t *)&agent.image->lost[i], counts[i]);
        is_all &= agent.control->counters[i].clock_kind != TALLY_CLOCK_NONE;
    }
    if (is_all)
        atomic_fetch_sub((_Atomic uint32_t *)&agent.image->unsampled_threads, 1);
}

void agent_thread_start(void)
{
    if (!agent.active || agent_slot)
        return;
    struct slot *slot = slot_acquire();
    if (!slot)
        return leave_unsampled();
    slot->tid = (uint32_t)syscall(SYS_gettid);
    slot->life++;
    slot->stack_top = stack_top();
    slot->handler_ns = slot->handler_calls = 0;
    slot->busy = 1; /* what starting costs is ours */
    agent_slot = slot;
    stream_thread(slot);
    life_write(slot, slot, false);
    if (!counters_start(slot)) {
        agent_slot = NULL;
        slot->tid = 0;
        slot->busy = 0;
        slot_release(slot);
        return leave_unsampled();
    }
    if (has_thread_key)
        pthread_setspecific(thread_key, slot);
    count_threads();
    sample_nested(slot);
    slot->busy = 0;
}

/* Final counts, so that what the samples missed is known to be lost. */
static void write_counts(struct slot *to, struct slot *of)
{
    uint64_t counts[TALLY_MAX_COUNTERS];
    if (counters_read(of, counts))
        stream_counts(to, of, counts);
}

static bool has_nested(const struct slot *slot)
{
    for (uint32_t i = 0; i < agent.control->counter_count; i++)
        if (slot->nested[i])
            return true;
    return false;
}

/* An overflow while the counts are read is in them, and not yet a sample. */
static void write_own_counts(struct slot *own)
{
    enum { ATTEMPTS = 8 };
    uint64_t counts[TALLY_MAX_COUNTERS];
    bool is_read;
    int attempts = 0;
    do {
        sample_nested(own);
        is_read = counters_read(own, counts);
    } while (is_read && has_nested(own) && ++attempts < ATTEMPTS);
    if (is_read)
        stream_counts(own, own, counts);
}

/* What a thread counted after its last sample goes to the next sample of its slot. */
static void keep_remainder(struct slot *slot)
{
    uint64_t counts[TALLY_MAX_COUNTERS];
    if (!counters_read(slot, counts))
        return;
    for (uint32_t i = 0; i < agent.control->counter_count; i++) {
        if (agent.control->counters[i].weight != TALLY_WEIGHT_PERIOD && counts[i] > slot->read[i])
            slot->carry[i] += counts[i] - slot->read[i];
    }
}

void agent_thread_end(void)
{
    struct slot *slot = agent_slot;
    if (!slot)
        return;
    slot->busy = 1;
    life_write(slot, slot, true);
    write_own_counts(slot);
    keep_remainder(slot);
    if (agent_may_write()) {
        count_threads();
        atomic_fetch_add((_Atomic uint64_t *)&agent.image->handler_ns, slot->handler_ns);
        atomic_fetch_add((_Atomic uint64_t *)&agent.image->handler_calls, slot->handler_calls);
    }
    counters_stop(slot);
    agent_slot = NULL;
    slot->tid = 0;
    slot->busy = 0;
    slot_release(slot);
}

static void on_thread_exit(void *slot)
{
    if (slot == &agent)
        lose_thread();
    else
        agent_thread_end();
}

void agent_process_end(void)
{
    struct slot *own = agent_slot;
    if (!agent.image || getpid() != agent.pid || !agent_may_write())
        return;
    if (agent.image->state == TALLY_IMAGE_UNSUPPORTED)
        counters_accounts(agent.image->after);
    if (!agent.active || !own)
        return;
    own->busy = 1;
    for (struct slot *slot = slot_first(); slot; slot = slot->next)
        if (slot->tid && slot != own) {
            life_write(own, slot, true);
            write_counts(own, slot);
        }
    life_write(own, own, true);
    write_own_counts(own);
    own->busy = 0;
    agent.image->end_ns = agent_now();
    agent.image->state = TALLY_IMAGE_ENDED;
}

/* Starts sampling in this process: at its start, after a fork, or when it loads an interpreter. */
static void begin(void)
{
    agent.pid = getpid();
    if (!agent.image && !get_image())
        return;
    if (!agent_may_write())
        return drop_image();
    agent.native = agent.control->is_native;
    agent.image->own_pid = (uint32_t)agent.pid;
    if (agent.native)
        agent.python = (struct interpreter){0};
    else
        link_publish(&agent.python, agent.image);
    agent.image->start_ns = agent_now();
    describe_image();
    counters_accounts(agent.image->before);
    if (agent.python.version && !agent.python.layout) {
        memcpy(agent.image->refusal, agent.python.reason, sizeof(agent.image->refusal));
        agent.image->state = TALLY_IMAGE_UNSUPPORTED;
        if (agent.image->is_root) {
            agent.control->refused = 1;
            _exit(125);
        }
        return;
    }
    if (!paths_init())
        return drop_image();
    agent.image->state = TALLY_IMAGE_SAMPLING;
    agent.active = true;
    sample_install_handler();
    agent_thread_start();
}

static void on_fork_child(void)
{
    if (!agent.active)
        return;
    /* Shared with the parent: closed without any ioctl, which would stop the parent's. */
    for (struct slot *slot = slot_first(); slot; slot = slot->next)
        for (int i = 0; i < TALLY_MAX_COUNTERS; i++)
            if (slot->fds[i] >= 0)
                syscall(SYS_close, slot->fds[i]);
    agent_slot = NULL;
    drop_image();
    arena_reset();
    slots_reset();
    paths_reset();
    begin();
}

void agent_activate_late(void)
{
    if (agent.active || agent.image || !address_size)
        return;
    if (arena_init())
        begin();
}

static void find_own_path(void)
{
    Dl_info info;
    if (dladdr((void *)&agent, &info) && info.dli_fname) {
        snprintf(agent.library, sizeof(agent.library), "%s", info.dli_fname);
        snprintf(agent.preload, sizeof(agent.preload), "LD_PRELOAD=%s", info.dli_fname);
    }
}

__attribute__((constructor)) static void on_load(void)
{
    int saved = errno;
    interpose_init();
    const char *session = getenv(TALLY_SESSION_VARIABLE);
    if (session && parse_session(session)) {
        find_own_path();
        has_thread_key = pthread_key_create(&thread_key, on_thread_exit) == 0;
        pthread_atfork(NULL, NULL, on_fork_child);
        if (link_find_interpreter(&agent.python) || say_foreign())
            agent_activate_late();
    }
    errno = saved;
}

__attribute__((destructor)) static void on_unload(void)
{
    agent_process_end();
}
