/* Line tables: whatever the bytes, the decoder ends, and gives no more lines than they can hold. */
#include "fuzz.h"

#include "python/lines.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t first_line = 0, *lines = NULL;
    size_t head = size < sizeof(first_line) ? size : sizeof(first_line);
    memcpy(&first_line, data, head);
    size_t count = py_lines_decode(data + head, size - head, first_line, &lines);
    if (count > 8 * (size - head)) /* 8 units an entry, and an entry is a byte at least */
        abort();
    free(lines);
    return 0;
}
