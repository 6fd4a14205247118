/* tallystack doctor: what this machine can count, and what blocks the rest. */
#include "command.h"

#include "base/buffer.h"
#include "base/error.h"
#include "events/libpfm.h"
#include "events/machine.h"
#include "events/papi.h"
#include "events/perf.h"
#include "pythons.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { CSV_OPTION = 0x100 };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    bool *csv = state->input;
    (void)arg;
    if (key == CSV_OPTION) {
        *csv = true;
        return 0;
    }
    if (key == ARGP_KEY_ARG)
        argp_error(state, "doctor takes no argument");
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"csv", CSV_OPTION, NULL, 0, "Print CSV", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Says what this machine can count, what blocks the rest and the command that unblocks "
           "it, and which Python interpreters on it are supported.",
};

enum { CHECK, STATE, DETAIL, FIX, COLUMNS };

static const char *const columns[] = {"check", "state", "detail", "fix", NULL};

static void row(struct table *table, const char *check, const char *state, const char *detail,
                const char *fix)
{
    table_cell(table, "%s", check);
    table_cell(table, "%s", state);
    table_cell(table, "%s", detail);
    table_cell(table, "%s", fix);
}

static void check_kernel(struct table *table)
{
    struct utsname kernel;
    char detail[256];
    if (uname(&kernel) < 0)
        return;
    snprintf(detail, sizeof(detail), "%s %s %s", kernel.sysname, kernel.release, kernel.machine);
    row(table, "kernel", "ok", detail, "");
}

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
        row(table, "perf_event_open", "ok", "user code and the kernel may be counted", "");
        return;
    }
    tally_machine_refusal(-error, &cause, &command);
    if (try_event("page-faults:u") == 0) {
        snprintf(detail, sizeof(detail), "only user code may be counted: %s", cause);
        row(table, "perf_event_open", "limited", detail, command);
    } else {
        snprintf(detail, sizeof(detail), "nothing may be counted: %s", cause);
        row(table, "perf_event_open", "no", detail, command);
    }
}

static void check_paranoid(struct table *table)
{
    char detail[160];
    int level;
    if (!tally_machine_paranoid(&level)) {
        row(table, "perf_event_paranoid", "no", "kernel.perf_event_paranoid cannot be read", "");
        return;
    }
    bool privileged = tally_machine_is_privileged();
    bool limited = level > 1 && !privileged;
    snprintf(detail, sizeof(detail), "%d%s", level,
             privileged && level > 1 ? ", which does not apply to this privileged user" : "");
    row(table, "perf_event_paranoid", limited ? "limited" : "ok", detail,
        limited ? "sudo sysctl kernel.perf_event_paranoid=1" : "");
}

static void check_sigtrap(struct table *table)
{
    const char *cause, *command = "";
    int result = tally_sigtrap_probe();
    if (result == TALLY_NOT_ALLOWED)
        tally_machine_refusal(-try_event("page-faults:u"), &cause, &command);
    if (result == 0 && tally_sigtrap_interrupts())
        row(table, "sigtrap", "limited",
            "before Linux 6.11 a sample within poll() or nanosleep() ends it with EINTR; Python's "
            "own "
            "calls try again",
            "count user code alone for programs that mind: -e cycles:u or -e task-clock:u");
    else
        row(table, "sigtrap", result == 0 ? "ok" : "no",
            result == 0 ? "events are sampled at the very instruction" : tally_error_text(),
            command);
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
        row(table, "pmu", error ? "no" : "ok", detail, "");
    } else if (hypervisor) {
        snprintf(detail, sizeof(detail), "hidden by the hypervisor, %s", hypervisor);
        row(table, "pmu", "no", detail,
            "pass the PMU to this virtual machine (QEMU: -cpu host,pmu=on), or use a bare machine");
    } else {
        row(table, "pmu", "no", "this kernel has no driver for the processor's counters", "");
    }
}

static void check_papi(struct table *table)
{
    bool starts = tally_papi_start() == 0;
    row(table, "papi", starts ? "ok" : "no", starts ? tally_papi_version() : tally_error_text(),
        "");
    if (!starts)
        return;
    int level;
    bool counts = tally_papi_component() >= 0;
    bool by_level = !counts && tally_machine_paranoid(&level) && level > 2;
    row(table, "papi_perf_event", counts ? "ok" : "limited",
        counts ? "enabled" : tally_error_text(),
        by_level ? "sudo sysctl kernel.perf_event_paranoid=1" : "");
}

static void add_python(const struct python *python, void *data)
{
    struct table *table = data;
    char detail[768];
    bool supported = python->refusal[0] == '\0';
    snprintf(detail, sizeof(detail), "%s %s%s%s%s", python->version, python->path,
             supported ? "" : " (", python->refusal, supported ? "" : ")");
    row(table, "python", supported ? "ok" : "no", detail, "");
}

static void check_pythons(struct table *table)
{
    int before = table->count;
    pythons_each(add_python, table);
    if (table->count == before)
        row(table, "python", "no", "no interpreter on PATH", "sudo apt-get install python3");
}

static void check_gnuplot(struct table *table)
{
    char line[80] = "";
    FILE *version = popen("gnuplot --version 2>/dev/null", "re");
    if (version && !fgets(line, sizeof(line), version))
        line[0] = '\0';
    if (version)
        pclose(version);
    line[strcspn(line, "\n")] = '\0';
    if (line[0])
        row(table, "gnuplot", "ok", line, "");
    else
        row(table, "gnuplot", "no", "not found: no plots", "sudo apt-get install gnuplot-nox");
}

static const char *file_system_name(long type)
{
    static const struct {
        long type;
        const char *name;
    } names[] = {
        {0xef53, "ext4"},    {0x58465342, "xfs"},     {0x9123683e, "btrfs"}, {0x01021994, "tmpfs"},
        {0x6969, "NFS"},     {0x794c7630, "overlay"}, {0x65735546, "FUSE"},  {0x01021997, "9p"},
        {0x2fc12fc1, "ZFS"}, {0xff534d42, "CIFS"},    {0xf2f52010, "f2fs"},  {0x0bd00bd0, "Lustre"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].type == type)
            return names[i].name;
    return "a file system of unknown kind";
}

/* A recording is a file mapped shared; some network file systems cannot do that. */
static bool can_map_here(void)
{
    enum { SIZE = 4096 };
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        char name[] = "tallystack-doctor-XXXXXX";
        fd = mkstemp(name);
        if (fd >= 0)
            unlink(name);
    }
    if (fd < 0)
        return false;
    void *memory = ftruncate(fd, SIZE) == 0
                       ? mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                       : MAP_FAILED;
    close(fd);
    if (memory == MAP_FAILED)
        return false;
    munmap(memory, SIZE);
    return true;
}

static void check_file_system(struct table *table)
{
    struct statfs here;
    char detail[160];
    if (statfs(".", &here) < 0)
        return;
    double gigabytes = (double)here.f_bavail * (double)here.f_bsize / 1e9;
    bool fine = can_map_here();
    snprintf(detail, sizeof(detail), "%s in this folder, %.1f GB free%s",
             file_system_name((long)here.f_type), gigabytes,
             fine ? "" : ", cannot hold a recording");
    row(table, "file_system", fine ? "ok" : "no", detail,
        fine ? "" : "record with -o to another folder");
}

static void print_for_people(const struct table *from)
{
    static const char *const shown[] = {"check", "state", "detail", NULL};
    struct table table = {.columns = shown};
    const char *heading = "\nWhat to do:\n";
    for (int i = 0; i + COLUMNS <= from->count; i += COLUMNS)
        for (int column = CHECK; column <= DETAIL; column++)
            table_cell(&table, "%s", from->cells[i + column]);
    table_print(&table, stdout, false);
    for (int i = 0; i + COLUMNS <= from->count; i += COLUMNS) {
        if (!from->cells[i + FIX][0])
            continue;
        printf("%s  %s: %s\n", heading, from->cells[i + CHECK], from->cells[i + FIX]);
        heading = "";
    }
    table_release(&table);
}

int cmd_doctor(int argc, char **argv)
{
    bool csv = false;
    struct table table = {.columns = columns};
    command_parse(&argp, argc, argv, NULL, &csv);
    check_kernel(&table);
    check_permission(&table);
    check_paranoid(&table);
    check_sigtrap(&table);
    check_pmu(&table);
    check_papi(&table);
    row(&table, "libpfm4", "ok", tally_pfm_version(), "");
    check_pythons(&table);
    check_gnuplot(&table);
    check_file_system(&table);
    if (csv)
        table_print(&table, stdout, true);
    else
        print_for_people(&table);
    table_release(&table);
    return command_finish("doctor", 0);
}
