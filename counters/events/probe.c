/* Availability by doing. */
#include "base/error.h"
#include "events/perf.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
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
    if (term->type == PERF_TYPE_HARDWARE)
        return term->config == PERF_COUNT_HW_CPU_CYCLES ||
               term->config == PERF_COUNT_HW_INSTRUCTIONS ||
               term->config == PERF_COUNT_HW_BRANCH_INSTRUCTIONS ||
               term->config == PERF_COUNT_HW_BRANCH_MISSES ||
               term->config == PERF_COUNT_HW_CACHE_REFERENCES ||
               term->config == PERF_COUNT_HW_REF_CPU_CYCLES;
    if (term->type == PERF_TYPE_HW_CACHE)
        return must_cache_event_move(term->config);
    if (term->type == PERF_TYPE_SOFTWARE)
        return term->config == PERF_COUNT_SW_TASK_CLOCK ||
               term->config == PERF_COUNT_SW_CPU_CLOCK ||
               term->config == PERF_COUNT_SW_PAGE_FAULTS ||
               term->config == PERF_COUNT_SW_PAGE_FAULTS_MIN;
    return false;
}

/* Faults fresh pages in, misses caches and branches, computes a little, leaves the processor once:
 * a few ms. */
static void exercise(void)
{
    enum { SIZE = 4 << 20, LINE = 64, ROUNDS = 2, BRANCHES = 100000 };
    const struct timespec moment = {.tv_nsec = 1000};
    unsigned char *memory =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; memory != MAP_FAILED && round < ROUNDS; round++)
        for (size_t i = 0; i < SIZE; i += LINE)
            ((volatile unsigned char *)memory)[i]++;
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
    if (memory != MAP_FAILED)
        munmap(memory, SIZE);
}

static void close_terms(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* 0, or -errno with nothing left open. */
static int open_terms(const struct tally_event *event, int *fds)
{
    for (int i = 0; i < event->term_count; i++) {
        fds[i] = tally_perf_open(&event->terms[i], TALLY_PERF_SELF, 0);
        if (fds[i] < 0) {
            close_terms(fds, i);
            return fds[i];
        }
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

static int open_permitted(struct tally_event *event, int *fds, bool *degraded)
{
    int error = open_terms(event, fds);
    if (error != -EACCES && error != -EPERM)
        return error;
    struct tally_event rest = *event;
    for (int i = 0; i < rest.term_count; i++) {
        if (rest.terms[i].exclude_user || rest.terms[i].exclude_kernel)
            return error;
        leave_kernel_out(&rest.terms[i]);
    }
    if (tally_perf_check(&rest) < 0 || open_terms(&rest, fds) < 0)
        return error;
    *event = rest;
    *degraded = true;
    return 0;
}

static int measure(const struct tally_event *event, const int *fds, double *sum)
{
    for (int i = 0; i < event->term_count; i++)
        tally_perf_enable(fds[i]);
    exercise();
    *sum = 0;
    for (int i = 0; i < event->term_count; i++) {
        struct tally_perf_value value;
        int error = tally_perf_read(fds[i], &value);
        if (error < 0)
            return error;
        *sum += event->terms[i].factor * (double)value.value;
    }
    return 0;
}

static enum tally_availability probe(struct tally_event *event, int *code, bool *degraded)
{
    int fds[TALLY_MAX_TERMS] = {0};
    double sum = 0;
    *code = tally_perf_check(event);
    if (*code < 0)
        return TALLY_AVAILABLE_NO;
    int error = open_permitted(event, fds, degraded);
    if (error < 0) {
        *code = tally_perf_refused(event, -error);
        return TALLY_AVAILABLE_NO;
    }
    error = measure(event, fds, &sum);
    close_terms(fds, event->term_count);
    if (error < 0) {
        *code = tally_error_code(TALLY_NOT_FOUND,
                                 "\"%s\" opens here but cannot be read: the processor has no "
                                 "counter free for it.",
                                 event->name);
        return TALLY_AVAILABLE_NO;
    }
    if (sum > 0)
        return TALLY_AVAILABLE_YES;
    if (!must_move(event))
        return TALLY_AVAILABLE_UNPROVEN;
    *code = tally_error_code(TALLY_STAYS_ZERO,
                             "\"%s\" opens here but stays 0 while it must move: this machine does "
                             "not really count it.",
                             event->name);
    return TALLY_AVAILABLE_NO;
}

enum tally_availability tally_event_probe(struct tally_event *event, int *code, bool *degraded)
{
    int unused_code;
    bool unused_degraded;
    code = code ? code : &unused_code;
    degraded = degraded ? degraded : &unused_degraded;
    *degraded = false;
    return probe(event, code, degraded);
}
