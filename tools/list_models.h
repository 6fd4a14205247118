/* The models of record --simulate as a table. */
#ifndef TALLY_TOOLS_LIST_MODELS_H
#define TALLY_TOOLS_LIST_MODELS_H

#include <stdbool.h>

/* Prints the models that come with the command, and this machine; negative with an error. */
int list_models(bool csv);

#endif
