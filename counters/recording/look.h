/*
 * What a thread of another process is doing, from /proc, without touching it.
 *
 * The system call that it is blocked in, with its arguments, tells what it waits for: reading needs
 * the right to trace the thread, which a parent has of its descendants. Without it the function of
 * the kernel that it sleeps in (wchan) tells less, and without that its state alone.
 */
#ifndef TALLY_RECORDING_LOOK_H
#define TALLY_RECORDING_LOOK_H

#include "python/walk.h"
#include "recording/format.h"

#include <sys/types.h>

/* The kernel's accounts of a thread; all 0 where it keeps none. */
struct tally_times {
    uint64_t cpu_ns, delay_ns;
    uint64_t slices; /* how often it was put on a CPU: unchanged as long as it has not run */
};

struct tally_eye {
    pid_t pid, tid;
    int task;                       /* descriptor of /proc/PID/task; borrowed */
    int schedstat, syscall;         /* descriptors kept open; -1: not open */
    struct py_memory *memory;       /* of the process, for what calls point to; borrowed */
    uint64_t runtime, runtime_size; /* where the interpreter's own state is; 0: no interpreter */
};

void tally_eye_open(struct tally_eye *eye);
void tally_eye_close(struct tally_eye *eye);

/* Returns whether the thread is still there. */
bool tally_look_times(const struct tally_eye *eye, struct tally_times *out);

enum tally_sight {
    TALLY_SIGHT_CALL,   /* the system call is known */
    TALLY_SIGHT_KERNEL, /* only where in the kernel it sleeps */
    TALLY_SIGHT_STATE,  /* only that it waits */
    TALLY_SIGHT_GONE,
};

struct tally_seen {
    enum tally_sight sight;
    enum tally_state state;  /* RUNNING stands for RUNNABLE too, which look alike */
    bool is_poll;            /* in poll, select or epoll, whatever for */
    enum tally_waker waker;  /* POLL: what ends it */
    uint64_t timer_ns;       /* POLL: how long it waits at most, if for `beside` too; else 0 */
    enum tally_state beside; /* POLL: for being woken up by another thread or a signal */
    uint64_t waited_at;      /* GIL: address of what it waits for */
};

/* `most` is the best sight to try. */
void tally_look(struct tally_eye *eye, enum tally_sight most, struct tally_seen *out);

/* The thread's user and system time, in ns from ticks; false if it is gone. */
bool tally_look_usage(const struct tally_eye *eye, uint64_t *user_ns, uint64_t *system_ns);

/* What a thread waits for that sleeps in this function of the kernel. */
enum tally_state tally_state_of_wchan(const char *function);

#endif
