/*
 * Errors of the library.
 *
 * A function that can fail returns 0 or a negative number and leaves one sentence, which says what
 * is wrong and what to do next, in a buffer of the calling thread. Only main() and the commands
 * print it. A named code stands only for failures that a caller is expected to tell apart.
 */
#ifndef TALLY_BASE_ERROR_H
#define TALLY_BASE_ERROR_H

enum {
    TALLY_OK = 0,
    TALLY_ERROR = -1,
    TALLY_NOT_FOUND = -2,   /* the named thing does not exist */
    TALLY_NOT_ALLOWED = -3, /* the kernel refuses; the text says how to allow it */
    TALLY_DAMAGED = -4,     /* a recording's bytes are not what was written */
    TALLY_STAYS_ZERO = -5,  /* the event opens, but this machine does not count it */
};

/* Sets the calling thread's text and returns TALLY_ERROR. */
int tally_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As tally_error(), returning `code`. */
int tally_error_code(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last text set by this thread; "" if none. Borrowed, valid until the next tally_error(). */
const char *tally_error_text(void);

#endif
