#include "events/kernel_names.h"

#include "base/error.h"
#include "events/cores.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *devices = "/sys/bus/event_source/devices";
static struct tally_cores cores = {.count = -1};

void tally_kernel_names_from(const char *folder)
{
    devices = folder ? folder : "/sys/bus/event_source/devices";
    cores.count = -1;
}

static bool is_word(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("_-.", text[i]))
            return false;
    return size > 0 && text[0] != '.';
}

bool tally_is_kernel_name(const char *name)
{
    const char *slash = strchr(name, '/'), *last = strrchr(name, '/');
    return slash && last > slash && !last[1] && is_word(name, (size_t)(slash - name)) &&
           is_word(slash + 1, (size_t)(last - slash - 1));
}

/* The first line of devices/PMU/FOLDER/FILE; `size` bytes of the last two names are taken. */
static bool read_line(const char *pmu, size_t pmu_size, const char *folder, const char *file,
                      size_t file_size, char *out, int room)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%.*s/%s/%.*s", devices, (int)pmu_size, pmu, folder,
             (int)file_size, file);
    FILE *stream = fopen(path, "re");
    bool found = stream && fgets(out, room, stream);
    if (stream)
        fclose(stream);
    if (found)
        out[strcspn(out, "\n")] = '\0';
    return found;
}

static bool read_event(const char *name, char *out, int room)
{
    const char *slash = strchr(name, '/');
    return tally_is_kernel_name(name) && read_line(name, (size_t)(slash - name), "events",
                                                   slash + 1, strlen(slash + 1) - 1, out, room);
}

bool tally_kernel_name_exists(const char *name)
{
    char text[256];
    return read_event(name, text, sizeof(text));
}

/* Puts a value where a format like "config1:0-7,32-35" says, its lowest bits first. */
static bool place(const char *format, uint64_t value, struct tally_term *term)
{
    const char *colon = strchr(format, ':');
    uint64_t *config = &term->config;
    if (!strncmp(format, "config1:", 8))
        config = &term->config1;
    else if (!strncmp(format, "config2:", 8))
        config = &term->config2;
    else if (strncmp(format, "config:", 7) != 0)
        return false;
    for (const char *at = colon + 1; *at; at += *at == ',') {
        char *end;
        unsigned long low = strtoul(at, &end, 10), high = low;
        if (*end == '-')
            high = strtoul(end + 1, &end, 10);
        if (end == at || low > high || high > 63)
            return false;
        for (unsigned long bit = low; bit <= high; bit++, value >>= 1)
            *config |= (value & 1) << bit;
        at = end;
        if (*at && *at != ',')
            return false;
    }
    return value == 0;
}

static int add_field(const char *name, size_t pmu_size, char *field, struct tally_term *term)
{
    char format[64], *end;
    char *equals = strchr(field, '=');
    uint64_t value = 1;
    if (equals) {
        *equals = '\0';
        value = strtoull(equals + 1, &end, 0);
        if (*end || end == equals + 1)
            return tally_error("the kernel describes \"%s\" in a way that is not understood.",
                               name);
    }
    if (!read_line(name, pmu_size, "format", field, strlen(field), format, sizeof(format)) ||
        !place(format, value, term))
        return tally_error("the kernel describes \"%s\" in a way that is not understood.", name);
    return 0;
}

static bool read_type(const char *pmu, size_t size, uint32_t *type)
{
    char text[32];
    if (!read_line(pmu, size, ".", "type", 4, text, sizeof(text)) ||
        !isdigit((unsigned char)text[0]))
        return false;
    *type = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

bool tally_kernel_pmu_file(const char *pmu, const char *file, char *out, size_t room)
{
    return read_line(pmu, strlen(pmu), ".", file, strlen(file), out, (int)room);
}

int tally_kernel_name_encode(const char *name, bool user, bool kernel, struct tally_term *term)
{
    char text[256], *rest = text;
    struct tally_term found = {
        .factor = 1, .exclude_user = !user, .exclude_kernel = !kernel, .exclude_hv = true};
    size_t pmu_size = strcspn(name, "/");
    if (!read_event(name, text, sizeof(text)) || !read_type(name, pmu_size, &found.type))
        return tally_error_code(TALLY_NOT_FOUND,
                                "this machine's kernel does not describe the event \"%s\".", name);
    for (char *field = strsep(&rest, ","); field; field = strsep(&rest, ","))
        if (add_field(name, pmu_size, field, &found) < 0)
            return TALLY_ERROR;
    snprintf(found.encoding, sizeof(found.encoding), "%s", name);
    *term = found;
    return 0;
}

/* Arm's are named after the architecture or the core; Intel's hybrids have cpu_KIND. */
static int is_core_type(const struct dirent *entry)
{
    static const char *const prefixes[] = {"cpu_", "armv7_", "armv8_", "armv9_", "apple_"};
    if (!strcmp(entry->d_name, "cpu"))
        return 1;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (!strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])))
            return 1;
    return 0;
}

const struct tally_cores *tally_cores(void)
{
    struct dirent **entries = NULL;
    int count = cores.count < 0 ? scandir(devices, &entries, is_core_type, alphasort) : 0;
    if (cores.count < 0)
        cores.count = 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        struct tally_core *core = &cores.cores[cores.count];
        if (cores.count < TALLY_MAX_CORE_TYPES && strlen(name) < sizeof(core->name) &&
            read_type(name, strlen(name), &core->type)) {
            memcpy(core->name, name, strlen(name) + 1);
            cores.count++;
        }
        free(entries[i]);
    }
    free(entries);
    return &cores;
}
