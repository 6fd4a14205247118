/*
 * Writing a .waits file: chunks of records through a shared mapping, so that what was written
 * survives the recorder's end, and the tables of code objects and call paths behind them.
 */
#ifndef TALLY_RECORDING_WAITS_H
#define TALLY_RECORDING_WAITS_H

#include "python/walk.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tally_waits;

/*
 * `number` is the image's; `bytes_left` is the control page's, borrowed. NULL if the file cannot be
 * made: there is no room on the disk.
 */
struct tally_waits *tally_waits_open(int directory, uint32_t number, pid_t pid,
                                     uint64_t *bytes_left);
void tally_waits_close(struct tally_waits *waits);

/* Appends a record of `size` bytes, a multiple of 8; dropped where there is no room left. */
void tally_waits_put(struct tally_waits *waits, const void *record, size_t size);

struct tally_waits_interpreter {
    const struct py_layout *layout;
    struct py_memory *memory;
    uint64_t code_type; /* address of PyCode_Type */
};

/*
 * Node of the call path `frames`, innermost first, below node `root`; TALLY_NODE_LOST if a code
 * object cannot be read or there is no room.
 */
uint32_t tally_waits_node(struct tally_waits *waits, const struct tally_waits_interpreter *python,
                          const struct py_frame *frames, size_t count, uint32_t root);

#endif
