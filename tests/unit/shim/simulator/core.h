/* In place of Valgrind's core, for the unit test of simulator/machine.c: the C library's functions
 * by the core's names. */
#ifndef TALLY_TESTS_SHIM_CORE_H
#define TALLY_TESTS_SHIM_CORE_H

#include <stdlib.h>
#include <string.h>

typedef char HChar;
typedef size_t SizeT;

#define VG_(name) shim_##name

#define shim_strchr                strchr
#define shim_strlen                strlen
#define shim_strncmp               strncmp
#define shim_memset                memset
#define shim_memcpy                memcpy
#define shim_free                  free
#define shim_strtoull10(text, to)  strtoull(text, to, 10)
#define shim_malloc(name, size)    malloc(size)
#define shim_calloc(name, n, size) calloc(n, size)

#endif
