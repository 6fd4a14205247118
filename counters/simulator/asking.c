/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/asking.h"

#include "simulator/channel.h"
#include "simulator/core.h"

/* Of the core. Its sink of messages begins with the descriptor. */
Int VG_(safe_fd)(Int fd);
Int VG_(fcntl)(Int fd, Int command, Addr argument);
SysRes VG_(do_syscall)(UWord number, UWord, UWord, UWord, UWord, UWord, UWord, UWord, UWord);
extern XArray *VG_(args_for_valgrind);
extern struct {
    Int fd;
} VG_(log_output_sink);

static Int recorder = -1, words = -1;

bool asking_option(const char *value)
{
    HChar *end;
    recorder = (Int)VG_(strtoll10)(value, &end);
    words = *end ? (Int)VG_(strtoll10)(end + 1, &end) : -1;
    return *end == '\0' && recorder >= 0 && words >= 0;
}

/* The core keeps the number, too, under which it opened its log: the program would find it taken.
 * Whoever shares its file shares the file's flags. */
static void close_opened_log(Int log)
{
    enum { MOST = 4096 };
    Int flags = VG_(fcntl)(log, VKI_F_GETFL, 0), marked = flags ^ VKI_O_NONBLOCK;
    for (Int fd = 3; flags >= 0 && fd < MOST && fd != log; fd++) {
        if (VG_(fcntl)(fd, VKI_F_GETFL, 0) != flags)
            continue;
        VG_(fcntl)(log, VKI_F_SETFL, (Addr)marked);
        bool is_shared = VG_(fcntl)(fd, VKI_F_GETFL, 0) == marked;
        VG_(fcntl)(log, VKI_F_SETFL, (Addr)flags);
        if (is_shared)
            VG_(close)(fd);
    }
}

void asking_begin(void)
{
    close_opened_log(VG_(log_output_sink).fd);
    recorder = VG_(safe_fd)(recorder);
    words = VG_(safe_fd)(words);
    VG_(log_output_sink).fd = words;
}

void asking_inherit(bool is_inherited)
{
    static HChar option[64];
    Int flags = is_inherited ? 0 : VKI_FD_CLOEXEC;
    VG_(fcntl)(recorder, VKI_F_SETFD, (Addr)flags);
    VG_(fcntl)(words, VKI_F_SETFD, (Addr)flags);
    VG_(snprintf)(option, sizeof(option), TALLY_CHANNEL_OPTION "=%d,%d", recorder, words);
    for (Word i = 0; i < VG_(sizeXA)(VG_(args_for_valgrind)); i++) {
        HChar **argument = VG_(indexXA)(VG_(args_for_valgrind), i);
        if (!VG_(strncmp)(*argument, TALLY_CHANNEL_OPTION "=", sizeof(TALLY_CHANNEL_OPTION)))
            *argument = option;
    }
}

/* Asking */

struct passed {
    struct vki_cmsghdr header;
    int fd;
    int padding;
};
enum { PASSED_SIZE = sizeof(struct vki_cmsghdr) + sizeof(int), SCM_RIGHTS = 1 };

static SysRes message(UWord number, Int fd, struct vki_iovec *bytes, struct passed *passed,
                      UWord flags)
{
    struct vki_msghdr header = {.msg_iov = bytes,
                                .msg_iovlen = 1,
                                .msg_control = passed,
                                .msg_controllen = sizeof(*passed)};
    SysRes result;
    do
        result = VG_(do_syscall)(number, (UWord)fd, (UWord)&header, flags, 0, 0, 0, 0, 0);
    while (sr_isError(result) && sr_Err(result) == VKI_EINTR);
    if (!sr_isError(result) && header.msg_controllen < PASSED_SIZE)
        passed->fd = -1;
    return result;
}

static bool send_request(Int answer_to)
{
    uint32_t request = TALLY_CHANNEL_ASK;
    struct vki_iovec bytes = {&request, sizeof(request)};
    struct passed passed = {
        .header = {.cmsg_len = PASSED_SIZE, .cmsg_level = VKI_SOL_SOCKET, .cmsg_type = SCM_RIGHTS},
        .fd = answer_to};
    return !sr_isError(message(__NR_sendmsg, recorder, &bytes, &passed, VKI_MSG_NOSIGNAL));
}

static Int receive_file(Int from, uint32_t *pid)
{
    enum { CMSG_CLOEXEC = 0x40000000 };
    struct tally_channel_image image;
    struct vki_iovec bytes = {&image, sizeof(image)};
    struct passed passed = {.fd = -1};
    SysRes result = message(__NR_recvmsg, from, &bytes, &passed, CMSG_CLOEXEC);
    if (sr_isError(result) || sr_Res(result) != sizeof(image) || passed.fd < 0)
        return -1;
    *pid = image.pid;
    return passed.fd;
}

Int asking_image(uint32_t *pid)
{
    enum { AF_LOCAL = 1, SOCK_SEQPACKET = 5, CLOEXEC = 02000000 };
    Int pair[2], file = -1;
    SysRes result = VG_(do_syscall)(__NR_socketpair, AF_LOCAL, SOCK_SEQPACKET | CLOEXEC, 0,
                                    (UWord)pair, 0, 0, 0, 0);
    if (sr_isError(result))
        return -1;
    bool is_asked = send_request(pair[1]);
    VG_(close)(pair[1]);
    if (is_asked)
        file = receive_file(pair[0], pid);
    VG_(close)(pair[0]);
    return file < 0 ? -1 : VG_(safe_fd)(file);
}
