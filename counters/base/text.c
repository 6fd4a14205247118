#include "base/text.h"

#include "base/buffer.h"

#include <stdbool.h>
#include <string.h>

/* Length of the well-formed UTF-8 character at `bytes` (RFC 3629), 0 if there is none. */
static size_t character_size(const unsigned char *bytes, size_t size)
{
    static const unsigned lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = bytes[0] < 0x80   ? 1
                    : bytes[0] < 0xc2 ? 0
                    : bytes[0] < 0xe0 ? 2
                    : bytes[0] < 0xf0 ? 3
                    : bytes[0] < 0xf5 ? 4
                                      : 0;
    if (length <= 1 || length > size)
        return length > size ? 0 : length;
    unsigned point = bytes[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    bool ok = point >= lowest[length] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    return ok ? length : 0;
}

static bool is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Keeps the control characters of `kept`. */
static char *clean(const char *bytes, size_t size, const char *kept)
{
    struct tally_buffer text = {0};
    const unsigned char *in = (const unsigned char *)bytes;
    tally_buffer_append(&text, "", 0);
    for (size_t i = 0; i < size;) {
        size_t length = character_size(in + i, size - i);
        bool is_kept = in[i] && strchr(kept, in[i]);
        if (length == 0 || (is_control(in[i]) && !is_kept)) {
            tally_buffer_printf(&text, "\\x%02x", in[i]);
            i++;
        } else {
            tally_buffer_append(&text, in + i, length);
            i += length;
        }
    }
    return text.data;
}

char *tally_text_clean(const char *bytes, size_t size)
{
    return clean(bytes, size, "");
}

char *tally_text_clean_line(const char *bytes, size_t size)
{
    return clean(bytes, size, "\t\f");
}

static void append_quoted(struct tally_buffer *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./,:@%^";
    if (*word && word[strspn(word, plain)] == '\0') {
        tally_buffer_append(text, word, strlen(word));
        return;
    }
    tally_buffer_append(text, "'", 1);
    for (; *word; word++)
        if (*word == '\'')
            tally_buffer_append(text, "'\\''", 4);
        else
            tally_buffer_append(text, word, 1);
    tally_buffer_append(text, "'", 1);
}

char *tally_text_command(char *const argv[])
{
    struct tally_buffer text = {0};
    for (size_t i = 0; argv[i]; i++) {
        if (i)
            tally_buffer_append(&text, " ", 1);
        append_quoted(&text, argv[i]);
    }
    char *clean = tally_text_clean(text.data ? text.data : "", text.size);
    tally_buffer_release(&text);
    return clean;
}

const char *tally_text_short_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (strcmp(name, "__init__.py") != 0 && strcmp(name, "__main__.py") != 0)
        return name;
    while (slash && slash > path && slash[-1] != '/')
        slash--;
    return slash && slash > path ? slash : path;
}
