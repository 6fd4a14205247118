/* The environment's strings, apart from the interpreter's heap: see environment.c. */
#ifndef TALLY_AGENT_ENVIRONMENT_H
#define TALLY_AGENT_ENVIRONMENT_H

/* After link_find_interpreter() has found one that is supported, and before it is initialised. */
void environment_set_apart(void);

#endif
