#include "profile/builder.h"

#include "base/buffer.h"
#include "base/text.h"
#include "profile/intern.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more element; doubles. */
#define ENSURE(array, count, room)                                                                 \
    do {                                                                                           \
        if ((count) == (room)) {                                                                   \
            (room) = (room) ? (room)*2 : 64;                                                       \
            (array) = tally_realloc((array), (room), sizeof(*(array)));                            \
        }                                                                                          \
    } while (0)

uint32_t build_function(struct builder *builder, const char *module, const char *name,
                        const char *file, uint32_t first_line)
{
    struct tally_profile *profile = builder->profile;
    struct tally_function function = {tally_intern(&profile->strings, module),
                                      tally_intern(&profile->strings, name),
                                      tally_intern(&profile->strings, file), first_line};
    struct tally_key key = {(uint64_t)(uintptr_t)function.name ^
                                (uint64_t)(uintptr_t)function.module << 20,
                            (uint64_t)(uintptr_t)function.file, first_line};
    bool is_new;
    uint32_t index = tally_index_of(&builder->functions, key, &is_new);
    if (is_new) {
        ENSURE(profile->functions, profile->function_count, builder->function_room);
        profile->functions[profile->function_count++] = function;
    }
    return index;
}

uint32_t build_path(struct builder *builder, uint32_t parent, uint32_t function, uint32_t line)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {parent, function, line};
    bool is_new;
    uint32_t index = tally_index_of(&builder->paths, key, &is_new);
    if (is_new) {
        ENSURE(profile->paths, profile->path_count, builder->path_room);
        profile->paths[profile->path_count++] = (struct tally_path){parent, function, line};
    }
    return index;
}

uint32_t build_special_path(struct builder *builder, const char *name)
{
    return build_path(builder, TALLY_NO_PATH, build_function(builder, "", name, "", 0), 0);
}

struct tally_value *build_values(struct builder *builder, uint32_t thread, uint32_t path,
                                 uint32_t image, uint64_t pc)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {thread, (uint64_t)image << 32 | path, pc};
    size_t events = profile->event_count;
    bool is_new;
    uint32_t index = tally_index_of(&builder->cells, key, &is_new);
    if (is_new) {
        if (profile->cell_count == builder->cell_room) {
            builder->cell_room = builder->cell_room ? builder->cell_room * 2 : 256;
            profile->cells =
                tally_realloc(profile->cells, builder->cell_room, sizeof(*profile->cells));
            profile->values = tally_realloc(profile->values, builder->cell_room * events,
                                            sizeof(*profile->values));
        }
        profile->cells[profile->cell_count] = (struct tally_cell){thread, path, image, pc};
        memset(&profile->values[profile->cell_count * events], 0,
               events * sizeof(*profile->values));
        profile->cell_count++;
    }
    return &profile->values[index * events];
}

uint32_t build_thread(struct builder *builder, uint32_t process, uint32_t tid, const char *name)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {process, tid, 0};
    struct tally_buffer text = {0};
    bool is_new;
    uint32_t index = tally_index_of(&builder->threads, key, &is_new);
    char *clean = tally_text_clean(name, strnlen(name, 16));
    tally_buffer_printf(&text, "%" PRIu32 " %s", tid, clean);
    if (is_new) {
        ENSURE(profile->threads, profile->thread_count, builder->thread_room);
        profile->threads[profile->thread_count++] =
            (struct tally_profile_thread){process, tid, text.data};
    } else if (*clean) {
        free(profile->threads[index].name); /* the last name is the best: programs set it late */
        profile->threads[index].name = text.data;
    } else {
        tally_buffer_release(&text);
    }
    free(clean);
    return index;
}

uint32_t build_process(struct builder *builder, const struct tally_image_header *header)
{
    struct tally_profile *profile = builder->profile;
    struct tally_buffer name = {0};
    size_t at = 0;
    while (at < profile->process_count && profile->processes[at].pid != header->pid)
        at++;
    char *clean = tally_text_clean(header->comm, strnlen(header->comm, sizeof(header->comm)));
    tally_buffer_printf(&name, "%" PRIu32 " %s", header->pid, clean);
    free(clean);
    if (at == profile->process_count) {
        profile->processes = tally_realloc(profile->processes, at + 1, sizeof(*profile->processes));
        profile->processes[profile->process_count++] = (struct tally_process){.pid = header->pid};
        builder->accounted = tally_realloc(builder->accounted, at + 1, sizeof(*builder->accounted));
        memset(&builder->accounted[at], 0, sizeof(*builder->accounted));
    }
    struct tally_process *process = &profile->processes[at];
    free(process->name);
    process->name = name.data;
    process->parent = header->parent;
    process->is_clock = header->is_clock;
    if (header->python)
        process->python = header->python;
    return (uint32_t)at;
}

void build_process_name(struct builder *builder, uint32_t main_thread)
{
    const struct tally_profile_thread *thread = &builder->profile->threads[main_thread];
    struct tally_process *process = &builder->profile->processes[thread->process];
    free(process->name);
    process->name = tally_strdup(thread->name);
}

void build_python(struct tally_profile *profile, uint32_t hex)
{
    char version[24];
    struct tally_buffer text = {0};
    if (!hex)
        return;
    size_t size = (size_t)snprintf(version, sizeof(version), "%u.%u.%u", hex >> 24, hex >> 16 & 255,
                                   hex >> 8 & 255);
    for (const char *at = profile->python; (at = strstr(at, version)); at += size)
        if (!at[size] || at[size] == ',')
            return;
    tally_buffer_printf(&text, "%s%s%s", profile->python, *profile->python ? ", " : "", version);
    free(profile->python);
    profile->python = text.data;
}

void build_exact(struct builder *builder, uint32_t thread, const char *name, int event,
                 double amount)
{
    if (amount != 0)
        build_values(builder, thread, build_special_path(builder, name), 0, 0)[event].exact +=
            amount;
}

uint32_t build_nobody(struct builder *builder)
{
    struct tally_profile *profile = builder->profile;
    profile->processes =
        tally_realloc(profile->processes, profile->process_count + 1, sizeof(*profile->processes));
    profile->processes[profile->process_count++] = (struct tally_process){.name = tally_strdup("")};
    return build_thread(builder, (uint32_t)profile->process_count - 1, 0, "");
}

void build_lifetime(struct builder *builder, uint32_t process, uint32_t image,
                    const struct tally_life *life)
{
    struct tally_profile *profile = builder->profile;
    struct tally_key key = {(uint64_t)image << 32 | life->slot, life->life, life->tid};
    bool is_new;
    uint32_t index = tally_index_of(&builder->lifetimes, key, &is_new);
    if (is_new) {
        profile->lifetimes =
            tally_realloc(profile->lifetimes, index + 1, sizeof(*profile->lifetimes));
        profile->lifetimes[profile->lifetime_count++] =
            (struct tally_lifetime){.thread = build_thread(builder, process, life->tid, ""),
                                    .is_watched = life->slot == UINT32_MAX,
                                    .image = image,
                                    .slot = life->slot,
                                    .life = life->life};
    }
    if (life->is_end)
        profile->lifetimes[index].end = life;
    else
        profile->lifetimes[index].begin = life;
}

void build_look(struct builder *builder, const struct tally_look *look)
{
    struct tally_profile *profile = builder->profile;
    ENSURE(profile->looks, profile->look_count, builder->look_room);
    profile->looks[profile->look_count++] = *look;
}
