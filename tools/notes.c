#include "notes.h"

#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

static const char *common_part(const char *reason)
{
    const char *end = reason[0] == '"' ? strchr(reason + 1, '"') : NULL;
    return end && end[1] == ' ' ? end + 2 : reason;
}

int notes_number(struct notes *notes, const char *reason)
{
    for (int i = 0; i < notes->count; i++)
        if (!strcmp(notes->texts[i], common_part(reason)))
            return i + 1;
    notes->texts = tally_realloc(notes->texts, (size_t)notes->count + 1, sizeof(*notes->texts));
    notes->texts[notes->count++] = tally_strdup(common_part(reason));
    return notes->count;
}

void notes_print(const struct notes *notes, FILE *out)
{
    for (int i = 0; i < notes->count; i++)
        fprintf(out, "%s(%d) %s\n", i ? "" : "\n", i + 1, notes->texts[i]);
}

void notes_release(struct notes *notes)
{
    for (int i = 0; i < notes->count; i++)
        free(notes->texts[i]);
    free(notes->texts);
    *notes = (struct notes){0};
}
