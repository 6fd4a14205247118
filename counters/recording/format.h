/*
 * The recording on disk. This header is its specification.
 *
 * A recording is a directory:
 *
 *   session.json   what was run and counted (recording/session.h); rewritten when the run ends
 *   NNNNNN.image   samples of one process image: a fork, or an exec, starts a new one
 *   NNNNNN.waits   what the watcher saw that image's threads do (recording/watch.h)
 *   series.csv     with -I: the totals of each event over time
 *   sources        what the source files were (profile/fingerprint.h)
 *   seal           lengths and checksums of all of the above; the last file to be written
 *
 * An image file is written by the agent inside the process, through a shared mapping, so what was
 * written survives any end of the process. Numbers are in the machine's byte order and naturally
 * aligned. The file is a header block and then chunks, each TALLY_CHUNK_SIZE bytes:
 *
 *   header | chunk 0 | chunk 1 | ...
 *
 * A chunk belongs to a slot. A slot is written by one thread at a time; when a thread ends, another
 * may go on in its slot. The chunks of a slot, ordered by `sequence`, hold one stream of records.
 * `used` is stored after the bytes it covers: a reader sees whole records only. A record never
 * spans chunks, starts at a multiple of 8 and begins with its type.
 *
 * The image of a simulated process is written by the simulator: now and then, where the last one is
 * not, and at its end. A header tells which chunks hold, and is written in one piece after them,
 * with the file locked (flock) against the recorder, which may close it.
 *
 * A .waits file is built alike, with one slot, by the recorder; of its header only the magic, the
 * PID and chunk_count are set. Its node and code numbers are its own.
 *
 * Nodes are call paths: a node is a code object, an instruction in it and a parent node. Node
 * numbers belong to the slot, code numbers to the image. A record may refer to a code number that a
 * chunk of another slot defines, and, in a process that was killed, that none does.
 */
#ifndef TALLY_RECORDING_FORMAT_H
#define TALLY_RECORDING_FORMAT_H

#include <stdint.h>

#define TALLY_IMAGE_MAGIC "TALLYIM1"
#define TALLY_WAITS_MAGIC "TALLYWA1"
#define TALLY_SEAL_MAGIC  "tallystack seal 1"

enum {
    TALLY_HEADER_SIZE = 4096,
    TALLY_CHUNK_SIZE = 65536,
    TALLY_CHUNK_MAGIC = 0x4b4e4843, /* "CHNK" */
    TALLY_MAX_COUNTERS = 32,
    TALLY_SEAL_BLOCK = 65536, /* bytes that one checksum covers */
};

enum tally_image_state {
    TALLY_IMAGE_OPENED = 0,      /* handed out, nothing sampled yet */
    TALLY_IMAGE_SAMPLING = 1,    /* stays so when the process is killed */
    TALLY_IMAGE_ENDED = 2,       /* exited or replaced by exec; final counts are written */
    TALLY_IMAGE_UNSUPPORTED = 3, /* an interpreter that is not supported: not sampled */
};

/* Of simulated images. */
enum tally_image_flag {
    TALLY_IMAGE_WITHIN = 1,  /* the function of --within ran */
    TALLY_IMAGE_FOLDED = 2,  /* there were too many call paths: some are not told apart */
    TALLY_IMAGE_UNKNOWN = 4, /* the simulator did not know an instruction, which raised SIGILL */
    TALLY_IMAGE_LEFT = 8,    /* it ended for a program, executed, that could not be simulated */
    TALLY_IMAGE_CLOSED = 16, /* by the recorder, whose run is over: nothing is written any more */
    TALLY_IMAGE_INTERPRETERS = 32, /* it ran subinterpreters, not told apart */
    TALLY_IMAGE_REWRITTEN = 64,    /* `first_chunk` holds, and `after` while it runs */
};

/* At offset 0 of an image file. Counts are per counter: see session.json for what each one is. */
struct tally_image_header {
    char magic[8];
    uint32_t state;
    uint32_t pid;    /* as the recorder sees it */
    uint32_t parent; /* PID of the parent process */
    uint32_t python; /* PY_VERSION_HEX; 0: no interpreter in this image */
    uint32_t counter_count;
    uint32_t is_clock;    /* 1: sampled by CPU timers since the kernel refused its events */
    uint32_t is_root;     /* 1: the program that was asked to be run, or an exec of it */
    uint32_t flags;       /* of enum tally_image_flag */
    uint64_t start_ns;    /* CLOCK_MONOTONIC */
    uint64_t end_ns;      /* 0: not known */
    uint64_t chunk_count; /* chunks claimed so far; the last ones may not be written */
    uint64_t handler_ns;  /* time in the overflow handler, of threads that ended */
    uint64_t handler_calls;
    uint64_t counted[TALLY_MAX_COUNTERS]; /* of the root's first image: what the recorder had
                                             counted of each event, at its first counter, by now */
    uint64_t before[TALLY_MAX_COUNTERS]; /* what this process had used when sampling began, since it
                                            was forked; from the kernel's accounts */
    uint64_t after[TALLY_MAX_COUNTERS];  /* the same at its end, for UNSUPPORTED images and for
                                            simulated ones, all of whose counts it is */
    uint64_t lost[TALLY_MAX_COUNTERS];   /* counts of samples that could not be written */
    char comm[16];                       /* the kernel's name of the process */
    char program[512];                   /* path of the executable */
    char script[512];                    /* the Python program; may be empty */
    char refusal[128];                   /* why the interpreter is not supported */
    uint64_t progress;              /* of simulated images: instructions so far, now and then */
    uint64_t runtime, runtime_size; /* _PyRuntime, for the watcher; 0: no interpreter */
    uint64_t code_type;             /* &PyCode_Type */
    uint32_t own_pid;               /* PID in the process's own namespace */
    uint32_t threads;               /* how many were started and ended: changes with each */
    /*
     * Of what no sample tells (profile/remainder.c): the most overflows of a counter that came
     * within one tick of the kernel, whether a thread's counters had to wait for some of the
     * processor's to be free, and how many threads had none, of which the kernel's accounts did not
     * tell either.
     */
    uint32_t busiest[TALLY_MAX_COUNTERS];
    uint32_t has_waited;
    uint32_t unsampled_threads;
    uint32_t longest_period_us; /* that the clock was given, where stacks take long to walk; 0: none
                                   longer than asked for */
    uint64_t first_chunk;       /* of simulated images, which are written anew while the process
                                   runs: chunks before it, or from chunk_count on, are old */
};

_Static_assert(sizeof(struct tally_image_header) <= TALLY_HEADER_SIZE, "the header is too large");

struct tally_chunk {
    uint32_t magic;
    uint32_t slot;
    uint32_t sequence; /* within the slot, from 0 */
    uint32_t used;     /* bytes of records behind this struct */
};

enum tally_record_type {
    TALLY_RECORD_SAMPLE = 1,
    TALLY_RECORD_SAMPLE_WIDE = 2,
    TALLY_RECORD_NODE = 3,
    TALLY_RECORD_CODE = 4,
    TALLY_RECORD_LINES = 5,
    TALLY_RECORD_THREAD = 6,
    TALLY_RECORD_COUNTS = 7,
    TALLY_RECORD_OBJECT = 8,
    TALLY_RECORD_LIFE = 9,
    TALLY_RECORD_WAIT = 10,
    TALLY_RECORD_AWAIT = 11,
};

/* Nodes that are no call path. */
enum tally_special_node {
    TALLY_NODE_STARTUP = 0,    /* the interpreter is not initialised, or finalised */
    TALLY_NODE_NATIVE = 1,     /* no Python frame in this thread */
    TALLY_NODE_TALLYSTACK = 2, /* the agent's own doing */
    TALLY_NODE_LOST = 3,       /* the frames could not be read, or a table was full */
    TALLY_NODE_TRUNCATED = 4,  /* parent of the deepest frame that was read of a deeper stack */
    TALLY_NODE_FIRST = 16,     /* the first call path */
};

/*
 * One overflow. `weight` is what it stands for, in the counter's unit. If the counter is the sample
 * clock (the first), it is followed by one uint64_t for each read-only counter, in their order:
 * what the thread counted since its last sample of the clock.
 */
struct tally_sample {
    uint8_t type; /* TALLY_RECORD_SAMPLE */
    uint8_t counter;
    uint16_t pc_high; /* program counter, bits 32..47 */
    uint32_t pc_low;
    uint32_t node;
    uint32_t weight;
};

/* A sample whose weight does not fit. */
struct tally_sample_wide {
    struct tally_sample sample; /* type TALLY_RECORD_SAMPLE_WIDE; its weight is 0 */
    uint64_t weight;
};

struct tally_node {
    uint8_t type;
    uint8_t reserved[3];
    uint32_t id;
    uint32_t parent;
    uint32_t code;
    uint32_t instruction; /* in code units of 2 bytes from the start; UINT32_MAX: none */
    uint32_t reserved2;
};

/* A code object, followed by its qualified name and its file name, UTF-8, padded to 8 bytes. */
struct tally_code {
    uint8_t type;
    uint8_t reserved;
    uint16_t qualname_size;
    uint32_t id;
    uint32_t first_line;
    uint32_t filename_size;
    uint32_t lines_size; /* bytes of its line table, which follows in TALLY_RECORD_LINES */
    uint32_t reserved2;
};

/* A part of a code object's PEP 626 line table; the bytes follow, padded to 8. */
struct tally_lines {
    uint8_t type;
    uint8_t reserved[3];
    uint32_t code;
    uint32_t offset; /* of the first byte in the table */
    uint32_t size;
};

/* The samples that follow in this slot belong to this thread. */
struct tally_thread {
    uint8_t type;
    uint8_t reserved[3];
    uint32_t tid;
    char name[16];
};

/*
 * What a thread, of this slot or another, counted up to now, followed by one uint64_t for each
 * counter. Written when it ends, and before an exec that may fail: of several with the same slot
 * and life the last one holds.
 */
struct tally_counts {
    uint8_t type;
    uint8_t counter_count;
    uint8_t reserved[2];
    uint32_t tid;
    uint32_t slot;
    uint32_t life; /* which thread of that slot, from 1 */
    char name[16];
    uint64_t handler_ns;
    uint64_t handler_calls;
};

/* A loaded program or library that samples fell into; its path follows, padded to 8 bytes. */
struct tally_object {
    uint8_t type;
    uint8_t reserved[3];
    uint32_t path_size;
    uint64_t start, end; /* addresses it covers */
    uint64_t bias;       /* what to subtract for addresses as in its file */
};

/*
 * A thread's accounts, as the kernel keeps them, when the agent first saw the thread and when it
 * last did: the difference is the thread's. With the same slot and life the last end holds. The
 * watcher writes them too, of what it saw itself; slot is then UINT32_MAX.
 */
struct tally_life {
    uint8_t type;
    uint8_t is_end;
    uint8_t reserved[2];
    uint32_t tid;
    uint32_t slot;
    uint32_t life;
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t cpu_ns;
    uint64_t user_ns, system_ns; /* cpu_ns divides in their proportion; coarser than it */
    uint64_t delay_ns;           /* runnable, but not running; UINT64_MAX: not told */
};

/* What a thread is doing. Waiting is divided by what for. */
enum tally_state {
    TALLY_STATE_RUNNING = 0,
    TALLY_STATE_RUNNABLE = 1,
    TALLY_STATE_SLEEP = 2,
    TALLY_STATE_FILE = 3,   /* files and block devices; page faults that read from them */
    TALLY_STATE_SOCKET = 4, /* Unix sockets and socket pairs included */
    TALLY_STATE_PIPE = 5,
    TALLY_STATE_LOCK = 6, /* locks, conditions and semaphores */
    TALLY_STATE_GIL = 7,
    TALLY_STATE_CHILD = 8,
    TALLY_STATE_POLL = 9, /* for one of several descriptors: an event loop */
    TALLY_STATE_OTHER = 10,
    TALLY_STATES,
};

/* What ends a wait for one of several descriptors, beside these. */
enum tally_waker {
    TALLY_WAKER_TIMER = 0, /* a timer, or it is not known whether there is one */
    TALLY_WAKER_NONE = 1,
    TALLY_WAKER_OWN = 2, /* nor these, but one socket; an event loop's own threads write to that,
                            and signals do */
};

/*
 * A look at a thread. The thread was in `state` at begin_ns + duration_ns; begin_ns is the time of
 * the look before. If `is_whole` it did not run in between, so that all of the duration was this
 * one wait; else the duration is what this look stands for. `holder` is, for the GIL, a node
 * without parent: the function that held it; 0 if not known.
 */
struct tally_wait {
    uint8_t type;
    uint8_t state;
    uint8_t is_whole;
    uint8_t waker; /* POLL: enum tally_waker */
    uint32_t tid;
    uint32_t node; /* where it waits; TALLY_NODE_STARTUP for states that are no waiting */
    uint32_t holder;
    uint64_t begin_ns, duration_ns;
};

/*
 * A part of a look at a thread that waits in its event loop: what falls to the tasks that wait at
 * one place. The parts of a look follow one another, in the file as in time, and sum to its
 * duration. Of more tasks than can be looked at some are taken at random; `tasks` is then an
 * estimate.
 */
struct tally_await {
    struct tally_wait wait; /* type TALLY_RECORD_AWAIT; its node is the innermost coroutine */
    uint32_t tasks;         /* that wait there */
    uint16_t taken;         /* of these, so many were looked at */
    uint8_t is_estimated;
    uint8_t goes_on; /* not the first part of its look */
};

static inline uint32_t tally_padded(uint32_t size)
{
    return (size + 7u) & ~7u;
}

#endif
