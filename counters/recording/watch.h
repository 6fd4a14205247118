/*
 * The watcher: sees what the workload's threads wait for, from the recorder, and writes it to the
 * recording's .waits files.
 *
 * It looks at the threads in turn and never interrupts one: it reads /proc and, with
 * process_vm_readv, Python's frames. A look stands for the time since the look before. A thread
 * that has not run since then still waits where it did, and is not looked at in full again. Rounds
 * start at least 5 ms apart, at moments that follow neither a rhythm of the program nor what was
 * seen, and as much further apart as the budget asks for.
 */
#ifndef TALLY_RECORDING_WATCH_H
#define TALLY_RECORDING_WATCH_H

#include "recording/format.h"

#include <sys/types.h>

struct tally_watch;

/*
 * `directory` is the recording's and `bytes_left` the control page's; both are borrowed. `share` is
 * how much of one CPU may be used, 0.01 by default. NULL where the kernel gives no timer.
 */
struct tally_watch *tally_watch_new(int directory, double share, uint64_t *bytes_left);
void tally_watch_free(struct tally_watch *watch);

/* A process image began; `header` is borrowed until tally_watch_free(). */
void tally_watch_add(struct tally_watch *watch, uint32_t number, pid_t pid,
                     const struct tally_image_header *header);

/* A descriptor that polls readable when a round is due; then call look. */
int tally_watch_descriptor(const struct tally_watch *watch);
void tally_watch_look(struct tally_watch *watch);

/* CPU time that looking has cost, in ns. */
uint64_t tally_watch_cost(const struct tally_watch *watch);

/* The sentence what could not be seen, and why; NULL if nothing. Borrowed. */
const char *tally_watch_gap(const struct tally_watch *watch);

/* Likewise, of the tasks that event loops wait for. */
const char *tally_watch_tasks_gap(const struct tally_watch *watch);

#endif
