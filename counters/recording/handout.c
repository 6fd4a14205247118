#include "recording/handout.h"

#include "base/buffer.h"
#include "base/error.h"
#include "recording/format.h"
#include "simulator/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct tally_handout {
    int directory;           /* borrowed */
    int own, inherited, log; /* two ends of the pair of sockets, and the file */
    uint32_t count;          /* of images */
};

int tally_handout_new(struct tally_handout **out, int directory)
{
    struct tally_handout *handout = tally_alloc_zeroed(1, sizeof(*handout));
    const int yes = 1;
    int pair[2] = {-1, -1};
    int failed = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    *handout = (struct tally_handout){.directory = directory, .own = pair[0], .inherited = pair[1]};
    handout->log = memfd_create("valgrind", MFD_CLOEXEC);
    /* Appended to by many processes, each with its own end of it in mind. */
    if (failed || handout->log < 0 || fcntl(handout->log, F_SETFL, O_APPEND) < 0 ||
        setsockopt(handout->own, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0) {
        tally_error("cannot make what the program's processes ask for files: %s.", strerror(errno));
        tally_handout_free(handout);
        return TALLY_ERROR;
    }
    *out = handout;
    return 0;
}

void tally_handout_free(struct tally_handout *handout)
{
    if (!handout)
        return;
    const int fds[] = {handout->own, handout->inherited, handout->log};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(handout);
}

int tally_handout_socket(const struct tally_handout *handout)
{
    return handout->inherited;
}

int tally_handout_log(const struct tally_handout *handout)
{
    return handout->log;
}

int tally_handout_descriptor(const struct tally_handout *handout)
{
    return handout->own;
}

static int make_file(struct tally_handout *handout)
{
    char name[32];
    snprintf(name, sizeof(name), "%06" PRIu32 ".image", handout->count + 1);
    int fd = openat(handout->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    handout->count += fd >= 0;
    return fd;
}

static void answer(struct tally_handout *handout, int peer, uint32_t pid)
{
    struct tally_channel_image image = {.pid = pid};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } ancillary = {0};
    struct iovec bytes = {&image, sizeof(image)};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.room,
                             .msg_controllen = sizeof(ancillary.room)};
    int fd = make_file(handout);
    if (fd < 0)
        return;
    ancillary.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof(fd));
    sendmsg(peer, &message, MSG_NOSIGNAL);
    close(fd);
}

/* What came along: the asker's socket, or -1, and its PID, or 0. */
static void take_along(struct msghdr *message, int *peer, uint32_t *pid)
{
    struct ucred who;
    *peer = -1;
    *pid = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET)
            continue;
        if (at->cmsg_type == SCM_RIGHTS && at->cmsg_len == CMSG_LEN(sizeof(*peer)))
            memcpy(peer, CMSG_DATA(at), sizeof(*peer));
        if (at->cmsg_type == SCM_CREDENTIALS && at->cmsg_len == CMSG_LEN(sizeof(who))) {
            memcpy(&who, CMSG_DATA(at), sizeof(who));
            *pid = (uint32_t)who.pid;
        }
    }
}

void tally_handout_serve(struct tally_handout *handout)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    } ancillary;
    for (;;) {
        uint32_t request = 0, pid;
        int peer;
        struct iovec bytes = {&request, sizeof(request)};
        struct msghdr message = {.msg_iov = &bytes,
                                 .msg_iovlen = 1,
                                 .msg_control = ancillary.room,
                                 .msg_controllen = sizeof(ancillary.room)};
        ssize_t size = recvmsg(handout->own, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return;
        take_along(&message, &peer, &pid);
        if (size == (ssize_t)sizeof(request) && request == TALLY_CHANNEL_ASK && peer >= 0 && pid)
            answer(handout, peer, pid);
        if (peer >= 0)
            close(peer);
    }
}

char *tally_handout_words(const struct tally_handout *handout)
{
    enum { MOST = 1 << 16 };
    char *text = tally_alloc(MOST);
    ssize_t size = pread(handout->log, text, MOST - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return text;
}
