/*
 * Symbols are looked up in the link map by hand: dlsym() takes locks and misses libraries that were
 * loaded with RTLD_LOCAL. The first definition in load order wins, as for the program itself.
 */
#include "agent/agent.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

struct object {
    uint64_t base;
    const uint32_t *hash; /* DT_GNU_HASH */
    const ElfW(Sym) * symbols;
    const char *strings;
};

/* glibc relocates most of these pointers in place, but not those of read-only objects. */
static const void *dynamic_pointer(const struct link_map *map, uint64_t value)
{
    uint64_t address = value < map->l_addr ? map->l_addr + value : value;
    return (const void *)(uintptr_t)address;
}

static bool open_object(const struct link_map *map, struct object *object)
{
    *object = (struct object){.base = map->l_addr};
    if (!map->l_ld)
        return false;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_GNU_HASH)
            object->hash = dynamic_pointer(map, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_SYMTAB)
            object->symbols = dynamic_pointer(map, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_STRTAB)
            object->strings = dynamic_pointer(map, entry->d_un.d_ptr);
    }
    return object->hash && object->symbols && object->strings;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static const ElfW(Sym) * find_in_object(const struct object *object, const char *name)
{
    uint32_t bucket_count = object->hash[0], first = object->hash[1];
    const uint32_t *buckets = object->hash + 4 + object->hash[2] * (sizeof(ElfW(Addr)) / 4);
    const uint32_t *chain = buckets + bucket_count;
    uint32_t hash = gnu_hash(name);
    if (!bucket_count)
        return NULL;
    uint32_t index = buckets[hash % bucket_count];
    if (index < first)
        return NULL;
    for (;; index++) {
        uint32_t entry = chain[index - first];
        const ElfW(Sym) *symbol = &object->symbols[index];
        if ((entry | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
            !strcmp(object->strings + symbol->st_name, name))
            return symbol;
        if (entry & 1)
            return NULL;
    }
}

static uint64_t find_symbol(const char *name, size_t *size)
{
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        struct object object;
        if (!open_object(map, &object))
            continue;
        const ElfW(Sym) *symbol = find_in_object(&object, name);
        if (!symbol)
            continue;
        if (size)
            *size = symbol->st_size;
        return object.base + symbol->st_value;
    }
    return 0;
}

uint64_t link_find_symbol(const char *name)
{
    return find_symbol(name, NULL);
}

/* "3.10.13 (main, ...)": interpreters before 3.11 have no Py_Version. */
static uint32_t version_from_text(const char *text)
{
    uint32_t version = 0;
    for (int shift = 24; shift > 0; shift -= 8) {
        uint32_t number = 0;
        while (*text >= '0' && *text <= '9')
            number = number * 10 + (uint32_t)(*text++ - '0');
        version |= number << shift;
        if (shift > 8 && *text++ != '.')
            return 0;
    }
    return version;
}

static const char *unknown_build(uint64_t code_type, uint64_t type_type)
{
    /* Builds that trace references or run without the GIL have more in front of ob_type. */
    enum { OB_TYPE = 8 };
    if (find_symbol("_Py_NegativeRefcount", NULL))
        return "a debug build of Python is not supported";
    if (*(const uint64_t *)(uintptr_t)(code_type + OB_TYPE) != type_type)
        return "this build of Python has other object headers and is not supported";
    return NULL;
}

bool link_find_interpreter(struct interpreter *out)
{
    size_t runtime_size = 0;
    uint64_t version = find_symbol("Py_Version", NULL);
    uint64_t runtime = find_symbol("_PyRuntime", &runtime_size);
    uint64_t code_type = find_symbol("PyCode_Type", NULL);
    uint64_t type_type = find_symbol("PyType_Type", NULL);
    uint64_t thread_state = find_symbol("PyGILState_GetThisThreadState", NULL);
    uint64_t is_initialized = find_symbol("Py_IsInitialized", NULL);
    *out = (struct interpreter){0};
    if (!version) {
        uint64_t get_version = find_symbol("Py_GetVersion", NULL);
        if (!get_version || !code_type)
            return false;
        const char *(*text)(void) = (const char *(*)(void))(uintptr_t)get_version;
        out->version = version_from_text(text());
    } else {
        out->version = *(const uint32_t *)(uintptr_t)version;
    }
    const struct py_layout *layout = py_layout_find(
        out->version, (const uint64_t *)(uintptr_t)runtime, runtime_size, out->reason);
    if (!layout)
        return true;
    const char *unknown = "this build of Python hides the symbols that are needed";
    if (runtime && code_type && type_type && thread_state && is_initialized)
        unknown = unknown_build(code_type, type_type);
    if (unknown) {
        snprintf(out->reason, sizeof(out->reason), "%s", unknown);
        return true;
    }
    out->code_type = code_type;
    out->runtime = runtime;
    out->runtime_size = runtime_size;
    out->thread_state = (void *(*)(void))(uintptr_t)thread_state;
    out->is_initialized = (int (*)(void))(uintptr_t)is_initialized;
    out->layout = layout;
    return true;
}

void link_publish(const struct interpreter *python, struct tally_image_header *image)
{
    image->python = python->version;
    image->runtime_size = python->runtime_size;
    image->code_type = python->code_type;
    atomic_store_explicit((_Atomic uint64_t *)&image->runtime, python->runtime,
                          memory_order_release);
}

/* Program headers of a loaded object. */
static const ElfW(Phdr) * program_headers(const struct link_map *map, size_t *count)
{
    if (map == _r_debug.r_map) {
        *count = getauxval(AT_PHNUM);
        return (const ElfW(Phdr) *)(uintptr_t)getauxval(AT_PHDR);
    }
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)(uintptr_t)map->l_addr;
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return NULL;
    *count = header->e_phnum;
    return (const ElfW(Phdr) *)(uintptr_t)(map->l_addr + header->e_phoff);
}

static bool covers(const struct link_map *map, uint64_t address, struct loaded_object *out)
{
    size_t count = 0;
    const ElfW(Phdr) *headers = program_headers(map, &count);
    *out = (struct loaded_object){.start = UINT64_MAX, .bias = map->l_addr, .path = map->l_name};
    for (size_t i = 0; headers && i < count; i++) {
        if (headers[i].p_type != PT_LOAD)
            continue;
        uint64_t start = map->l_addr + headers[i].p_vaddr;
        if (start < out->start)
            out->start = start;
        if (start + headers[i].p_memsz > out->end)
            out->end = start + headers[i].p_memsz;
    }
    return address >= out->start && address < out->end;
}

bool link_find_object(uint64_t address, struct loaded_object *out)
{
    if (_r_debug.r_state != RT_CONSISTENT)
        return false;
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next)
        if (covers(map, address, out)) {
            if (map == _r_debug.r_map)
                out->path = agent.image->program;
            return true;
        }
    return false;
}

void link_range_of(uint64_t address, uint64_t *start, uint64_t *end)
{
    struct loaded_object object;
    *start = *end = 0;
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next)
        if (covers(map, address, &object)) {
            *start = object.start;
            *end = object.end;
            return;
        }
}

void link_own_range(uint64_t *start, uint64_t *end)
{
    extern const char __ehdr_start[] __attribute__((visibility("hidden")));
    extern const char _end[] __attribute__((visibility("hidden")));
    *start = (uint64_t)(uintptr_t)__ehdr_start;
    *end = (uint64_t)(uintptr_t)_end;
}
