/*
 * Keeps the environment's strings out of the interpreter's heap, so that where everything else
 * stands there, and with it what conflicts in a cache or collides in a hash table, does not depend
 * on them.
 *
 * The module posix makes bytes of all variables when it is initialised. That is handed placeholders
 * instead, which are taken out of its dictionary again. The true variables go in there with
 * their bytes in memory of our own.
 */
#include "agent/environment.h"

#include "agent/agent.h"
#include "simulator/requests.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    object *(*attribute)(object *, const char *name);
    object *(*new_bytes)(const char *, ptrdiff_t size);
    int (*contains)(object *dictionary, object *key);
    int (*set_item)(object *dictionary, object *key, object *value);
    int (*delete_item)(object *dictionary, object *key);
    void (*release)(object *);
} python;

static object *(*init_posix)(void);
static int (*execute_posix)(object *module);

/*
 * As many placeholders as make the dictionary's table one that the true variables have room in
 * afterwards, whatever their number: a table of 2^n slots takes two thirds of that, and a table of
 * half as many is full with a third.
 */
enum { SLOTS_LEAST = 512, SLOTS_MOST = 8192, PLACEHOLDERS_MOST = SLOTS_MOST / 3 + 1 };

static struct {
    char text[8];
} names[PLACEHOLDERS_MOST];
static char *placeholders[PLACEHOLDERS_MOST + 1];
static size_t placeholder_count;

static bool make_placeholders(char *const *variables)
{
    size_t count = 0, slots = SLOTS_LEAST;
    while (variables[count])
        count++;
    while (slots / 3 - 1 < count + count / 4)
        slots *= 2;
    if (slots > SLOTS_MOST)
        return false;
    placeholder_count = slots / 3 + 1;
    for (size_t i = 0; i < placeholder_count; i++) {
        snprintf(names[i].text, sizeof(names[i].text), "%zu=", i);
        placeholders[i] = names[i].text;
    }
    placeholders[placeholder_count] = NULL;
    return true;
}

static bool delete_placeholders(object *dictionary)
{
    for (size_t i = 0; i < placeholder_count; i++) {
        object *key = python.new_bytes(names[i].text, strchr(names[i].text, '=') - names[i].text);
        if (!key || python.delete_item(dictionary, key) < 0)
            return false;
        python.release(key);
    }
    return true;
}

/* Memory of our own, for what is never freed. */

static struct allocator of_interpreter;
static _Alignas(16) char room[256 << 10];
static size_t used;

static void *own_malloc(void *context, size_t size)
{
    (void)context;
    size = (size + 15) / 16 * 16;
    if (size > sizeof(room) - used)
        return of_interpreter.malloc(of_interpreter.context, size);
    used += size;
    return room + used - size;
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

/* Only the first interpreter is alone in the process, where nobody else looks at environ. */
static int execute(object *module)
{
    static bool is_done;
    char **variables = environ;
    if (is_done || !variables || !make_placeholders(variables))
        return execute_posix(module);
    is_done = true;
    environ = placeholders;
    int result = execute_posix(module);
    environ = variables;
    object *dictionary = result == 0 ? python.attribute(module, "environ") : NULL;
    if (!dictionary)
        return -1;
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_ASIDE, 0, 0, 0, 0, 0);
    if (!delete_placeholders(dictionary) || !add_variables(dictionary, variables))
        result = -1;
    VALGRIND_DO_CLIENT_REQUEST_STMT(TALLY_REQUEST_TAKE_UP, room, room + used, 0, 0, 0);
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
        {&python.attribute, "PyObject_GetAttrString"},
        {&python.new_bytes, "PyBytes_FromStringAndSize"},
        {&python.contains, "PyDict_Contains"},
        {&python.set_item, "PyDict_SetItem"},
        {&python.delete_item, "PyDict_DelItem"},
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
}
