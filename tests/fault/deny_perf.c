/*
 * deny_perf EACCES|EPERM|ENOSYS PROGRAM [ARGUMENT...]: runs a program to which the kernel refuses
 * perf_event_open with that error, as containers do.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int deny(unsigned int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned int error;
    } errors[] = {{"EACCES", EACCES}, {"EPERM", EPERM}, {"ENOSYS", ENOSYS}};
    unsigned int error = 0;
    for (size_t i = 0; argc > 2 && i < sizeof(errors) / sizeof(errors[0]); i++)
        if (!strcmp(argv[1], errors[i].name))
            error = errors[i].error;
    if (!error) {
        fputs("usage: deny_perf EACCES|EPERM|ENOSYS PROGRAM [ARGUMENT...]\n", stderr);
        return 125;
    }
    if (deny(error) < 0) {
        perror("deny_perf");
        return 125;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
