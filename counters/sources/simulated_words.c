#include "sources/simulated_words.h"

#include "simulator/channel.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Behind what each line may begin with: "==PID== ", and blanks. */
static const char *behind_prefix(const char *line)
{
    if (line[0] == '=' && line[1] == '=') {
        const char *at = line + 2;
        while (isdigit((unsigned char)*at))
            at++;
        if (at > line + 2 && at[0] == '=' && at[1] == '=')
            line = at + 2;
    }
    while (*line == ' ')
        line++;
    return line;
}

/* The line behind the one that `at` is in; NULL: that was the last one. */
static const char *next_line(const char *at)
{
    const char *end = strchr(at, '\n');
    return end && end[1] ? end + 1 : NULL;
}

static size_t length(const char *line)
{
    size_t size = strcspn(line, "\n");
    while (size > 0 && (line[size - 1] == '.' || line[size - 1] == ' '))
        size--;
    return size;
}

static const char *find_line(const char *words, const char *begins)
{
    for (const char *line = words; line; line = next_line(line)) {
        const char *text = behind_prefix(line);
        if (!strncasecmp(text, begins, strlen(begins)))
            return text;
    }
    return NULL;
}

void tally_words_of_unknown(const char *words, char *out, size_t size)
{
    const char *line = find_line(words, TALLY_CHANNEL_UNKNOWN);
    const char *text = line ? line + strlen(TALLY_CHANNEL_UNKNOWN) : "";
    snprintf(out, size, line ? "the instruction %.*s" : "an instruction of the program%.*s",
             (int)length(text), text);
}

bool tally_words_of_full(const char *words)
{
    return find_line(words, TALLY_CHANNEL_FULL);
}

bool tally_words_of_failure(const char *words, char *out, size_t size)
{
    const char *line = find_line(words, "valgrind");
    if (!line)
        return false;
    if (!strncmp(line, "valgrind: ", 10))
        line += 10;
    size_t first = length(line);
    const char *more = first > 0 && line[first - 1] == ':' ? next_line(line) : NULL;
    more = more ? behind_prefix(more) : "";
    snprintf(out, size, "%.*s%s%.*s", (int)first, line, *more ? " " : "", (int)length(more), more);
    return true;
}
