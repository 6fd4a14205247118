/* SPDX-License-Identifier: MIT */
/*
 * What the library in the simulated program (agent/simulated.c) and the tool say to each other, by
 * Valgrind's client requests. Outside Valgrind a request is a few instructions that do nothing.
 */
#ifndef TALLY_SIMULATOR_REQUESTS_H
#define TALLY_SIMULATOR_REQUESTS_H

#include <valgrind.h>

enum {
    /* PY_VERSION_HEX, &PyCode_Type, the range of the interpreter's object, &_PyRuntime */
    TALLY_REQUEST_PYTHON = VG_USERREQ_TOOL_BASE('T', 'S'),
    /* PY_VERSION_HEX, a sentence: not supported. Answers 1 if this is the program asked for */
    TALLY_REQUEST_REFUSED,
    /* the calling thread's PyThreadState, 0 when it has none any more */
    TALLY_REQUEST_THREAD,
    /* what follows is counted, but leaves no trace in the machine */
    TALLY_REQUEST_ASIDE,
    /* it ends */
    TALLY_REQUEST_TAKE_UP,
    /* 1 or 2, start and end of a range that what is known of the environment is in. Answers 1 */
    TALLY_REQUEST_APART,
};

#endif
