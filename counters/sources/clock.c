/*
 * The process's own accounts: CPU time, faults and switches of the workload and of the descendants
 * it waited for. It works wherever there is a /proc.
 *
 * While the workload runs its own /proc entry is read, which has the ended children in it but not
 * the running ones, time in clock ticks and no switches; when it has been waited for, getrusage()
 * has it all. What it used before its exec is taken off as far as it can be seen.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "events/perf.h"
#include "sources/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NS_PER_US = 1000, NS_PER_S = 1000000000 };

struct account {
    uint64_t user, system; /* ns */
    uint64_t minor, major;
    uint64_t switches;
    bool has_switches;
};

struct tally_source_context {
    pid_t pid;
    const struct tally_event *events; /* borrowed */
    int count;
    struct account before; /* of our children together, when opened */
    struct account held;   /* of the workload, when opened */
    struct account last;   /* so that no value ever falls */
};

static uint64_t to_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_usec * NS_PER_US;
}

static void children_account(struct account *out)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    *out = (struct account){
        .user = to_ns(usage.ru_utime),
        .system = to_ns(usage.ru_stime),
        .minor = (uint64_t)usage.ru_minflt,
        .major = (uint64_t)usage.ru_majflt,
        .switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw),
        .has_switches = true,
    };
}

static bool read_file(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(text, 1, room - 1, file);
    fclose(file);
    text[got] = '\0';
    return got > 0;
}

/* The process with its ended children; false when it is gone. */
static bool process_account(pid_t pid, struct account *out)
{
    char text[1024];
    uint64_t minor, child_minor, major, child_major, user, system, child_user, child_system;
    if (!read_file(pid, "stat", text, sizeof(text)))
        return false;
    const char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name + 1,
                              " %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %" SCNu64 " %" SCNu64
                              " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                              &minor, &child_minor, &major, &child_major, &user, &system,
                              &child_user, &child_system) != 8)
        return false;
    uint64_t tick = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    *out = (struct account){
        .user = (user + child_user) * tick,
        .system = (system + child_system) * tick,
        .minor = minor + child_minor,
        .major = major + child_major,
    };
    return true;
}

static uint64_t status_number(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

/* The held workload has one thread, so its switches can be told. */
static void held_account(pid_t pid, struct account *out)
{
    char text[4096];
    if (!process_account(pid, out) || !read_file(pid, "status", text, sizeof(text)))
        return;
    out->switches = status_number(text, "\nvoluntary_ctxt_switches:") +
                    status_number(text, "\nnonvoluntary_ctxt_switches:");
    out->has_switches = true;
}

static uint64_t fall_off(uint64_t value, uint64_t off)
{
    return value > off ? value - off : 0;
}

static void take_off(struct account *value, const struct account *off)
{
    value->user = fall_off(value->user, off->user);
    value->system = fall_off(value->system, off->system);
    value->minor = fall_off(value->minor, off->minor);
    value->major = fall_off(value->major, off->major);
    value->switches = fall_off(value->switches, off->switches);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void keep_rising(struct account *value, struct account *last)
{
    value->user = larger(value->user, last->user);
    value->system = larger(value->system, last->system);
    value->minor = larger(value->minor, last->minor);
    value->major = larger(value->major, last->major);
    *last = *value;
}

static void count_time(const struct tally_term *term, const struct account *account,
                       struct tally_count *count)
{
    if (!term->exclude_user)
        count->value += account->user;
    if (!term->exclude_kernel)
        count->value += account->system;
}

static void count_event(const struct tally_event *event, const struct account *account,
                        struct tally_count *count)
{
    const struct tally_term *term = &event->terms[0];
    bool known = event->term_count == 1 && term->type == PERF_TYPE_SOFTWARE;
    bool filtered = known && (term->exclude_user || term->exclude_kernel);
    *count = (struct tally_count){.running = 1};
    if (known && event->is_clock) {
        count_time(term, account, count);
    } else if (filtered) {
        count->missing = true;
        count->why = "the process's own accounts do not tell user and kernel apart";
    } else if (known && term->config == PERF_COUNT_SW_PAGE_FAULTS) {
        count->value = account->minor + account->major;
    } else if (known && term->config == PERF_COUNT_SW_PAGE_FAULTS_MIN) {
        count->value = account->minor;
    } else if (known && term->config == PERF_COUNT_SW_PAGE_FAULTS_MAJ) {
        count->value = account->major;
    } else if (known && term->config == PERF_COUNT_SW_CONTEXT_SWITCHES) {
        count->value = account->switches;
        count->missing = !account->has_switches;
        count->why = count->missing ? "it is known only when the program has ended" : NULL;
    } else {
        count->missing = true;
        count->why = "the process's own accounts do not have it";
    }
}

static int clock_open(struct tally_source_context **out, const struct tally_event *events,
                      int count, pid_t pid)
{
    struct account held = {0};
    if (!process_account(pid, &held))
        return tally_error("there is no process %d to count.", (int)pid);
    held_account(pid, &held);
    struct tally_source_context *context = tally_alloc_zeroed(1, sizeof(*context));
    *context =
        (struct tally_source_context){.pid = pid, .events = events, .count = count, .held = held};
    children_account(&context->before);
    *out = context;
    return 0;
}

static int clock_read(struct tally_source_context *context, struct tally_count *counts)
{
    struct account now;
    if (!process_account(context->pid, &now)) {
        children_account(&now);
        take_off(&now, &context->before);
    }
    take_off(&now, &context->held);
    keep_rising(&now, &context->last);
    for (int i = 0; i < context->count; i++)
        count_event(&context->events[i], &now, &counts[i]);
    return 0;
}

static void clock_close(struct tally_source_context *context)
{
    free(context);
}

const struct tally_source tally_clock_source = {
    .name = "clock",
    .open = clock_open,
    .read = clock_read,
    .close = clock_close,
};
