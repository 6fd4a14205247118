#include "events/catalog.h"

#include "events/aliases.h"
#include "events/component.h"
#include "events/libpfm.h"
#include "events/papi.h"

#include <stddef.h>

struct forward {
    int (*each)(const char *, enum tally_catalog_kind, const char *, void *);
    enum tally_catalog_kind kind;
    void *data;
};

static int pass(const char *name, const char *description, void *data)
{
    struct forward *forward = data;
    return forward->each(name, forward->kind, description, forward->data);
}

int tally_catalog_each(unsigned int kinds,
                       int (*each)(const char *name, enum tally_catalog_kind kind,
                                   const char *description, void *data),
                       void *data)
{
    struct forward forward = {.each = each, .data = data};
    int result = 0;
    const struct tally_alias *alias = tally_aliases;
    for (; kinds & TALLY_CATALOG_ALIAS && alias->name && !result; alias++)
        result = each(alias->name, TALLY_CATALOG_ALIAS, alias->description, data);
    forward.kind = TALLY_CATALOG_PRESET;
    if (!result && kinds & TALLY_CATALOG_PRESET && tally_papi_start() == 0)
        result = tally_papi_each(pass, &forward);
    forward.kind = TALLY_CATALOG_NATIVE;
    if (!result && kinds & TALLY_CATALOG_NATIVE)
        result = tally_pfm_each(pass, &forward);
    forward.kind = TALLY_CATALOG_COMPONENT;
    if (!result && kinds & TALLY_CATALOG_COMPONENT && tally_papi_start() == 0)
        result = tally_component_each(pass, &forward);
    return result;
}
