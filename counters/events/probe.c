/* Availability by doing. */
#include "base/error.h"
#include "events/component.h"
#include "events/cores.h"
#include "events/machine.h"
#include "events/perf.h"
#include "events/slots.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static bool is_preset(const char *name, const char *const *presets)
{
    for (; *presets; presets++) {
        size_t size = strlen(*presets);
        if (!strncmp(name, *presets, size) && (name[size] == '\0' || name[size] == ':'))
            return true;
    }
    return false;
}

static bool must_cache_event_move(uint64_t config)
{
    enum { LEVEL = 0xff, MISS = PERF_COUNT_HW_CACHE_RESULT_MISS << 16 };
    uint64_t level = config & LEVEL;
    bool misses = (config & ~(uint64_t)0xffff) == MISS;
    bool reads = (config >> 8 & 0xff) == PERF_COUNT_HW_CACHE_OP_READ;
    if (misses && !reads)
        return false;
    return level == PERF_COUNT_HW_CACHE_L1D || level == PERF_COUNT_HW_CACHE_BPU ||
           (level == PERF_COUNT_HW_CACHE_DTLB && !misses);
}

/* Whether the exercise below must move what is counted. */
static bool must_move(const struct tally_event *event)
{
    static const char *const presets[] = {"PAPI_TOT_CYC",
                                          "PAPI_TOT_INS",
                                          "PAPI_TOT_IIS",
                                          "PAPI_REF_CYC",
                                          "PAPI_BR_INS",
                                          "PAPI_BR_CN",
                                          "PAPI_BR_MSP",
                                          "PAPI_LD_INS",
                                          "PAPI_SR_INS",
                                          "PAPI_LST_INS",
                                          "PAPI_L1_DCA",
                                          "PAPI_L1_DCR",
                                          "PAPI_L1_DCW",
                                          "PAPI_L1_DCM",
                                          "PAPI_L1_TCM",
                                          "PAPI_L2_DCA",
                                          "PAPI_L2_DCR",
                                          "PAPI_L2_TCA",
                                          NULL};
    static const char *const of_user_code[] = {"PAPI_FP_INS", "PAPI_FP_OPS", "PAPI_DP_OPS", NULL};
    const struct tally_term *term = &event->terms[0];
    if (is_preset(event->name, presets) ||
        (!term->exclude_user && is_preset(event->name, of_user_code)))
        return true;
    uint32_t config = (uint32_t)term->config; /* without the core type */
    if (term->type == PERF_TYPE_HARDWARE)
        return config == PERF_COUNT_HW_CPU_CYCLES || config == PERF_COUNT_HW_INSTRUCTIONS ||
               config == PERF_COUNT_HW_BRANCH_INSTRUCTIONS ||
               config == PERF_COUNT_HW_BRANCH_MISSES || config == PERF_COUNT_HW_CACHE_REFERENCES ||
               config == PERF_COUNT_HW_REF_CPU_CYCLES;
    if (term->type == PERF_TYPE_HW_CACHE)
        return must_cache_event_move(config);
    if (term->type == PERF_TYPE_SOFTWARE)
        return term->config == PERF_COUNT_SW_TASK_CLOCK ||
               term->config == PERF_COUNT_SW_CPU_CLOCK ||
               term->config == PERF_COUNT_SW_PAGE_FAULTS ||
               term->config == PERF_COUNT_SW_PAGE_FAULTS_MIN;
    return false;
}

/* Faults fresh pages in, one of them within the kernel, and goes through them twice. */
static void touch(size_t size)
{
    enum { LINE = 64, ROUNDS = 2 };
    unsigned char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return;
    if (getrandom(memory, 1, GRND_NONBLOCK) < 0)
        *memory = 1;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < size; i += LINE)
            ((volatile unsigned char *)memory)[i]++;
    munmap(memory, size);
}

/* Misses branches, computes a little, leaves the processor once. */
static void compute(void)
{
    enum { BRANCHES = 100000 };
    const struct timespec moment = {.tv_nsec = 1000};
    volatile unsigned int odd = 0;
    volatile double sum = 0;
    unsigned int random = 1;
    for (int i = 0; i < BRANCHES; i++) {
        random = random * 1664525u + 1013904223u;
        if (random >> 31)
            odd++;
        sum = sum * 0.5 + 1.0;
    }
    nanosleep(&moment, NULL);
}

/* Moves whatever must move, the misses of large caches included: a few ms. */
static void exercise(void)
{
    touch(4 << 20);
    compute();
}

/* The same for what the kernel counts by itself: a tenth of it. */
static void exercise_kernel(void)
{
    touch(64 << 10);
    compute();
}

/* An event while it is probed. */
struct trial {
    struct tally_event *event;
    struct tally_probe *probe;
    struct tally_slots *slots; /* of all trials at once */
    int fds[TALLY_MAX_TERMS];
    int open_count;
    double sum;
    bool has_run; /* all the time; of one core type: at all */
    bool is_idle; /* a core type that ran the exercise counted none of it */
    bool is_away; /* no core that could count it may be used */
};

static void close_terms(struct trial *trial)
{
    while (trial->open_count > 0)
        close(trial->fds[--trial->open_count]);
}

/* 0, or -errno with nothing left open. */
static int open_terms(struct trial *trial, const struct tally_event *event)
{
    for (int i = 0; i < event->term_count; i++) {
        int fd = tally_slots_open(trial->slots, &event->terms[i], TALLY_PERF_SELF, 0);
        if (fd < 0) {
            close_terms(trial);
            return fd;
        }
        trial->fds[trial->open_count++] = fd;
    }
    return 0;
}

/* The encoding as libpfm4 writes it, with kernel code left out. */
static void leave_kernel_out(struct tally_term *term)
{
    char *kernel = strstr(term->encoding, ":k=1");
    if (kernel)
        kernel[3] = '0';
    term->exclude_kernel = true;
}

static int open_permitted(struct trial *trial)
{
    int error = open_terms(trial, trial->event);
    if (error != -EACCES && error != -EPERM)
        return error;
    struct tally_event rest = *trial->event;
    for (int i = 0; i < rest.term_count; i++) {
        if (rest.terms[i].exclude_user || rest.terms[i].exclude_kernel)
            return error;
        leave_kernel_out(&rest.terms[i]);
    }
    if (tally_perf_check(&rest) < 0 || open_terms(trial, &rest) < 0)
        return error;
    *trial->event = rest;
    trial->probe->user_only = true;
    return 0;
}

static void set_precision(struct tally_event *event, int precise)
{
    for (int i = 0; i < event->term_count; i++)
        event->terms[i].precise = (uint8_t)precise;
}

/* With the precision that was asked for, or else the most that the processor has. */
static int open_precise(struct trial *trial)
{
    int asked = trial->event->terms[0].precise, most = tally_machine_max_precise();
    int precise = trial->event->source != TALLY_SOURCE_HARDWARE ? 0
                  : most >= 0 && most < asked                   ? most
                                                                : asked;
    int error = -EOPNOTSUPP;
    for (; error < 0 && precise >= 0; precise--) {
        set_precision(trial->event, precise);
        error = open_permitted(trial);
        if (error == -EACCES || error == -EPERM)
            break;
    }
    trial->probe->is_lowered = error == 0 && trial->event->terms[0].precise < asked;
    if (error < 0)
        set_precision(trial->event, asked);
    return error;
}

static void refuse(struct trial *trial, int code)
{
    trial->probe->availability = TALLY_AVAILABLE_NO;
    trial->probe->code = code;
    snprintf(trial->probe->reason, sizeof(trial->probe->reason), "%s", tally_error_text());
}

/* It opens; whether it really counts is known only if it was seen to. */
static void leave_open(struct trial *trial, bool has_moved)
{
    trial->event->is_unproven = !has_moved;
    trial->probe->availability = has_moved ? TALLY_AVAILABLE_YES : TALLY_AVAILABLE_UNPROVEN;
}

/* A component of PAPI counts the machine's doing, of which the exercise is hardly a part. */
static void probe_component(struct trial *trial)
{
    double value = 0;
    if (tally_component_try(trial->event, exercise, &value) < 0)
        refuse(trial, TALLY_NOT_FOUND);
    else
        leave_open(trial, value > 0);
}

static void start(struct trial *trial)
{
    if (trial->event->is_machine_wide) {
        probe_component(trial);
        return;
    }
    int code = tally_perf_check(trial->event);
    if (code == 0) {
        int error = open_precise(trial);
        code = error < 0 ? tally_perf_refused(trial->event, -error) : 0;
    }
    if (code < 0)
        refuse(trial, code);
}

/* Runs the exercise on each core type; those that may not be used are left out of `used`. */
static void exercise_everywhere(bool used[TALLY_MAX_CORE_TYPES])
{
    const struct tally_cores *all = tally_cores();
    cpu_set_t before;
    for (int i = 0; i < all->count && all->count > 1; i++) {
        used[i] = tally_core_enter(&all->cores[i], &before);
        if (!used[i])
            continue;
        exercise();
        tally_core_leave(&before);
    }
    if (all->count <= 1)
        exercise();
}

static void take_term(struct trial *trial, int term, const bool used[TALLY_MAX_CORE_TYPES])
{
    const struct tally_core *core = tally_core_of(&trial->event->terms[term]);
    struct tally_perf_value value = {0};
    int error = tally_perf_read(trial->fds[term], &value);
    if (core && !used[core - tally_cores()->cores])
        return;
    trial->is_away = false;
    trial->is_idle |= core && !value.value;
    if (error < 0 || (core ? !value.running : value.running < value.enabled))
        trial->has_run = false;
    trial->sum += trial->event->terms[term].factor * (double)value.value;
    if (value.running && term == 0)
        trial->probe->per_second = 1e9 * (double)value.value / (double)value.running;
}

/* What all that are open counted during the exercise; they are closed. */
static void measure(struct trial *trials, int count)
{
    bool used[TALLY_MAX_CORE_TYPES] = {false}, needs_processor = false;
    for (int i = 0; i < count; i++) {
        needs_processor |= trials[i].event->source != TALLY_SOURCE_SOFTWARE;
        for (int k = 0; k < trials[i].open_count; k++)
            tally_perf_enable(trials[i].fds[k]);
    }
    if (count > 0)
        tally_slots_enable(trials[0].slots);
    if (needs_processor)
        exercise_everywhere(used);
    else
        exercise_kernel();
    for (int i = 0; i < count; i++) {
        struct trial *trial = &trials[i];
        trial->sum = 0;
        trial->has_run = trial->is_away = true;
        trial->is_idle = false;
        for (int k = 0; k < trial->open_count; k++)
            take_term(trial, k, used);
        close_terms(trial);
    }
}

static void judge(struct trial *trial)
{
    const char *name = trial->event->name;
    if (trial->sum > 0 && !(trial->is_idle && must_move(trial->event))) {
        trial->probe->availability = TALLY_AVAILABLE_YES;
    } else if (!trial->has_run) {
        refuse(trial, tally_error_code(TALLY_NOT_FOUND,
                                       "\"%s\" opens here but cannot be read: the processor has no "
                                       "counter free for it.",
                                       name));
    } else if (trial->is_away || !must_move(trial->event)) {
        leave_open(trial, false);
    } else {
        refuse(trial, tally_error_code(TALLY_STAYS_ZERO,
                                       "\"%s\" opens here but stays 0 while it must move: this "
                                       "machine does not really count it.",
                                       name));
    }
}

/* Of several at once one may have waited in vain for a counter: it gets its turn alone. */
static void probe_alone(struct trial *trial)
{
    if (open_terms(trial, trial->event) == 0)
        measure(trial, 1);
}

void tally_events_probe(struct tally_event *events, int count, struct tally_probe *out)
{
    struct trial trials[TALLY_MAX_EVENTS];
    struct tally_slots slots = {0};
    int opened = 0;
    for (int i = 0; i < count; i++) {
        out[i] = (struct tally_probe){.availability = TALLY_AVAILABLE_YES};
        trials[i] = (struct trial){.event = &events[i], .probe = &out[i], .slots = &slots};
        start(&trials[i]);
        opened += trials[i].open_count;
    }
    if (opened > 0)
        measure(trials, count);
    for (int i = 0; i < count && opened > 0; i++) {
        if (out[i].availability == TALLY_AVAILABLE_NO || events[i].is_machine_wide)
            continue;
        if (trials[i].sum <= 0 && !trials[i].has_run && count > 1)
            probe_alone(&trials[i]);
        judge(&trials[i]);
    }
    tally_slots_close(&slots);
}

enum tally_availability tally_event_probe(struct tally_event *event, int *code, bool *degraded)
{
    struct tally_probe probe;
    tally_events_probe(event, 1, &probe);
    if (degraded)
        *degraded = probe.user_only;
    if (code)
        *code = probe.code;
    if (probe.availability == TALLY_AVAILABLE_NO)
        tally_error_code(probe.code, "%s", probe.reason);
    return probe.availability;
}

const char *tally_precision_note(const struct tally_event *event)
{
    static const char *const levels[] = {"without precision", "with precision :p only",
                                         "with precision :pp only"};
    static char text[160];
    snprintf(text, sizeof(text), "\"%s\" is taken %s, the most that it has here.", event->name,
             levels[event->terms[0].precise % 3]);
    return text;
}
