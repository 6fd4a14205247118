#include "events/perf.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/libpfm.h"
#include "events/machine.h"
#include "events/papi.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct perf_event_attr attr_of(const struct tally_term *term)
{
    return (struct perf_event_attr){
        .type = term->type,
        .config = term->config,
        .config1 = term->config1,
        .config2 = term->config2,
        .exclude_user = term->exclude_user,
        .exclude_kernel = term->exclude_kernel,
        .exclude_hv = term->exclude_hv,
        .precise_ip = term->precise & 3,
        .disabled = 1,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };
}

static int open_attr(struct perf_event_attr *attr, pid_t pid, int group)
{
    attr->size = sizeof(*attr);
    long fd = syscall(SYS_perf_event_open, attr, pid, -1, group, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

int tally_perf_open_in(const struct tally_term *term, enum tally_perf_mode mode, pid_t pid,
                       int leader)
{
    struct perf_event_attr attr = attr_of(term);
    attr.inherit = attr.enable_on_exec = mode == TALLY_PERF_WORKLOAD || mode == TALLY_PERF_THREADS;
    attr.inherit_stat = mode == TALLY_PERF_THREADS;
    attr.remove_on_exec = mode == TALLY_PERF_LAUNCH;
    return open_attr(&attr, mode == TALLY_PERF_SELF || mode == TALLY_PERF_THREADS ? 0 : pid,
                     leader);
}

int tally_perf_open(const struct tally_term *term, enum tally_perf_mode mode, pid_t pid)
{
    return tally_perf_open_in(term, mode, pid, -1);
}

void tally_perf_enable(int fd)
{
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
}

bool tally_perf_fit(const struct tally_term *const *terms, int count)
{
    struct tally_perf_value value;
    int fds[2 * TALLY_MAX_EVENTS * TALLY_MAX_TERMS], opened = 0;
    bool fit = count <= (int)(sizeof(fds) / sizeof(fds[0]));
    for (; fit && opened < count; opened += fit) {
        /* A pinned group that does not fit reads as nothing. */
        struct perf_event_attr attr = attr_of(terms[opened]);
        attr.pinned = opened == 0;
        fds[opened] = open_attr(&attr, 0, opened ? fds[0] : -1);
        fit = fds[opened] >= 0;
    }
    if (fit && count > 0) {
        for (int i = count - 1; i >= 0; i--)
            tally_perf_enable(fds[i]);
        fit = tally_perf_read(fds[0], &value) == 0;
    }
    for (int i = 0; i < opened; i++)
        close(fds[i]);
    return fit;
}

int tally_perf_read(int fd, struct tally_perf_value *out)
{
    ssize_t got = read(fd, out, sizeof(*out));
    if (got == (ssize_t)sizeof(*out))
        return 0;
    return got < 0 ? -errno : -EIO;
}

static bool opens(const char *encoding, bool kernel)
{
    struct tally_term term;
    int fd = tally_pfm_encode(encoding, true, kernel, &term) < 0
                 ? -1
                 : tally_perf_open(&term, TALLY_PERF_SELF, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The one place that says what to do without a PMU. */
static int no_pmu(const struct tally_event *event)
{
    const char *hypervisor = tally_machine_hypervisor();
    static const char simulated[] = "\"tallystack record --simulate\" counts caches and branches "
                                    "on a model machine";
    const char *instead = "task-clock works here";
    if (opens("perf::CONTEXT-SWITCHES", true))
        instead = "page-faults, context-switches and task-clock work here";
    else if (opens("perf::PAGE-FAULTS", false))
        instead = "page-faults and task-clock work here";
    if (hypervisor)
        return tally_error_code(TALLY_NOT_FOUND,
                                "\"%s\" needs the processor's counters (PMU), which this virtual "
                                "machine under %s does not have; %s, and %s.",
                                event->name, hypervisor, instead, simulated);
    return tally_error_code(TALLY_NOT_FOUND,
                            "\"%s\" needs the processor's counters (PMU), which this machine's "
                            "kernel does not offer; %s, and %s.",
                            event->name, instead, simulated);
}

/* Whether each core type counts a part of it. */
static bool is_spread(const struct tally_event *event)
{
    return event->term_count > 1 && tally_core_of(&event->terms[0]) && !tally_core_of_event(event);
}

int tally_perf_refused(const struct tally_event *event, int error)
{
    const char *cause, *command;
    if (event->source == TALLY_SOURCE_HARDWARE && !tally_machine_has_pmu())
        return no_pmu(event);
    switch (error) {
    case EACCES:
    case EPERM:
    case ENOSYS:
        tally_machine_refusal(error, &cause, &command);
        return tally_error_code(TALLY_NOT_ALLOWED, "\"%s\" may not be counted: %s%s%s%s.",
                                event->name, cause, command[0] ? "; \"" : "", command,
                                command[0] ? "\" allows it" : "");
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case EOPNOTSUPP:
        if (is_spread(event))
            return tally_error_code(TALLY_NOT_FOUND,
                                    "\"%s\" cannot be counted on each core type of this processor "
                                    "by this kernel (on Arm Linux 6.6 is the first that can); ask "
                                    "for what the kernel describes of one, such as %s/cpu_cycles/.",
                                    event->name, tally_cores()->cores[0].name);
        return tally_error_code(TALLY_NOT_FOUND, "this machine's %s does not count \"%s\"%s.",
                                event->source == TALLY_SOURCE_HARDWARE ? "processor" : "kernel",
                                event->name,
                                event->terms[0].precise ? " with the precision asked for" : "");
    case EMFILE:
        return tally_error("\"%s\" cannot be opened: too many open files; \"ulimit -n\" raises the "
                           "limit.",
                           event->name);
    case EBUSY:
        return tally_error_code(TALLY_NOT_FOUND,
                                "\"%s\" cannot be counted: another program holds the processor's "
                                "counters.",
                                event->name);
    default:
        return tally_error("\"%s\" cannot be opened: %s.", event->name, strerror(error));
    }
}

static int missing_preset(const struct tally_event *event)
{
    enum { STRICTEST_FOR_PAPI = 2 };
    char reason[256];
    int level = 0;
    if (!tally_machine_has_pmu())
        return no_pmu(event);
    if (tally_papi_component() >= 0)
        return tally_error_code(TALLY_NOT_FOUND,
                                "PAPI has no \"%s\" for this processor; \"tallystack list PAPI_\" "
                                "shows what it has.",
                                event->name);
    snprintf(reason, sizeof(reason), "%s", tally_error_text());
    /* To PAPI this level is final, whoever asks. */
    if (tally_machine_paranoid(&level) && level > STRICTEST_FOR_PAPI)
        return tally_error_code(TALLY_NOT_ALLOWED,
                                "\"%s\" may not be counted: PAPI does nothing while "
                                "kernel.perf_event_paranoid is %d; \"sudo sysctl "
                                "kernel.perf_event_paranoid=1\" allows it.",
                                event->name, level);
    return tally_error_code(TALLY_NOT_FOUND, "\"%s\" is not known here: %s", event->name, reason);
}

static bool is_switch(const struct tally_term *term)
{
    return term->type == PERF_TYPE_SOFTWARE && (term->config == PERF_COUNT_SW_CONTEXT_SWITCHES ||
                                                term->config == PERF_COUNT_SW_CPU_MIGRATIONS ||
                                                term->config == PERF_COUNT_SW_CGROUP_SWITCHES);
}

int tally_perf_check(const struct tally_event *event)
{
    const char *processor;
    if (event->term_count == 0)
        return missing_preset(event);
    for (int i = 0; i < event->term_count; i++) {
        const struct tally_term *term = &event->terms[i];
        if (tally_pfm_is_foreign(term->encoding, &processor))
            return tally_error_code(TALLY_NOT_FOUND,
                                    "\"%s\" is an event of another processor (%s).", event->name,
                                    processor);
        if (tally_machine_disowns(term->type, term->config))
            return tally_error_code(TALLY_STAYS_ZERO,
                                    "\"%s\" would stay 0: this machine's processor says that it "
                                    "does not count it.",
                                    event->name);
        if (tally_is_hybrid() && term->type == PERF_TYPE_RAW && !tally_core_of(term))
            return tally_error_code(TALLY_NOT_FOUND,
                                    "\"%s\" does not tell which core type of this processor is to "
                                    "count it; ask for what the kernel describes of one, such as "
                                    "%s/cpu_cycles/.",
                                    event->name, tally_cores()->cores[0].name);
        if (is_switch(term) && term->exclude_kernel)
            return tally_error_code(TALLY_NOT_FOUND,
                                    "\"%s\" would stay 0, since switches happen in the kernel; ask "
                                    "for it without \":u\".",
                                    event->name);
    }
    return 0;
}

bool tally_event_is_filtered_clock(const struct tally_event *event)
{
    return event->is_clock && (event->terms[0].exclude_user || event->terms[0].exclude_kernel);
}
