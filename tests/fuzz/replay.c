/*
 * Runs a fuzz target on files, and on mutations of each that are the same every time.
 *
 *   fuzz_NAME MUTATIONS FILE|FOLDER...
 */
#include "fuzz.h"

#include "base/buffer.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 88172645463325252;

static size_t below(size_t most)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return most ? (size_t)(seed % most) : 0;
}

/* As libFuzzer's simpler ones: bits, bytes, words of special value, cuts and copies of a part. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint64_t special[] = {0, UINT64_MAX, 0x80000000, 0x7fffffff, 1, 1u << 16, 255};
    size_t at = below(size), from = below(size), part = below(size - (at > from ? at : from) + 1);
    size_t word = size - at < sizeof(special[0]) ? size - at : sizeof(special[0]);
    switch (below(6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        data[at] = (uint8_t)below(256);
        break;
    case 2:
        memcpy(data + at, &special[below(sizeof(special) / sizeof(special[0]))], below(word + 1));
        break;
    case 3:
        return at + 1;
    default:
        memmove(data + at, data + from, part);
    }
    return size;
}

static void run_mutations(const char *original, size_t size, long mutations)
{
    for (long i = 0; i < mutations && size; i++) {
        uint8_t *data = tally_alloc(size); /* its own, so that ASan sees reading beyond it */
        size_t left = size;
        memcpy(data, original, size);
        for (size_t k = 0; k <= below(4) && left; k++)
            left = mutate(data, left);
        data = tally_realloc(data, left, 1);
        LLVMFuzzerTestOneInput(data, left);
        free(data);
    }
}

static int run_file(const char *path, long mutations)
{
    size_t size;
    char *text = tally_read_file(path, &size);
    if (!text) {
        perror(path);
        return 1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)text, size);
    run_mutations(text, size, mutations);
    free(text);
    return 0;
}

static int run_folder(const char *path, long mutations)
{
    struct dirent **entries;
    int failed = 0, count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return run_file(path, mutations);
    for (int i = 0; i < count; i++) {
        struct tally_buffer name = {0};
        tally_buffer_printf(&name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            failed |= run_file(name.data, mutations);
        tally_buffer_release(&name);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = argc < 3;
    for (int i = 2; i < argc; i++)
        failed |= run_folder(argv[i], strtol(argv[1], NULL, 10));
    return failed;
}
