/*
 * Keeps the environment's strings out of the interpreter's heap, so that where everything else
 * stands there, and with it what conflicts in a cache or collides in a hash table, does not depend
 * on them. Each variable begins a page of memory of our own: comparing two that are near the end of
 * theirs runs other code of the C library, which is in the caches then.
 *
 * The module posix makes a dictionary of all variables when it is initialised. It is shown none;
 * its dictionary is then one whose table has the same size for few and many, and their bytes are in
 * memory of our own.
 */
#include "agent/environment.h"

#include "agent/agent.h"
#include "simulator/requests.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* As in CPython's headers, which are not needed to build this. */
typedef void object;

struct module_slot {
    int number;
    void *value;
};

struct module_definition {
    void *base[5];
    const char *name, *text;
    intptr_t state_size;
    void *methods;
    struct module_slot *slots;
};

struct builtin_module {
    const char *name;
    object *(*init)(void);
};

struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};

/* 3.15 has numbered the slots anew. */
enum { EXECUTE = 2, EXECUTE_3_15 = 85, MODULE_SLOTS_MOST = 16 };
enum { OBJECTS = 2 }; /* domain of allocation */

static struct {
    struct builtin_module **builtins;
    void (*get_allocator)(int domain, struct allocator *);
    void (*set_allocator)(int domain, struct allocator *);
    int (*set_attribute)(object *, const char *name, object *value);
    object *(*new_dictionary)(ptrdiff_t least_room);
    object *(*new_bytes)(const char *, ptrdiff_t size);
    int (*contains)(object *dictionary, object *key);
    int (*set_item)(object *dictionary, object *key, object *value);
    void (*untrack)(object *);
    void (*release)(object *);
} python;

static object *(*init_posix)(void);
static int (*execute_posix)(object *module);

/* Memory of our own, for what is never freed. */

enum { LINE = 64, PAGE = 4096 };
static _Alignas(4096) char room[4 << 20];
static size_t used;

/* In whole units of `unit` bytes; NULL: there is no room left. */
static void *take(size_t size, size_t unit)
{
    size = (size + unit - 1) / unit * unit;
    if (size > sizeof(room) - used)
        return NULL;
    used += size;
    return room + used - size;
}

/* Byte by byte, as is_padding(): which code the C library would run depends on what it is given.
 * NULL: no room. */
static char *copy_text(const char *text)
{
    volatile char *copy = room + used;
    size_t size = 0;
    do
        if (used + size == sizeof(room))
            return NULL;
    while ((copy[size] = text[size]), text[size++]);
    return take(size, PAGE);
}

static bool is_padding(const char *variable)
{
    static const volatile char name[] = "TALLYSTACK_PADDING=";
    size_t same = 0;
    while (name[same] && name[same] == variable[same])
        same++;
    return !name[same];
}

static void move_variables(void)
{
    size_t count = 0;
    if (!environ)
        return;
    while (environ[count])
        count++;
    char **moved = take((count + 1) * sizeof(*moved), PAGE);
    if (!moved)
        return;
    for (size_t i = 0; i <= count; i++) {
        bool moves = environ[i] && !is_padding(environ[i]);
        char *copy = moves ? copy_text(environ[i]) : NULL;
        moved[i] = copy ? copy : environ[i];
    }
    environ = moved;
}

static struct allocator of_interpreter;

static void *own_malloc(void *context, size_t size)
{
    (void)context;
    void *block = take(size, LINE);
    return block ? block : of_interpreter.malloc(of_interpreter.context, size);
}

static void *own_calloc(void *context, size_t count, size_t size)
{
    (void)context;
    return of_interpreter.calloc(of_interpreter.context, count, size);
}

static void *own_realloc(void *context, void *block, size_t size)
{
    (void)context;
    return of_interpreter.realloc(of_interpreter.context, block, size);
}

static void own_free(void *context, void *block)
{
    (void)context;
    (void)block;
}

/* The reference that it comes with is kept for ever. */
static object *eternal_bytes(const char *text, size_t size)
{
    struct allocator own = {NULL, own_malloc, own_calloc, own_realloc, own_free};
    python.get_allocator(OBJECTS, &of_interpreter);
    python.set_allocator(OBJECTS, &own);
    object *bytes = python.new_bytes(text, (ptrdiff_t)size);
    python.set_allocator(OBJECTS, &of_interpreter);
    return bytes;
}

/* As the module itself does: the first of a name counts. */
static bool add_variables(object *dictionary, char *const *variables)
{
    for (; *variables; variables++) {
        const char *end = strchr(*variables, '=');
        if (!end)
            continue;
        object *key = eternal_bytes(*variables, (size_t)(end - *variables));
        object *value = eternal_bytes(end + 1, strlen(end + 1));
        if (!key || !value)
            return false;
        int is_there = python.contains(dictionary, key);
        if (is_there < 0 || (!is_there && python.set_item(dictionary, key, value) < 0))
            return false;
    }
    return true;
}

/* A table has 1.5 slots for each of the entries that there shall be room for, or up to the double.
 */
static object *make_dictionary(char *const *variables)
{
    enum { TABLE = 32, ENTRY_SIZE = 24 }; /* where a dictionary has its address */
    size_t count = 0, room_for = 600;
    while (variables[count])
        count++;
    while (room_for < count + count / 4)
        room_for *= 2;
    object *dictionary = python.new_dictionary((ptrdiff_t)room_for);
    if (!dictionary)
        return NULL;
    uint64_t table;
    memcpy(&table, (const char *)dictionary + TABLE, sizeof(table));
    table = (table + LINE - 1) / LINE * LINE;
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_APART, 2, table, table + room_for * ENTRY_SIZE, 0,
                                    0);
    if (add_variables(dictionary, variables))
        return dictionary;
    python.release(dictionary);
    return NULL;
}

/* Only the first interpreter is alone in the process, where nobody else looks at environ. */
static int execute(object *module)
{
    static bool is_done;
    static char *none[] = {NULL};
    char **variables = environ;
    if (is_done || !variables)
        return execute_posix(module);
    is_done = true;
    environ = none;
    int result = execute_posix(module);
    environ = variables;
    if (result < 0)
        return result;
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_ASIDE, 0, 0, 0, 0, 0);
    object *dictionary = make_dictionary(variables);
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_TAKE_UP, 0, 0, 0, 0, 0);
    if (!dictionary)
        return -1;
    result = python.set_attribute(module, "environ", dictionary);
    python.untrack(dictionary); /* a collection would go through it; up to 3.13 it is not tracked */
    python.release(dictionary);
    return result;
}

static bool is_execute(const struct module_slot *slot)
{
    return slot->number == EXECUTE || slot->number == EXECUTE_3_15;
}

/* Called once for each interpreter in the process, with the same definition. */
static object *init(void)
{
    static struct module_slot slots[MODULE_SLOTS_MOST];
    struct module_definition *definition = init_posix();
    if (!definition || definition->slots == slots)
        return definition;
    for (size_t i = 0; i < MODULE_SLOTS_MOST; i++) {
        slots[i] = definition->slots[i];
        if (is_execute(&slots[i]) && !execute_posix) {
            execute_posix = (int (*)(object *))slots[i].value;
            slots[i].value = (void *)execute;
        }
        if (!slots[i].number && execute_posix)
            definition->slots = slots;
        if (!slots[i].number)
            break;
    }
    return definition;
}

static bool find_functions(void)
{
    const struct {
        void *function;
        const char *name;
    } wanted[] = {
        {&python.builtins, "PyImport_Inittab"},
        {&python.get_allocator, "PyMem_GetAllocator"},
        {&python.set_allocator, "PyMem_SetAllocator"},
        {&python.set_attribute, "PyObject_SetAttrString"},
        {&python.new_dictionary, "_PyDict_NewPresized"},
        {&python.new_bytes, "PyBytes_FromStringAndSize"},
        {&python.contains, "PyDict_Contains"},
        {&python.set_item, "PyDict_SetItem"},
        {&python.untrack, "PyObject_GC_UnTrack"},
        {&python.release, "Py_DecRef"},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        uint64_t address = link_find_symbol(wanted[i].name);
        if (!address)
            return false;
        memcpy(wanted[i].function, &address, sizeof(address));
    }
    return true;
}

void environment_set_apart(void)
{
    if (init_posix || !find_functions())
        return;
    for (struct builtin_module *module = *python.builtins; module->name; module++)
        if (!strcmp(module->name, "posix")) {
            init_posix = module->init;
            module->init = init;
        }
    if (VALGRIND_DO_CLIENT_REQUEST_EXPR(0, TALLY_REQUEST_APART, 1, room, room + sizeof(room), 0, 0))
        move_variables();
}
