#include "synthetic.h"

#include "agent/agent.h"
#include "base/buffer.h"
#include "base/error.h"
#include "fake_interpreter.h"
#include "recording/run.h"
#include "recording/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { THREADS = 4, RUN_LENGTH = 8, PERIOD = 1000000 };

/* What agent.c defines. */
struct agent agent = {.image_fd = -1};
_Thread_local struct slot *agent_slot __attribute__((tls_model("initial-exec")));

static struct tally_event_list events;

static int resolve(void)
{
    return tally_events_resolve("task-clock,page-faults", 1000, &events);
}

/* The agent's part of the conversation, see protocol.h. */

static int connect_as(const char *value, struct tally_hello *hello)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t prefix = sizeof(TALLY_SOCKET_PREFIX) - 1;
    memcpy(address.sun_path + 1, TALLY_SOCKET_PREFIX, prefix);
    memcpy(address.sun_path + 1 + prefix, value, TALLY_NAME_SIZE);
    memcpy(hello->token, value + TALLY_NAME_SIZE + 1, TALLY_TOKEN_SIZE);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + prefix + TALLY_NAME_SIZE);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) == 0 &&
        send(fd, hello, sizeof(*hello), 0) == (ssize_t)sizeof(*hello))
        return fd;
    if (fd >= 0)
        close(fd);
    return tally_error("cannot talk to the recorder: %s.", strerror(errno));
}

static int receive(int peer, int fds[2])
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } ancillary;
    struct tally_welcome welcome;
    struct iovec bytes = {&welcome, sizeof(welcome)};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.room,
                             .msg_controllen = sizeof(ancillary.room)};
    ssize_t got = recvmsg(peer, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    close(peer);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got != (ssize_t)sizeof(welcome) || welcome.status || !header ||
        header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return tally_error("the recorder gave no image file.");
    memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
    return 0;
}

static int attach(struct tally_session *session)
{
    const char *value = NULL;
    struct tally_hello hello = {.kind = TALLY_HELLO_IMAGE};
    int fds[2] = {-1, -1};
    for (char *const *entry = tally_session_environment(session); *entry; entry++)
        if (!strncmp(*entry, TALLY_SESSION_VARIABLE "=", sizeof(TALLY_SESSION_VARIABLE)))
            value = *entry + sizeof(TALLY_SESSION_VARIABLE);
    if (!value)
        return tally_error("the recording has no name.");
    int peer = connect_as(value, &hello);
    if (peer < 0)
        return peer;
    tally_session_serve(session);
    if (receive(peer, fds) < 0)
        return TALLY_ERROR;
    agent.control = mmap(NULL, TALLY_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    agent.image = mmap(NULL, TALLY_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    agent.image_fd = fds[1];
    agent.pid = getpid();
    agent.active = true;
    close(fds[0]);
    if (agent.control == MAP_FAILED || agent.image == MAP_FAILED || !arena_init() || !paths_init())
        return tally_error("no memory for the agent.");
    fake_interpreter_init();
    agent.image->python = agent.python.version;
    agent.image->state = TALLY_IMAGE_SAMPLING;
    snprintf(agent.image->script, sizeof(agent.image->script), "python3\nprogram.py");
    return 0;
}

/* Writing */

struct thread {
    struct slot *slot;
    uint32_t *nodes; /* of the stacks */
    uint64_t counts[TALLY_MAX_COUNTERS];
};

static int start_thread(struct thread *thread, uint32_t number, uint32_t stacks)
{
    thread->slot = slot_acquire();
    thread->nodes = tally_alloc_zeroed(stacks, sizeof(*thread->nodes));
    if (!thread->slot)
        return tally_error("no slot for a thread.");
    thread->slot->tid = (uint32_t)agent.pid + number;
    thread->slot->life++;
    stream_thread(thread->slot);
    for (uint32_t i = 0; i < stacks; i++) {
        fake_interpreter_call(i);
        thread->nodes[i] = path_node(thread->slot, 0);
        if (thread->nodes[i] < TALLY_NODE_FIRST)
            return tally_error("stack %" PRIu32 " was not read.", i);
    }
    return 0;
}

/* As sample.c writes one. */
static int write_sample(struct thread *thread, uint32_t stack, uint32_t counter, uint32_t weight)
{
    struct tally_sample *record = stream_reserve(thread->slot, sizeof(*record));
    if (!record)
        return tally_error("a sample could not be written.");
    *record = (struct tally_sample){.type = TALLY_RECORD_SAMPLE,
                                    .counter = (uint8_t)counter,
                                    .pc_high = 0x7f00,
                                    .pc_low = 0x400000 + stack * 16,
                                    .node = thread->nodes[stack],
                                    .weight = weight};
    stream_commit(thread->slot, sizeof(*record));
    thread->counts[counter] += weight;
    return 0;
}

/* Threads take turns; each stays on one stack for a few samples; one in eight is a page fault. */
static int write_samples(struct thread *threads, uint64_t samples, uint32_t stacks)
{
    uint64_t seed = 88172645463325252;
    uint32_t stack = 0;
    if (!stacks)
        return tally_error("there must be stacks.");
    for (uint64_t i = 0; i < samples; i++) {
        if (i % RUN_LENGTH == 0) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            stack =
                i / RUN_LENGTH < stacks ? (uint32_t)(i / RUN_LENGTH) : (uint32_t)(seed % stacks);
        }
        bool is_fault = i % RUN_LENGTH == 3;
        if (write_sample(&threads[i / RUN_LENGTH % THREADS], stack, is_fault,
                         is_fault ? 1 : PERIOD) < 0)
            return TALLY_ERROR;
    }
    return 0;
}

static int write_image(uint64_t samples, uint32_t stacks, uint64_t *totals)
{
    struct thread threads[THREADS] = {{0}};
    int result = 0;
    for (uint32_t i = 0; i < THREADS && result == 0; i++)
        result = start_thread(&threads[i], i, stacks);
    if (result == 0)
        result = write_samples(threads, samples, stacks);
    for (uint32_t i = 0; i < THREADS && result == 0; i++) {
        stream_counts(threads[i].slot, threads[i].slot, threads[i].counts);
        for (int k = 0; k < events.count; k++)
            totals[k] += threads[i].counts[k];
    }
    for (uint32_t i = 0; i < THREADS; i++)
        free(threads[i].nodes);
    agent.image->state = TALLY_IMAGE_ENDED;
    return result;
}

static int describe(struct tally_session *session, const uint64_t *totals)
{
    struct tally_run run = {.command = tally_strdup("synthetic"),
                            .directory = tally_strdup("/"),
                            .machine = tally_strdup(""),
                            .started = tally_strdup(""),
                            .version = tally_strdup("")};
    run.event_count = run.counter_count = events.count;
    for (int i = 0; i < events.count; i++)
        run.events[i] = (struct tally_run_event){.event = events.events[i],
                                                 .first_counter = i,
                                                 .has_total = true,
                                                 .total = totals[i],
                                                 .running = 1};
    json_t *json = tally_run_to_json(&run);
    int result = tally_session_describe(session, json);
    json_decref(json);
    tally_run_release(&run);
    return result;
}

int synthetic_recording(const char *path, uint64_t samples, uint32_t stacks)
{
    struct tally_session_options options = {.path = path};
    struct tally_session *session = NULL;
    uint64_t totals[TALLY_MAX_EVENTS] = {0};
    int result = resolve();
    if (result == 0)
        result = tally_session_prepare(&session, &options, &events);
    if (result == 0)
        result = attach(session);
    if (result == 0)
        result = write_image(samples, stacks, totals);
    if (result == 0)
        result = tally_session_end(session);
    if (result == 0)
        result = describe(session, totals);
    if (result == 0)
        result = tally_session_seal(session);
    if (result == 0) {
        tally_session_hold(session, getpid(), NULL, NULL);
        result = tally_session_commit(session);
    }
    tally_session_release(session);
    return result;
}
