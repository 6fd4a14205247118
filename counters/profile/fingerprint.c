#include "profile/fingerprint.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "profile/intern.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static unsigned long fingerprint(const char *text, size_t size)
{
    return crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)text, size);
}

static int by_pointer(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    return left < right ? -1 : left > right;
}

int tally_fingerprint_write(const struct tally_profile *profile, int directory)
{
    const char **files = tally_alloc_zeroed(profile->function_count, sizeof(*files));
    int fd = openat(directory, "sources", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        free(files);
        return tally_error("cannot write to the recording: %s.", strerror(errno));
    }
    for (size_t i = 0; i < profile->function_count; i++)
        files[i] = profile->functions[i].file;
    qsort(files, profile->function_count, sizeof(*files), by_pointer); /* interned */
    for (size_t i = 0; i < profile->function_count; i++) {
        size_t size;
        if (files[i][0] != '/' || (i && files[i] == files[i - 1]))
            continue;
        char *text = tally_read_file(files[i], &size);
        if (text)
            fprintf(out, "%08lx %zu %s\n", fingerprint(text, size), size, files[i]);
        free(text);
    }
    free(files);
    int failed = ferror(out);
    failed |= fclose(out) != 0;
    return failed ? tally_error("cannot write to the recording: %s.", strerror(errno)) : 0;
}

enum tally_source_state tally_fingerprint_check(const char *path, const char *file,
                                                const char *text, size_t size)
{
    char name[PATH_MAX + 32], *line = NULL;
    size_t room = 0;
    enum tally_source_state state = TALLY_SOURCE_UNKNOWN;
    snprintf(name, sizeof(name), "%s/sources", path);
    FILE *in = fopen(name, "re");
    while (in && state == TALLY_SOURCE_UNKNOWN && getline(&line, &room, in) > 0) {
        unsigned long sum;
        size_t then;
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%lx %zu %n", &sum, &then, &at) == 2 && at && !strcmp(line + at, file))
            state = then == size && sum == fingerprint(text, size) ? TALLY_SOURCE_SAME
                                                                   : TALLY_SOURCE_CHANGED;
    }
    free(line);
    if (in)
        fclose(in);
    return state;
}
