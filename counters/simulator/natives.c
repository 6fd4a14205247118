/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/natives.h"

struct object *natives_objects;

enum { TABLE_SIZE = 1 << 12 };
static struct native *table[TABLE_SIZE];

static struct object *object_at(Addr address)
{
    DebugInfo *info = VG_(find_DebugInfo)(VG_(current_DiEpoch)(), address);
    if (!info)
        return NULL;
    uint64_t start = VG_(DebugInfo_get_text_avma)(info);
    const HChar *path = VG_(DebugInfo_get_filename)(info);
    for (struct object *object = natives_objects; object; object = object->next)
        if (object->start == start && !VG_(strcmp)(object->path, path))
            return object;
    struct object *object = VG_(calloc)("tallystack.object", 1, sizeof(*object));
    object->start = start;
    object->end = start + VG_(DebugInfo_get_text_size)(info);
    object->bias = (uint64_t)VG_(DebugInfo_get_text_bias)(info);
    object->path = VG_(strdup)("tallystack.object", path);
    object->next = natives_objects;
    natives_objects = object;
    return object;
}

/* Where the symbol of the address is; 0: it has none. The core tells it as in "name+123". */
static uint64_t symbol_start(Addr address, const HChar **name)
{
    const HChar *plus;
    HChar *end;
    if (!VG_(get_fnname_w_offset)(VG_(current_DiEpoch)(), address, name))
        return 0;
    plus = VG_(strrchr)(*name, '+');
    if (!plus || plus[1] < '0' || plus[1] > '9')
        return address;
    ULong offset = VG_(strtoull10)(plus + 1, &end);
    return *end ? address : address - offset;
}

const struct native *natives_find(Addr address)
{
    const HChar *name = "";
    struct object *object = object_at(address);
    uint64_t start = object ? symbol_start(address, &name) : 0;
    struct native **bucket = &table[(start ^ start >> 12 ^ (Addr)object >> 5) % TABLE_SIZE];
    for (struct native *native = *bucket; native; native = native->next)
        if (native->object == object && native->start == start)
            return native;
    struct native *native = VG_(calloc)("tallystack.native", 1, sizeof(*native));
    *native = (struct native){
        .next = *bucket,
        .object = object,
        .start = start,
        .pc = start ? start : address,
        .makes_interpreter = start && VG_(strstr)(name, "Py_NewInterpreter"),
    };
    *bucket = native;
    return native;
}
