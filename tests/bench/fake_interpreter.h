/*
 * Frames and code objects in this process's memory, laid out as CPython 3.13's, so that the agent
 * walks them, describes them and numbers their call paths as it does real ones.
 */
#ifndef TALLY_BENCH_FAKE_INTERPRETER_H
#define TALLY_BENCH_FAKE_INTERPRETER_H

#include "agent/agent.h"

enum { FAKE_DEPTH = 20, FAKE_CODES = 500 };

/* Fills agent.python. */
void fake_interpreter_init(void);

/* The thread's stack from now on: FAKE_DEPTH frames, different for each `number`. */
void fake_interpreter_call(uint32_t number);

#endif
