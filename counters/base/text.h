/* Small text helpers. */
#ifndef TALLY_BASE_TEXT_H
#define TALLY_BASE_TEXT_H

#include <stddef.h>

/*
 * A copy in valid UTF-8 without control characters, which JSON, CSV and terminals can take: bytes
 * that are not become \xNN. The caller frees it.
 */
char *tally_text_clean(const char *bytes, size_t size);

/* Likewise, of a line of source: with its tabs and form feeds. */
char *tally_text_clean_line(const char *bytes, size_t size);

/* `argv` as it could be typed into a shell. The caller frees it. */
char *tally_text_command(char *const argv[]);

/*
 * The end of a path that tells a source file from others on a screen: its name, and the folder too
 * of names that every package has (__init__.py, __main__.py).
 */
const char *tally_text_short_path(const char *path);

#endif
