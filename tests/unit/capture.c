/*
 * Prints what py_walk and the readers beside it look at in a live, waiting interpreter: a line
 * "memory ADDRESS BYTES" in hexadecimal for every view. A tool for developers: capture.py runs it.
 *
 *   capture PID PY_VERSION_HEX TSTATE      the last two in hexadecimal
 */
#include "python/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOM = 256, VIEWS = 4096 };

struct live_memory {
    struct py_memory memory;
    pid_t pid;
    unsigned char copy[PY_VIEW_MAX];
    size_t seen_count;
    struct {
        uint64_t address;
        size_t size;
    } seen[VIEWS];
};

static void print_once(struct live_memory *live, uint64_t address, size_t size)
{
    for (size_t i = 0; i < live->seen_count; i++)
        if (live->seen[i].address == address && live->seen[i].size >= size)
            return;
    if (live->seen_count < VIEWS) {
        live->seen[live->seen_count].address = address;
        live->seen[live->seen_count++].size = size;
    }
    printf("memory %" PRIx64 " ", address);
    for (size_t i = 0; i < size; i++)
        printf("%02x", live->copy[i]);
    putchar('\n');
}

static const void *view(struct py_memory *memory, uint64_t address, size_t size)
{
    struct live_memory *live = (struct live_memory *)memory;
    struct iovec local = {live->copy, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    if (size > sizeof(live->copy) ||
        process_vm_readv(live->pid, &local, 1, &remote, 1, 0) != (ssize_t)size)
        return NULL;
    print_once(live, address, size);
    return live->copy;
}

static bool look_at_code(const struct py_layout *layout, struct live_memory *live, uint64_t address)
{
    struct py_code code;
    char text[4096];
    uint64_t data;
    const void *object = view(&live->memory, address, layout->code_start);
    if (!object)
        return false;
    py_code_read(layout, object, &code);
    if (!py_string_read(layout, &live->memory, code.filename, text, sizeof(text)) ||
        !py_string_read(layout, &live->memory, code.qualname, text, sizeof(text)))
        return false;
    size_t size = py_bytes_find(&live->memory, code.lines, &data);
    for (size_t done = 0; done < size; done += PY_VIEW_MAX)
        if (!view(&live->memory, data + done,
                  size - done < PY_VIEW_MAX ? size - done : PY_VIEW_MAX))
            return false;
    return size > 0;
}

int main(int argc, char **argv)
{
    static struct live_memory live = {.memory = {view}};
    struct py_frame frames[ROOM];
    char reason[PY_REASON_SIZE];
    size_t count;
    if (argc != 4) {
        fputs("usage: capture PID PY_VERSION_HEX TSTATE\n", stderr);
        return 2;
    }
    live.pid = (pid_t)strtol(argv[1], NULL, 10);
    const struct py_layout *layout =
        py_layout_find((uint32_t)strtoul(argv[2], NULL, 16), NULL, 0, reason);
    if (!layout) {
        fprintf(stderr, "capture: %s\n", reason);
        return 1;
    }
    enum py_walk_end end =
        py_walk(layout, &live.memory, strtoull(argv[3], NULL, 16), frames, ROOM, &count);
    bool is_whole = end == PY_WALK_COMPLETE && count > 0;
    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = look_at_code(layout, &live, frames[i].code);
    if (!is_whole)
        fputs("capture: the frames could not be read\n", stderr);
    return !is_whole;
}
