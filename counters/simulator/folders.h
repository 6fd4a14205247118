/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the import system is shown of the folders that it looks for modules in: the same in each
 * run. It keeps the names for as long as the program runs, so that one more, such as the report of
 * the last run, would move everything that its heap has afterwards, and with it what conflicts in a
 * cache or collides in a hash table. What runs leave for the next to find and nobody imports, that
 * is recordings, reports and plots, is not shown to it, nor are the numbers of a folder that count
 * what is in it. Whoever else asks is told everything.
 */
#ifndef TALLY_SIMULATOR_FOLDERS_H
#define TALLY_SIMULATOR_FOLDERS_H

#include "simulator/core.h"

/* After each system call of the running thread. */
void folders_after_call(UInt number, const UWord *arguments, SysRes result);

#endif
