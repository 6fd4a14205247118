#include "profile/symbols.h"

#include "base/buffer.h"
#include "profile/index.h"
#include "profile/intern.h"

#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

/* One session for each loaded object: two images may have different ones at an address. */
struct object {
    const struct tally_loaded *loaded;
    Dwfl *session;
    bool is_tried;
};

struct tally_symbols {
    const struct tally_profile *profile;
    struct object *objects; /* profile->loaded_count of them */
    struct tally_interned *names;
    struct tally_index
        known;            /* (image, address): finding a symbol means reading through them all */
    const char **name_of; /* by its index */
    size_t name_room;
};

static char *debug_path;

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

struct tally_symbols *tally_symbols_new(const struct tally_profile *profile)
{
    struct tally_symbols *symbols = tally_alloc_zeroed(1, sizeof(*symbols));
    symbols->profile = profile;
    symbols->objects = tally_alloc_zeroed(profile->loaded_count, sizeof(*symbols->objects));
    for (size_t i = 0; i < profile->loaded_count; i++)
        symbols->objects[i].loaded = &profile->loaded[i];
    return symbols;
}

void tally_symbols_free(struct tally_symbols *symbols)
{
    if (!symbols)
        return;
    for (size_t i = 0; i < symbols->profile->loaded_count; i++)
        if (symbols->objects[i].session)
            dwfl_end(symbols->objects[i].session);
    free(symbols->objects);
    tally_interned_free(symbols->names);
    tally_index_release(&symbols->known);
    free(symbols->name_of);
    free(symbols);
}

static void open_object(struct object *object)
{
    object->is_tried = true;
    object->session = dwfl_begin(&callbacks);
    if (!object->session)
        return;
    dwfl_report_begin(object->session);
    dwfl_report_elf(object->session, object->loaded->path, object->loaded->path, -1,
                    object->loaded->bias, true);
    dwfl_report_end(object->session, NULL, NULL);
}

static const char *symbol_at(struct object *object, uint64_t pc)
{
    if (!object->is_tried)
        open_object(object);
    Dwfl_Module *module = object->session ? dwfl_addrmodule(object->session, pc) : NULL;
    return module ? dwfl_module_addrname(module, pc) : NULL;
}

static const char *find_name(struct tally_symbols *symbols, uint32_t image, uint64_t pc)
{
    struct tally_buffer text = {0};
    tally_buffer_printf(&text, "[unknown]");
    for (size_t i = 0; i < symbols->profile->loaded_count; i++) {
        struct object *object = &symbols->objects[i];
        const struct tally_loaded *loaded = object->loaded;
        if (loaded->image != image || pc < loaded->start || pc >= loaded->end)
            continue;
        const char *symbol = symbol_at(object, pc);
        const char *slash = strrchr(loaded->path, '/');
        tally_buffer_clear(&text);
        tally_buffer_printf(&text, "%s%s(%s)", symbol ? symbol : "", symbol ? " " : "",
                            slash ? slash + 1 : loaded->path);
        break;
    }
    const char *name = tally_intern(&symbols->names, text.data);
    tally_buffer_release(&text);
    return name;
}

const char *tally_symbols_name(struct tally_symbols *symbols, uint32_t image, uint64_t pc)
{
    bool is_new;
    uint32_t index = tally_index_of(&symbols->known, (struct tally_key){image, pc, 0}, &is_new);
    if (!is_new)
        return symbols->name_of[index];
    if (index >= symbols->name_room) {
        symbols->name_room = symbols->name_room ? symbols->name_room * 2 : 256;
        symbols->name_of =
            tally_realloc(symbols->name_of, symbols->name_room, sizeof(*symbols->name_of));
    }
    symbols->name_of[index] = find_name(symbols, image, pc);
    return symbols->name_of[index];
}

void tally_symbols_resolve(struct tally_symbols *symbols, tally_progress *progress, void *context)
{
    const struct tally_profile *profile = symbols->profile;
    for (size_t i = 0; i < profile->cell_count; i++) {
        if (profile->cells[i].pc)
            tally_symbols_name(symbols, profile->cells[i].image, profile->cells[i].pc);
        if (progress)
            progress((double)(i + 1) / (double)profile->cell_count, context);
    }
}
