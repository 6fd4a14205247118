/* SPDX-License-Identifier: MIT */
/*
 * How a simulated process gets the file for its image.
 *
 * The recorder hands one end of a pair of sockets (SOCK_SEQPACKET) down to the program, whose forks
 * and execs inherit it, out of their reach. A process that begins sends a message,
 * TALLY_CHANNEL_ASK and one end of a pair of its own. There the recorder answers with struct
 * tally_channel_image and a descriptor of a new file; the other end is closed without an answer if
 * there is none. Who holds the inherited end may ask, of whatever user, in whatever root and
 * namespaces; nobody else can.
 *
 * With the socket comes a file that what Valgrind says is written to.
 */
#ifndef TALLY_SIMULATOR_CHANNEL_H
#define TALLY_SIMULATOR_CHANNEL_H

#include <stdint.h>

enum { TALLY_CHANNEL_ASK = 0x54534131 };

/* "SOCKET,FILE": their numbers in the process. */
#define TALLY_CHANNEL_OPTION "--recorder"

struct tally_channel_image {
    uint32_t pid; /* of the asker, as the recorder sees it */
};

/* How a line in Valgrind's words begins that says which instruction it does not know. */
#define TALLY_CHANNEL_UNKNOWN "tallystack: unknown instruction "

/* And one that says that the recording could not be written. */
#define TALLY_CHANNEL_FULL "tallystack: the recording cannot be written"

#endif
