/* What doctor says of counting: permission, the processor's counters, PAPI. */
#include "doctor.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/component.h"
#include "events/cores.h"
#include "events/libpfm.h"
#include "events/machine.h"
#include "events/papi.h"
#include "events/perf.h"

#include <errno.h>
#include <papi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0, or -errno. */
static int try_event(const char *name)
{
    struct tally_event_list list;
    if (tally_events_resolve(name, 1, &list) < 0)
        return -ENOENT;
    int fd = tally_perf_open(&list.events[0].terms[0], TALLY_PERF_SELF, 0);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static void check_permission(struct table *table)
{
    const char *cause = "", *command = "";
    char detail[256];
    int error = try_event("context-switches");
    if (error == 0) {
        doctor_row(table, "perf_event_open", "ok", "user code and the kernel may be counted", "");
        return;
    }
    tally_machine_refusal(-error, &cause, &command);
    if (try_event("page-faults:u") == 0) {
        snprintf(detail, sizeof(detail), "only user code may be counted: %s", cause);
        doctor_row(table, "perf_event_open", "limited", detail, command);
    } else {
        snprintf(detail, sizeof(detail), "nothing may be counted: %s", cause);
        doctor_row(table, "perf_event_open", "no", detail, command);
    }
}

static void check_paranoid(struct table *table)
{
    char detail[160], own[1024], fix[1200];
    int level;
    if (!tally_machine_paranoid(&level)) {
        doctor_row(table, "perf_event_paranoid", "no", "kernel.perf_event_paranoid cannot be read",
                   "");
        return;
    }
    bool privileged = tally_machine_is_privileged();
    bool limited = level > 1 && !privileged;
    snprintf(detail, sizeof(detail), "%d%s", level,
             privileged && level > 1 ? ", which does not apply to this privileged user" : "");
    if (!limited) {
        doctor_row(table, "perf_event_paranoid", "ok", detail, "");
        return;
    }
    ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    snprintf(fix, sizeof(fix),
             "sudo sysctl kernel.perf_event_paranoid=1, or for tallystack alone: sudo setcap "
             "cap_perfmon+ep %.*s",
             size > 0 ? (int)size : 10, size > 0 ? own : "tallystack");
    doctor_row(table, "perf_event_paranoid", "limited", detail, fix);
}

static void check_sigtrap(struct table *table)
{
    const char *cause, *command = "";
    int result = tally_sigtrap_probe();
    if (result == TALLY_NOT_ALLOWED)
        tally_machine_refusal(-try_event("page-faults:u"), &cause, &command);
    if (result == 0 && tally_sigtrap_interrupts())
        doctor_row(table, "sigtrap", "limited",
                   "before Linux 6.11 a sample within poll() or nanosleep() ends it with EINTR; "
                   "Python's own calls try again",
                   "count user code alone for programs that mind: -e cycles:u or -e task-clock:u");
    else
        doctor_row(table, "sigtrap", result == 0 ? "ok" : "no",
                   result == 0 ? "events are sampled at the very instruction" : tally_error_text(),
                   command);
}

static void check_container(struct table *table)
{
    const char *container = tally_machine_container();
    doctor_row(table, "container", "ok", container ? container : "none", "");
}

static void check_seccomp(struct table *table)
{
    int error = try_event("page-faults:u");
    if (!tally_machine_is_filtered())
        doctor_row(table, "seccomp", "ok", "no filter", "");
    else if (error == -EPERM || error == -EACCES || error == -ENOSYS)
        doctor_row(table, "seccomp", "no", "a filter is set, and perf_event_open is refused",
                   "docker run --security-opt seccomp=unconfined --cap-add PERFMON ...");
    else
        doctor_row(table, "seccomp", "ok", "a filter is set, and lets perf_event_open through", "");
}

void doctor_check_permission(struct table *table)
{
    check_permission(table);
    check_paranoid(table);
    check_container(table);
    check_seccomp(table);
    check_sigtrap(table);
}

static void check_pmu(struct table *table)
{
    const char *hypervisor = tally_machine_hypervisor(), *processor = tally_pfm_processor();
    char detail[256];
    if (tally_machine_has_pmu()) {
        int error = try_event("cycles:u");
        snprintf(detail, sizeof(detail), "%s%s%s%s", processor ? processor : "not known to libpfm4",
                 hypervisor ? ", under " : "", hypervisor ? hypervisor : "",
                 error ? ", but cycles cannot be opened" : "");
        doctor_row(table, "pmu", error ? "no" : "ok", detail, "");
    } else if (hypervisor) {
        snprintf(detail, sizeof(detail), "hidden by the hypervisor, %s", hypervisor);
        doctor_row(
            table, "pmu", "no", detail,
            "pass the PMU to this virtual machine (QEMU: -cpu host,pmu=on), or use a bare machine");
    } else {
        doctor_row(table, "pmu", "no", "this kernel has no driver for the processor's counters",
                   "");
    }
}

static bool read_number(const char *path, int *value)
{
    FILE *file = fopen(path, "re");
    bool fine = file && fscanf(file, "%d", value) == 1;
    if (file)
        fclose(file);
    return fine;
}

static void check_watchdog(struct table *table)
{
    int on = 0;
    if (!read_number("/proc/sys/kernel/nmi_watchdog", &on))
        return;
    if (on && tally_machine_has_pmu())
        doctor_row(table, "nmi_watchdog", "limited",
                   "the kernel's watchdog holds one of the counters",
                   "sudo sysctl kernel.nmi_watchdog=0");
    else
        doctor_row(table, "nmi_watchdog", "ok", on ? "on, without a counter to hold" : "off", "");
}

static void check_cores(struct table *table)
{
    const struct tally_cores *all = tally_cores();
    struct tally_buffer detail = {0}, fix = {0};
    if (!tally_is_hybrid()) {
        doctor_row(table, "cores", "ok", "of one type", "");
        return;
    }
    tally_buffer_printf(&detail, "of %d types:", all->count);
    for (int i = 0; i < all->count; i++) {
        char processors[256] = "";
        bool is_told = tally_core_processors(&all->cores[i], processors, sizeof(processors));
        tally_buffer_printf(&detail, "%s %s", i ? "," : "", all->cores[i].name);
        if (is_told)
            tally_buffer_printf(&detail, " (processors %s)", processors);
        if (is_told && !fix.data)
            tally_buffer_printf(&fix, "taskset -c %s tallystack ... keeps a program on one type",
                                processors);
    }
    tally_buffer_printf(&detail,
                        "; cycles, instructions, branches and references of the last cache "
                        "level are added over them, other events are of one type alone");
    doctor_row(table, "cores", "limited", detail.data, fix.data ? fix.data : "");
    tally_buffer_release(&detail);
    tally_buffer_release(&fix);
}

static void check_rdpmc(struct table *table)
{
    static const char x86[] = "/sys/bus/event_source/devices/cpu/rdpmc";
    static const char arm[] = "/proc/sys/kernel/perf_user_access";
    int on = 0;
    bool is_x86 = read_number(x86, &on);
    if (!is_x86 && !read_number(arm, &on))
        return;
    if (on)
        doctor_row(table, "rdpmc", "ok", "counters can be read without a system call", "");
    else
        doctor_row(table, "rdpmc", "limited", "each reading of a counter is a system call",
                   is_x86 ? "echo 1 | sudo tee /sys/bus/event_source/devices/cpu/rdpmc"
                          : "sudo sysctl kernel.perf_user_access=1");
}

void doctor_check_processor(struct table *table)
{
    check_pmu(table);
    check_cores(table);
    check_watchdog(table);
    check_rdpmc(table);
}

/* PAPI's components other than the one that counts on the processor's cores. */
static void check_components(struct table *table)
{
    char check[sizeof("papi_") + PAPI_MAX_STR_LEN];
    for (int i = 0; i < PAPI_num_components(); i++) {
        tally_component_wake(i);
        const PAPI_component_info_t *info = PAPI_get_component_info(i);
        if (!info || !strcmp(info->name, "perf_event"))
            continue;
        snprintf(check, sizeof(check), "papi_%s", info->name);
        if (info->disabled)
            doctor_row(table, check, "no",
                       info->disabled_reason[0] ? info->disabled_reason : "off, without a reason",
                       "");
        else
            doctor_row(table, check, "ok", info->description, "");
    }
}

void doctor_check_papi(struct table *table)
{
    bool starts = tally_papi_start() == 0;
    doctor_row(table, "papi", starts ? "ok" : "no",
               starts ? tally_papi_version() : tally_error_text(), "");
    if (!starts)
        return;
    int level;
    bool counts = tally_papi_component() >= 0;
    bool by_level = !counts && tally_machine_paranoid(&level) && level > 2;
    doctor_row(table, "papi_perf_event", counts ? "ok" : "limited",
               counts ? "enabled" : tally_error_text(),
               by_level ? "sudo sysctl kernel.perf_event_paranoid=1" : "");
    check_components(table);
}
