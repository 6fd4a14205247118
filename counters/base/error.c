#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char text[1024];

static void set_text(const char *format, va_list args)
{
    char next[sizeof(text)]; /* the arguments may point into the old text */
    vsnprintf(next, sizeof(next), format, args);
    snprintf(text, sizeof(text), "%s", next);
}

int tally_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(format, args);
    va_end(args);
    return TALLY_ERROR;
}

int tally_error_code(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(format, args);
    va_end(args);
    return code;
}

const char *tally_error_text(void)
{
    return text;
}
