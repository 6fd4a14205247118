/* The metric groups as a table. */
#ifndef TALLY_TOOLS_LIST_GROUPS_H
#define TALLY_TOOLS_LIST_GROUPS_H

#include <stdbool.h>

/* Prints the groups that come with the command, each tried; negative with an error. */
int list_groups(bool csv);

#endif
