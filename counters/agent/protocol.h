/*
 * What the recorder (tallystack record) and the agents in the workload's processes say to each
 * other.
 *
 * The recorder listens on an abstract Unix socket (SOCK_SEQPACKET), whose name and a secret token
 * are in the environment variable TALLYSTACK_SESSION, "NAME:TOKEN" with both in hexadecimal. An
 * agent connects, sends one request and waits for the reply. The reply to TALLY_HELLO_IMAGE carries
 * two descriptors: the control page, then the image file. The abstract namespace needs no file
 * system, so agents in other roots and of other users reach it; the token keeps strangers out.
 */
#ifndef TALLY_AGENT_PROTOCOL_H
#define TALLY_AGENT_PROTOCOL_H

#include "recording/format.h"

#include <stdint.h>

#define TALLY_SESSION_VARIABLE "TALLYSTACK_SESSION"
#define TALLY_SOCKET_PREFIX    "tallystack-"

enum { TALLY_TOKEN_SIZE = 32, TALLY_NAME_SIZE = 16, TALLY_CONTROL_SIZE = 8192 };

enum tally_hello_kind {
    TALLY_HELLO_IMAGE = 1,   /* wants an image file */
    TALLY_HELLO_FOREIGN = 2, /* a program without Python started; it is sampled if it is the root */
    TALLY_HELLO_COUNTER = 3, /* may not open counter `index` itself; reply carries the descriptor */
};

struct tally_hello {
    char token[TALLY_TOKEN_SIZE];
    uint32_t kind;
    uint32_t index; /* TALLY_HELLO_COUNTER */
    uint32_t tid;   /* TALLY_HELLO_COUNTER: thread, as its own PID namespace numbers it */
    int32_t group;  /* TALLY_HELLO_COUNTER: 1 when a group leader's descriptor comes along */
};

struct tally_welcome {
    int32_t status; /* 0, or an errno */
    uint32_t pid;   /* of the asking process, as the recorder sees it */
    uint32_t is_root;
    uint32_t image; /* number of the image file */
};

/* How the weight of a sample is found. */
enum tally_weight {
    TALLY_WEIGHT_DELTA,  /* what was counted since the last one */
    TALLY_WEIGHT_PERIOD, /* `period`: clocks of user or kernel time, whose counts are of both */
    TALLY_WEIGHT_NONE,   /* read-only */
};

/* One kernel counter that every thread opens. */
struct tally_counter {
    uint32_t type;
    uint32_t weight; /* enum tally_weight */
    uint64_t config, config1, config2;
    uint64_t period;    /* or */
    uint64_t frequency; /* samples per second; one of the two is 0, both when read-only */
    uint8_t exclude_user, exclude_kernel, exclude_hv, precise;
    uint32_t clock_kind; /* enum tally_clock_kind */
    uint32_t leader;     /* index of the counter that leads its group; its own where it leads */
};

/* How the same thing is had without perf_event_open, and from the kernel's accounts. */
enum tally_clock_kind {
    TALLY_CLOCK_NONE,
    TALLY_CLOCK_CPU,
    TALLY_CLOCK_FAULTS,
    TALLY_CLOCK_MINOR_FAULTS,
    TALLY_CLOCK_MAJOR_FAULTS,
    TALLY_CLOCK_SWITCHES,
};

/*
 * The control page, a mapping that the recorder and all agents share. The first part is written
 * before the program starts; the second is updated by everyone, atomically.
 */
struct tally_control {
    uint32_t counter_count;
    uint32_t is_clock;  /* no perf events: CPU timers and accounts */
    uint32_t is_native; /* do not look for an interpreter */
    uint32_t reserved;
    struct tally_counter counters[TALLY_MAX_COUNTERS];

    uint64_t bytes_left; /* chunks are paid for from this (--max-size); UINT64_MAX: no bound */
    uint64_t execs;      /* that succeeded, by processes with an agent */
    uint32_t refused;    /* the program asked for is no supported interpreter; see its image */
    uint32_t closed;     /* the run is over: nothing is written any more */
    uint32_t reserved2;
    uint32_t stopped; /* reason why writing ended early: 1 bound reached, else an errno */
};

_Static_assert(sizeof(struct tally_control) <= TALLY_CONTROL_SIZE, "the control page is too small");

#endif
