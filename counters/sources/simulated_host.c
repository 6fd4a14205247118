#include "sources/simulated_host.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GENERIC_TLB_ENTRIES = 64, GENERIC_TLB_WAYS = 4, GENERIC_ITLB_WAYS = 8 };

/* An attribute of one of the first processor's caches, without its newline; "" if there is none. */
static void read_attribute(char *out, size_t room, int index, const char *name)
{
    char path[96];
    size_t size;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    char *text = tally_read_file(path, &size);
    snprintf(out, room, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
    free(text);
}

static uint64_t read_number(int index, const char *name)
{
    char text[32];
    uint64_t number = 0;
    read_attribute(text, sizeof(text), index, name);
    return tally_parse_size(text, name, &number) < 0 ? 0 : number;
}

static struct tally_model_level *level_of(struct tally_model *model, uint64_t level,
                                          const char *type)
{
    if (level == 1 && strcmp(type, "Unified") != 0)
        return !strcmp(type, "Data") ? &model->l1d : &model->l1i;
    return level == 2 ? &model->l2 : level == 3 ? &model->l3 : NULL;
}

/* Whether the kernel has another cache of this number. */
static bool take_kernels(struct tally_model *model, int index)
{
    char type[32];
    read_attribute(type, sizeof(type), index, "type");
    struct tally_model_level *level = level_of(model, read_number(index, "level"), type);
    if (level) {
        level->size = read_number(index, "size");
        level->ways = read_number(index, "ways_of_associativity");
    }
    if (level && level == &model->l1d)
        model->line = read_number(index, "coherency_line_size");
    return type[0];
}

static void take_librarys(struct tally_model_level *level, int size, int ways)
{
    long bytes = sysconf(size), count = sysconf(ways);
    if (level->size && level->ways)
        return;
    level->size = bytes > 0 ? (uint64_t)bytes : 0;
    level->ways = count > 0 ? (uint64_t)count : 0;
}

static void describe_level(struct tally_buffer *text, const char *before,
                           const struct tally_model_level *level)
{
    const char *unit = level->size % (1 << 20) ? "K" : "M";
    uint64_t size = level->size >> (*unit == 'K' ? 10 : 20);
    if (level->size)
        tally_buffer_printf(text, "%s%" PRIu64 "%s/%" PRIu64, before, size, unit, level->ways);
}

int tally_model_of_host(struct tally_model *model)
{
    struct tally_buffer text = {0};
    for (int index = 0; take_kernels(model, index); index++)
        continue;
    take_librarys(&model->l1i, _SC_LEVEL1_ICACHE_SIZE, _SC_LEVEL1_ICACHE_ASSOC);
    take_librarys(&model->l1d, _SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL1_DCACHE_ASSOC);
    take_librarys(&model->l2, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL2_CACHE_ASSOC);
    take_librarys(&model->l3, _SC_LEVEL3_CACHE_SIZE, _SC_LEVEL3_CACHE_ASSOC);
    long line = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
    if (!model->line && line > 0)
        model->line = (uint64_t)line;
    if (!model->l1i.size || !model->l1d.size || !model->line)
        return tally_error("neither the kernel nor the C library tells its first-level caches; "
                           "\"tallystack list --models\" shows models to choose from.");
    model->tlb = (struct tally_model_level){.size = GENERIC_TLB_ENTRIES, .ways = GENERIC_TLB_WAYS};
    model->itlb =
        (struct tally_model_level){.size = GENERIC_TLB_ENTRIES, .ways = GENERIC_ITLB_WAYS};
    tally_buffer_printf(&text, "the caches of this machine: ");
    describe_level(&text, "", &model->l1i);
    describe_level(&text, " and ", &model->l1d);
    describe_level(&text, ", ", &model->l2);
    describe_level(&text, ", ", &model->l3);
    tally_buffer_printf(&text, "; its TLBs are not known and taken as those of generic");
    free(model->description);
    model->description = text.data;
    return 0;
}
