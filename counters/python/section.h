/*
 * Sections of the files that a running interpreter is made of: the executable, its library and its
 * extension modules. CPython publishes tables of offsets for tools in sections of their own.
 */
#ifndef TALLY_PYTHON_SECTION_H
#define TALLY_PYTHON_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The first `size` bytes of section `name`, from the executable of process `pid` or a library
 * mapped into it whose file name contains `library`; false if none has such a section of that size.
 * 64-bit ELF of this machine's byte order.
 */
bool py_section_read(pid_t pid, const char *library, const char *name, void *out, size_t size);

#endif
