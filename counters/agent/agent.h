/*
 * The agent: a library preloaded into the workload's processes.
 *
 * It opens the recorder's counters for every thread, and on each overflow (a synchronous SIGTRAP to
 * the thread itself) appends one sample to a shared mapping of the recording. In the handler
 * nothing is allocated from the heap, locked or formatted. All of the agent's memory lies in a few
 * blocks, the arena, so that page faults of its own are known by their address.
 *
 *   agent.c      attaching: constructor, fork, exit; the connection to the recorder
 *   link.c       finding an interpreter among the loaded objects
 *   arena.c      memory
 *   stream.c     chunks and records of a slot
 *   life.c       a thread's accounts at its begin and end
 *   counters.c   kernel counters and timers of a thread
 *   paths.c      code objects and call paths: from frames to node numbers
 *   sample.c     the overflow handler
 *   interpose.c  libc functions that must not lose or break the agent
 */
#ifndef TALLY_AGENT_H
#define TALLY_AGENT_H

#include "agent/protocol.h"
#include "python/walk.h"
#include "recording/format.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* link.c */

struct interpreter {
    uint32_t version; /* PY_VERSION_HEX */
    const struct py_layout *layout;
    uint64_t code_type; /* &PyCode_Type */
    uint64_t runtime;   /* &_PyRuntime */
    uint64_t runtime_size;
    void *(*thread_state)(void);
    int (*is_initialized)(void);
    char reason[PY_REASON_SIZE]; /* why it is not supported; layout is NULL then */
};

/*
 * Looks for an interpreter among the objects the dynamic linker has loaded, without calling it:
 * safe in a signal handler. Returns whether there is one, supported or not.
 */
bool link_find_interpreter(struct interpreter *out);

/* Where a symbol that any object defines is; 0 if none does. */
uint64_t link_find_symbol(const char *name);

/* The range of the loaded object that has `address`; empty if there is none. */
void link_range_of(uint64_t address, uint64_t *start, uint64_t *end);

/* Tells the recorder, which reads the program's memory, where the interpreter is. */
void link_publish(const struct interpreter *python, struct tally_image_header *image);

/* The range of addresses this library is loaded at. */
void link_own_range(uint64_t *start, uint64_t *end);

struct loaded_object {
    uint64_t start, end, bias;
    const char *path; /* borrowed from the dynamic linker */
};

/* The loaded object that has `address`; false if none has, or the list is just changing. */
bool link_find_object(uint64_t address, struct loaded_object *out);

/* arena.c: page-aligned, zeroed, never freed; NULL when 2 GB are used up, or there is no memory. */
bool arena_init(void);
void arena_reset(void); /* forgets everything; in the child of a fork */
void *arena_alloc(size_t size);
bool arena_owns(uint64_t address);

/* stream.c */

struct node_entry { /* all zero: free */
    uint32_t parent, code, instruction, id;
};

struct path_step {
    uint32_t code, instruction, node;
};

enum { SLOT_OBJECTS = 128 };

struct slot {
    _Atomic(struct slot *) next_free;
    struct slot *next; /* of all slots */
    uint32_t number;
    volatile sig_atomic_t busy; /* the handler is running */

    struct tally_chunk *chunk; /* the window onto the current chunk; NULL before the first */
    char *window;
    uint32_t sequence;
    bool full; /* no further chunk could be had */

    struct node_entry *nodes;
    uint32_t node_room, node_count;
    struct py_frame *frames; /* of the current sample, innermost first */
    struct path_step *last;  /* path of the last sample, outermost first */
    uint32_t frame_room, last_depth;

    uint32_t tid;                    /* 0: no thread has the slot */
    uint32_t life;                   /* how many threads have had it */
    int fds[TALLY_MAX_COUNTERS];     /* -1: none; leaders of groups have one */
    void *pages[TALLY_MAX_COUNTERS]; /* keeps a counter alive whose descriptor was closed */
    bool has_timer;
    timer_t timer;
    uint64_t period;       /* of the first counter, about which it varies; 0: the kernel sets it */
    uint64_t random;       /* state of the generator that varies it */
    uint32_t since_varied; /* samples */
    uint64_t read[TALLY_MAX_COUNTERS];  /* how much of the count samples have taken */
    uint64_t carry[TALLY_MAX_COUNTERS]; /* counted by earlier threads of the slot, not sampled */
    volatile uint64_t nested[TALLY_MAX_COUNTERS]; /* overflows while the handler was running */
    uint64_t handler_ns; /* CPU time, of a part of the calls and extrapolated */
    uint64_t handler_calls;
    struct pace {
        uint64_t tick_ns, overflows; /* which tick of the kernel, and how many in it */
    } pace[TALLY_MAX_COUNTERS];
    uint64_t stack_top;
    uint32_t object_count;
    struct { /* objects described in this slot's stream; the last one hit is first */
        uint64_t start, end;
    } objects[SLOT_OBJECTS];
};

/* Takes the slot for the calling thread; NULL when there is no room for one. */
struct slot *slot_acquire(void);
void slot_release(struct slot *slot);
struct slot *slot_first(void);
void slots_reset(void);

/* Room for one record of `size` bytes (a multiple of 8), or NULL; commit makes it visible. */
void *stream_reserve(struct slot *slot, uint32_t size);
void stream_commit(struct slot *slot, uint32_t size);
uint32_t stream_room(const struct slot *slot); /* in the current chunk */
void stream_thread(struct slot *slot);
/* Describes the object that `pc` lies in, the first time. */
void stream_object_of(struct slot *slot, uint64_t pc);
/* Counts of the thread of slot `of`, which may be another's: nothing of it is written to. */
void stream_counts(struct slot *slot, const struct slot *of, const uint64_t *counts);

/* life.c */

/* Writes to `slot`, the calling thread's, the accounts of the thread of slot `of`. */
void life_write(struct slot *slot, const struct slot *of, bool is_end);

/* counters.c */

bool counters_start(struct slot *slot);
void counters_stop(struct slot *slot);
/* Counts of the slot's thread up to now; false when they cannot be read. */
bool counters_read(struct slot *slot, uint64_t *counts);
/* The kernel's accounts of this process, or of this thread, for the counters that have one. */
void counters_accounts(uint64_t *counts);
void counters_thread_accounts(uint64_t *counts);
/*
 * Stops counting for an exec, and goes on after one that failed: an overflow that is due when the
 * new program starts would kill it, since it has no handler.
 */
void counters_pause(struct slot *slot);
void counters_resume(struct slot *slot);
/* The period of the first counter from here on, which is not 0, on the average. */
void counters_set_period(struct slot *slot, uint64_t period);
/* Another one about the same average. */
void counters_vary_period(struct slot *slot);

/* paths.c */

/* Node of the thread's current Python call path; `sp` is the interrupted stack pointer. */
uint32_t path_node(struct slot *slot, uint64_t sp);
void paths_reset(void);
bool paths_init(void);

/* sample.c */

void sample_install_handler(void);
/* Records overflows that came while the slot was busy, as the agent's own doing. */
void sample_nested(struct slot *slot);
/* The program's own disposition of SIGTRAP, kept while ours is installed. */
int sample_program_action(const struct sigaction *action, struct sigaction *old);

/* interpose.c */

/* libc's own sigaction. */
int interpose_real_sigaction(int signal, const struct sigaction *action, struct sigaction *old);
void interpose_init(void);

/* agent.c */

struct agent {
    bool active;
    bool native; /* do not look for an interpreter */
    pid_t pid;
    struct tally_control *control;
    struct tally_image_header *image;
    int image_fd;
    struct interpreter python; /* python.layout NULL: none (yet) */
    atomic_bool look_again;    /* something was loaded since the last look */
    char library[512];         /* our own path */
    char preload[640];         /* "LD_PRELOAD=..." */
    char session[128];         /* "TALLYSTACK_SESSION=..." */
};

extern struct agent agent;
extern _Thread_local struct slot *agent_slot __attribute__((tls_model("initial-exec")));

void agent_thread_start(void);
void agent_thread_end(void);
void agent_process_end(void); /* final counts of all threads */
void agent_activate_late(void);
/* Asks the recorder to open a counter for this thread; -1 when it cannot either. */
int agent_ask_counter(uint32_t index, int leader);
int agent_move_high(int fd); /* out of the way of the program's descriptors */

/* Not once the recorder has summed up: what it sealed must stay as it is. */
static inline bool agent_may_write(void)
{
    return agent.control && !*(volatile uint32_t *)&agent.control->closed;
}

/* Of several threads' values the most, in the image's header. */
static inline void agent_raise(uint32_t *most, uint64_t value)
{
    _Atomic uint32_t *shared = (_Atomic uint32_t *)most;
    uint32_t now = atomic_load_explicit(shared, memory_order_relaxed);
    uint32_t wanted = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    while (now < wanted && agent_may_write() && !atomic_compare_exchange_weak(shared, &now, wanted))
        ;
}

static inline uint64_t agent_clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t agent_now(void)
{
    return agent_clock_ns(CLOCK_MONOTONIC);
}

#endif
