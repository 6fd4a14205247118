/*
 * The module a source file is, as an import would name it.
 *
 * Recordings do not hold sys.path. It is worked out from where interpreters put things
 * (lib/pythonX.Y, site-packages, dist-packages, lib-dynload), from the archive that a file is in
 * and, elsewhere, from the folders that have an __init__.py.
 */
#ifndef TALLY_PROFILE_MODULE_H
#define TALLY_PROFILE_MODULE_H

/*
 * The name of a source file made absolute against `directory`; pseudo-files such as <frozen os> are
 * left alone. The caller frees the result.
 */
char *tally_module_file(const char *file, const char *directory);

/* The caller frees the result. `file` is absolute, or a pseudo-file such as <frozen os>. */
char *tally_module_of(const char *file);

/*
 * How a program was started, from its arguments one per line ("python3\n-m\njson.tool"): the file
 * that is __main__, absolute against `directory`, or the module that is. Either may be NULL; the
 * caller frees both.
 */
void tally_module_of_program(const char *arguments, const char *directory, char **file,
                             char **module);

#endif
