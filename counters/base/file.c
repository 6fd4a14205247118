#include "base/file.h"

#include "base/buffer.h"

#include <stdio.h>

char *tally_read_file(const char *path, size_t *size)
{
    struct tally_buffer content = {0};
    char part[65536];
    size_t got;
    FILE *in = fopen(path, "re");
    if (!in)
        return NULL;
    tally_buffer_append(&content, "", 0);
    while ((got = fread(part, 1, sizeof(part), in)) > 0)
        tally_buffer_append(&content, part, got);
    int failed = ferror(in);
    fclose(in);
    if (failed)
        tally_buffer_release(&content);
    *size = content.size;
    return content.data;
}
