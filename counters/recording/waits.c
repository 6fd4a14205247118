#include "recording/waits.h"

#include "base/buffer.h"
#include "recording/format.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uthash.h>

enum { NAME_MOST = 2048, FILENAME_MOST = 4096, LINES_MOST = 1 << 22, LINES_PART = 8192 };

/* The last code object that was seen at an address. */
struct code {
    uint64_t address;
    struct py_code code;
    uint64_t texts; /* py_code_texts() */
    uint32_t id;
    UT_hash_handle hh;
};

struct node_key {
    uint32_t parent, code, instruction;
};

struct node {
    struct node_key key;
    uint32_t id;
    UT_hash_handle hh;
};

struct tally_waits {
    int fd;
    bool is_full;
    uint64_t *bytes_left;
    struct tally_image_header *header; /* mapped */
    struct tally_chunk *chunk;         /* mapped; NULL before the first */
    struct code *codes;
    struct node *nodes;
    uint32_t code_count, node_count;
};

struct tally_waits *tally_waits_open(int directory, uint32_t number, pid_t pid,
                                     uint64_t *bytes_left)
{
    char name[32];
    snprintf(name, sizeof(name), "%06" PRIu32 ".waits", number);
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return NULL;
    void *header = MAP_FAILED;
    if (posix_fallocate(fd, 0, TALLY_HEADER_SIZE) == 0)
        header = mmap(NULL, TALLY_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED) {
        close(fd);
        unlinkat(directory, name, 0);
        return NULL;
    }
    struct tally_waits *waits = tally_alloc_zeroed(1, sizeof(*waits));
    *waits = (struct tally_waits){.fd = fd, .bytes_left = bytes_left, .header = header};
    memcpy(waits->header->magic, TALLY_WAITS_MAGIC, sizeof(waits->header->magic));
    waits->header->pid = (uint32_t)pid;
    return waits;
}

void tally_waits_close(struct tally_waits *waits)
{
    if (!waits)
        return;
    struct code *code = waits->codes;
    struct node *node = waits->nodes;
    HASH_CLEAR(hh, waits->codes); /* the table; its entries stay in their list */
    HASH_CLEAR(hh, waits->nodes);
    while (code) {
        struct code *next = code->hh.next;
        free(code);
        code = next;
    }
    while (node) {
        struct node *next = node->hh.next;
        free(node);
        node = next;
    }
    if (waits->chunk)
        munmap(waits->chunk, TALLY_CHUNK_SIZE);
    munmap(waits->header, TALLY_HEADER_SIZE);
    close(waits->fd);
    free(waits);
}

/* The agents pay from the same purse. */
static bool pay_for_chunk(struct tally_waits *waits)
{
    uint64_t now = __atomic_load_n(waits->bytes_left, __ATOMIC_RELAXED);
    do {
        if (now == UINT64_MAX)
            return true;
        if (now < TALLY_CHUNK_SIZE)
            return false;
    } while (!__atomic_compare_exchange_n(waits->bytes_left, &now, now - TALLY_CHUNK_SIZE, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

static bool next_chunk(struct tally_waits *waits)
{
    uint64_t sequence = waits->header->chunk_count;
    off_t offset = (off_t)(TALLY_HEADER_SIZE + sequence * TALLY_CHUNK_SIZE);
    void *bytes = MAP_FAILED;
    if (!waits->is_full && pay_for_chunk(waits) &&
        posix_fallocate(waits->fd, offset, TALLY_CHUNK_SIZE) == 0)
        bytes = mmap(NULL, TALLY_CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, waits->fd, offset);
    if (bytes == MAP_FAILED) {
        waits->is_full = true;
        return false;
    }
    if (waits->chunk)
        munmap(waits->chunk, TALLY_CHUNK_SIZE);
    waits->chunk = bytes;
    *waits->chunk =
        (struct tally_chunk){.magic = TALLY_CHUNK_MAGIC, .sequence = (uint32_t)sequence};
    waits->header->chunk_count++;
    return true;
}

/* Room for `size` bytes that commit() makes part of the file; NULL: there is none. */
static void *reserve(struct tally_waits *waits, size_t size)
{
    const size_t all = TALLY_CHUNK_SIZE - sizeof(struct tally_chunk);
    if ((!waits->chunk || size > all - waits->chunk->used) && !next_chunk(waits))
        return NULL;
    return (char *)(waits->chunk + 1) + waits->chunk->used;
}

static void commit(struct tally_waits *waits, size_t size)
{
    __atomic_store_n(&waits->chunk->used, waits->chunk->used + (uint32_t)size, __ATOMIC_RELEASE);
}

void tally_waits_put(struct tally_waits *waits, const void *record, size_t size)
{
    void *room = reserve(waits, size);
    if (!room)
        return;
    memcpy(room, record, size);
    commit(waits, size);
}

/* Code objects */

static void put_lines(struct tally_waits *waits, const struct tally_waits_interpreter *python,
                      uint32_t id, uint64_t data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t part = size - done < LINES_PART ? size - done : LINES_PART;
        size_t room = sizeof(struct tally_lines) + tally_padded((uint32_t)part);
        struct tally_lines *record = reserve(waits, room);
        if (!record)
            return;
        *record = (struct tally_lines){.type = TALLY_RECORD_LINES,
                                       .code = id,
                                       .offset = (uint32_t)done,
                                       .size = (uint32_t)part};
        for (size_t at = 0; at < part; at += PY_VIEW_MAX) {
            size_t piece = part - at < PY_VIEW_MAX ? part - at : PY_VIEW_MAX;
            const void *bytes = python->memory->view(python->memory, data + done + at, piece);
            if (!bytes)
                return;
            memcpy((char *)(record + 1) + at, bytes, piece);
        }
        commit(waits, room);
        done += part;
    }
}

static bool put_code(struct tally_waits *waits, const struct tally_waits_interpreter *python,
                     uint32_t id, const struct py_code *code)
{
    const struct py_layout *layout = python->layout;
    struct tally_code *record = reserve(waits, sizeof(*record) + NAME_MOST + FILENAME_MOST);
    if (!record)
        return false;
    uint64_t data = 0;
    size_t lines = py_bytes_find(python->memory, code->lines, &data);
    if (lines > LINES_MOST)
        lines = 0;
    char *text = (char *)(record + 1);
    size_t name = py_string_read(layout, python->memory, code->qualname, text, NAME_MOST);
    size_t file =
        py_string_read(layout, python->memory, code->filename, text + name, FILENAME_MOST);
    if (!name)
        return false; /* no code object, but what was left of one */
    *record = (struct tally_code){.type = TALLY_RECORD_CODE,
                                  .qualname_size = (uint16_t)name,
                                  .id = id,
                                  .first_line = code->first_line,
                                  .filename_size = (uint32_t)file,
                                  .lines_size = (uint32_t)lines};
    commit(waits, sizeof(*record) + tally_padded((uint32_t)(name + file)));
    put_lines(waits, python, id, data, lines);
    return true;
}

/* Number of the code object at `address`; 0 if there is none. */
static uint32_t code_id(struct tally_waits *waits, const struct tally_waits_interpreter *python,
                        uint64_t address)
{
    struct py_code code = {0};
    uint64_t type;
    const char *object = python->memory->view(python->memory, address, python->layout->code_start);
    if (!object)
        return 0;
    memcpy(&type, object + 8, sizeof(type));
    if (type != python->code_type)
        return 0;
    py_code_read(python->layout, object, &code);
    struct code *entry;
    HASH_FIND(hh, waits->codes, &address, sizeof(address), entry);
    if (entry &&
        py_code_is_same(python->layout, python->memory, &entry->code, entry->texts, &code)) {
        entry->code.version = code.version;
        return entry->id;
    }
    if (!put_code(waits, python, waits->code_count + 1, &code))
        return 0;
    if (!entry) {
        entry = tally_alloc_zeroed(1, sizeof(*entry));
        entry->address = address;
        HASH_ADD(hh, waits->codes, address, sizeof(address), entry);
    }
    entry->code = code;
    entry->texts = py_code_texts(python->layout, python->memory, &code);
    entry->id = ++waits->code_count;
    return entry->id;
}

/* Call paths */

static uint32_t child_node(struct tally_waits *waits, struct node_key key)
{
    struct node *entry;
    HASH_FIND(hh, waits->nodes, &key, sizeof(key), entry);
    if (entry)
        return entry->id;
    struct tally_node *record = reserve(waits, sizeof(*record));
    if (!record)
        return TALLY_NODE_LOST;
    uint32_t id = TALLY_NODE_FIRST + waits->node_count++;
    *record = (struct tally_node){.type = TALLY_RECORD_NODE,
                                  .id = id,
                                  .parent = key.parent,
                                  .code = key.code,
                                  .instruction = key.instruction};
    commit(waits, sizeof(*record));
    entry = tally_alloc_zeroed(1, sizeof(*entry));
    entry->key = key;
    entry->id = id;
    HASH_ADD(hh, waits->nodes, key, sizeof(key), entry);
    return id;
}

uint32_t tally_waits_node(struct tally_waits *waits, const struct tally_waits_interpreter *python,
                          const struct py_frame *frames, size_t count, uint32_t root)
{
    uint32_t node = root, code = 0;
    for (size_t i = count; i-- > 0;) {
        if (i + 1 == count || frames[i].code != frames[i + 1].code)
            code = code_id(waits, python, frames[i].code);
        if (!code)
            return TALLY_NODE_LOST;
        node = child_node(waits, (struct node_key){node, code, frames[i].instruction});
        if (node == TALLY_NODE_LOST)
            return node;
    }
    return node;
}
