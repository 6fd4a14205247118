#include "events/machine.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

static const char devices[] = "/sys/bus/event_source/devices";

static bool read_line(const char *path, char *line, size_t room)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(line, (int)room, file) != NULL;
    fclose(file);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

bool tally_machine_has_pmu(void)
{
    static const char *const prefixes[] = {"cpu", "armv", "apple", "riscv"};
    DIR *folder = opendir(devices);
    bool found = false;
    if (!folder)
        return true;
    for (struct dirent *entry = readdir(folder); entry && !found; entry = readdir(folder))
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
            found |= !strncmp(entry->d_name, prefixes[i], strlen(prefixes[i]));
    closedir(folder);
    return found;
}

static bool is_type_of(const char *pmu, uint32_t type)
{
    char path[320], line[32];
    snprintf(path, sizeof(path), "%s/%s/type", devices, pmu);
    return type == PERF_TYPE_RAW ||
           (read_line(path, line, sizeof(line)) && strtoul(line, NULL, 10) == type);
}

/* The kernel shows those events of a PMU, by name, that the processor's PMCEID registers have. */
static bool pmu_has(const char *pmu, uint64_t config)
{
    static const char assignment[] = "event=";
    char path[640], line[64];
    bool found = false;
    snprintf(path, sizeof(path), "%s/%s/events", devices, pmu);
    DIR *folder = opendir(path);
    if (!folder)
        return true;
    for (struct dirent *entry = readdir(folder); entry && !found; entry = readdir(folder)) {
        snprintf(path, sizeof(path), "%s/%s/events/%s", devices, pmu, entry->d_name);
        found = entry->d_name[0] != '.' && read_line(path, line, sizeof(line)) &&
                !strncmp(line, assignment, strlen(assignment)) &&
                strtoull(line + strlen(assignment), NULL, 0) == config;
    }
    closedir(folder);
    return found;
}

bool tally_machine_disowns(uint32_t type, uint64_t config)
{
    enum { LAST_COMMON_EVENT = 0x38 }; /* that the kernel has a name for since 4.17 */
    bool asked = false, has = false;
    DIR *folder = config <= LAST_COMMON_EVENT ? opendir(devices) : NULL;
    if (!folder)
        return false;
    for (struct dirent *entry = readdir(folder); entry && !has; entry = readdir(folder)) {
        if (strncmp(entry->d_name, "armv8", strlen("armv8")) != 0 ||
            !is_type_of(entry->d_name, type))
            continue;
        asked = true;
        has = pmu_has(entry->d_name, config);
    }
    closedir(folder);
    return asked && !has;
}

/* Kernels of other processors than x86 take a wish for precision and do nothing about it. */
int tally_machine_max_precise(void)
{
    char line[16];
    if (read_line("/sys/bus/event_source/devices/cpu/caps/max_precise", line, sizeof(line)) ||
        read_line("/sys/bus/event_source/devices/cpu_core/caps/max_precise", line, sizeof(line)))
        return atoi(line);
#if defined(__x86_64__) || defined(__i386__)
    return -1;
#else
    return 0;
#endif
}

#if defined(__x86_64__) || defined(__i386__)
static const char *monitor(void)
{
    static const char *const names[][2] = {
        {"KVMKVMKVM", "KVM"},           {"Microsoft Hv", "Hyper-V"},   {"VMwareVMware", "VMware"},
        {"XenVMMXenVMM", "Xen"},        {"TCGTCGTCGTCG", "QEMU"},      {"bhyve bhyve ", "bhyve"},
        {"VBoxVBoxVBox", "VirtualBox"}, {" prl hyperv ", "Parallels"},
    };
    enum { HYPERVISOR_BIT = 1u << 31, SIGNATURE_LEAF = 0x40000000 };
    unsigned int a = 0, b = 0, c = 0, d = 0;
    char signature[13] = "";
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & HYPERVISOR_BIT))
        return NULL;
    __cpuid(SIGNATURE_LEAF, a, b, c, d);
    memcpy(signature, &b, 4);
    memcpy(signature + 4, &c, 4);
    memcpy(signature + 8, &d, 4);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(signature, names[i][0]))
            return names[i][1];
    return "a hypervisor";
}
#else
static const char *monitor(void)
{
    char line[64];
    if (read_line("/proc/device-tree/hypervisor/compatible", line, sizeof(line)))
        return strstr(line, "xen") ? "Xen" : "a hypervisor";
    if (read_line("/sys/class/dmi/id/sys_vendor", line, sizeof(line)) && strstr(line, "QEMU"))
        return "QEMU";
    return NULL;
}
#endif

const char *tally_machine_hypervisor(void)
{
    static char text[160];
    char product[96];
    const char *name = monitor();
    if (!name)
        return NULL;
    bool named = (read_line("/sys/class/dmi/id/sys_vendor", product, sizeof(product)) &&
                  strcmp(product, name) != 0) ||
                 read_line("/sys/class/dmi/id/product_name", product, sizeof(product));
    snprintf(text, sizeof(text), named ? "%s (%s)" : "%s", name, product);
    return text;
}

/* By the traces that the container managers leave, as far as an ordinary user sees them. */
const char *tally_machine_container(void)
{
    static const char *const files[][2] = {{"/run/.containerenv", "Podman"},
                                           {"/.dockerenv", "Docker"},
                                           {"/.singularity.d", "Apptainer"}};
    static const char *const groups[][2] = {{"kubepods", "Kubernetes"},
                                            {"/docker", "Docker"},
                                            {"libpod", "Podman"},
                                            {"/lxc", "LXC"},
                                            {"containerd", "containerd"}};
    static char line[256];
    if (read_line("/run/systemd/container", line, sizeof(line)) && line[0])
        return line;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (access(files[i][0], F_OK) == 0)
            return files[i][1];
    FILE *file = fopen("/proc/self/cgroup", "re");
    const char *found = NULL;
    while (file && !found && fgets(line, sizeof(line), file))
        for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]) && !found; i++)
            found = strstr(line, groups[i][0]) ? groups[i][1] : NULL;
    if (file)
        fclose(file);
    return found;
}

bool tally_machine_paranoid(int *level)
{
    char line[32];
    if (!read_line("/proc/sys/kernel/perf_event_paranoid", line, sizeof(line)))
        return false;
    *level = atoi(line);
    return true;
}

/* The value of a line "Key:\tvalue" of our own status. */
static bool own_status(const char *key, int base, unsigned long long *value)
{
    char line[256];
    bool found = false;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file))
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':') {
            *value = strtoull(line + strlen(key) + 1, NULL, base);
            found = true;
        }
    fclose(file);
    return found;
}

bool tally_machine_is_privileged(void)
{
    enum { SYS_ADMIN = 21, PERFMON = 38 };
    unsigned long long effective = 0;
    own_status("CapEff", 16, &effective);
    return effective & (1ULL << SYS_ADMIN | 1ULL << PERFMON);
}

bool tally_machine_is_filtered(void)
{
    enum { FILTER = 2 };
    unsigned long long mode = 0;
    own_status("Seccomp", 10, &mode);
    return mode == FILTER;
}

void tally_machine_refusal(int error, const char **cause, const char **command)
{
    static char text[80];
    enum { OWN_PROCESSES = 1 };
    int level = 0;
    bool known = tally_machine_paranoid(&level);
    bool by_level = known && level > OWN_PROCESSES && !tally_machine_is_privileged();
    *command = "";
    /* The level refuses with EACCES, filters mostly with EPERM. */
    if (tally_machine_is_filtered() && (error != EACCES || !by_level)) {
        *cause = "a seccomp filter, as containers have it, refuses perf_event_open";
        *command = "docker run --security-opt seccomp=unconfined --cap-add PERFMON ...";
    } else if (error == ENOSYS) {
        *cause = "this kernel was built without perf_event_open";
    } else if (by_level) {
        snprintf(text, sizeof(text), "kernel.perf_event_paranoid is %d", level);
        *cause = text;
        *command = "sudo sysctl kernel.perf_event_paranoid=1";
    } else {
        *cause = "a security module or the container's policy refuses perf_event_open";
        *command = "docker run --cap-add PERFMON ...";
    }
}
