/*
 * Seals: as they are, and with the sum that they should end with, which lets the rest of the reader
 * see what no accident would pass to it.
 */
#include "fuzz.h"
#include "scratch.h"

#include "base/buffer.h"
#include "recording/format.h"
#include "recording/seal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCKS = 2, CHECKED = BLOCKS * TALLY_SEAL_BLOCK - 5 };

static void check(const struct tally_seal *seal)
{
    static const char bytes[CHECKED];
    const char *name;
    for (size_t i = 0; (name = tally_seal_name(seal, i)); i++) {
        bool ok[BLOCKS];
        size_t differ = tally_seal_check(seal, name, bytes, sizeof(bytes), ok, NULL);
        if (!differ && !(ok[0] && ok[1]))
            abort();
        tally_seal_check(seal, name, bytes, 0, NULL, NULL);
    }
}

static void read_seal(const void *bytes, size_t size)
{
    struct tally_seal *seal = NULL;
    int directory = open(scratch_file("seal", bytes, size), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = tally_seal_read(&seal, directory);
    if ((result == 0) != (seal != NULL))
        abort();
    if (seal)
        check(seal);
    tally_seal_free(seal);
    close(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tally_buffer text = {0};
    read_seal(data, size);
    tally_buffer_append(&text, data, size);
    tally_buffer_printf(&text, "end %08lx\n", crc32_z(crc32_z(0, NULL, 0), data, size));
    read_seal(text.data, text.size);
    tally_buffer_release(&text);
    return 0;
}
