/* tallystack doctor: what this machine can count, and what blocks the rest. */
#include "doctor.h"
#include "command.h"

#include "base/error.h"
#include "events/libpfm.h"
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

static const char *const columns[] = {"check", "state", "detail", "fix", NULL};

void doctor_row(struct table *table, const char *check, const char *state, const char *detail,
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
    doctor_row(table, "kernel", "ok", detail, "");
}

static void add_python(const struct python *python, void *data)
{
    struct table *table = data;
    char detail[768];
    bool supported = python->refusal[0] == '\0';
    snprintf(detail, sizeof(detail), "%s %s%s%s%s", python->version, python->path,
             supported ? "" : " (", python->refusal, supported ? "" : ")");
    doctor_row(table, "python", supported ? "ok" : "no", detail, "");
}

static void check_pythons(struct table *table)
{
    int before = table->count;
    pythons_each(add_python, table);
    if (table->count == before)
        doctor_row(table, "python", "no", "no interpreter on PATH", "sudo apt-get install python3");
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
        doctor_row(table, "gnuplot", "ok", line, "");
    else
        doctor_row(table, "gnuplot", "no", "not found: no plots",
                   "sudo apt-get install gnuplot-nox");
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
    doctor_row(table, "file_system", fine ? "ok" : "no", detail,
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
    doctor_check_permission(&table);
    doctor_check_processor(&table);
    doctor_check_papi(&table);
    doctor_row(&table, "libpfm4", "ok", tally_pfm_version(), "");
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
