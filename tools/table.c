#include "table.h"

#include "base/buffer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 12 };

void table_cell(struct table *table, const char *format, ...)
{
    va_list args;
    char *text;
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->cells = tally_realloc(table->cells, (size_t)table->room, sizeof(*table->cells));
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = tally_strdup("");
    va_end(args);
    table->cells[table->count++] = text;
}

void table_csv_field(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void print_row(const char *const *cells, int columns, const int *widths, FILE *out)
{
    int last = columns - 1;
    while (widths && last > 0 && !cells[last][0])
        last--; /* no blanks at the end of a line */
    for (int i = 0; i <= last; i++) {
        if (!widths) {
            fputs(i ? "," : "", out);
            table_csv_field(out, cells[i]);
        } else if (i < last) {
            fprintf(out, "%-*s  ", widths[i], cells[i]);
        } else {
            fputs(cells[i], out);
        }
    }
    putc('\n', out);
}

void table_print(const struct table *table, FILE *out, bool csv)
{
    int columns = 0, widths[MAX_COLUMNS];
    for (; table->columns[columns] && columns < MAX_COLUMNS; columns++)
        widths[columns] = (int)strlen(table->columns[columns]);
    if (columns == 0)
        return;
    for (int i = 0; i < table->count; i++)
        if (widths[i % columns] < (int)strlen(table->cells[i]))
            widths[i % columns] = (int)strlen(table->cells[i]);
    print_row(table->columns, columns, csv ? NULL : widths, out);
    for (int i = 0; i + columns <= table->count; i += columns)
        print_row((const char *const *)&table->cells[i], columns, csv ? NULL : widths, out);
}

void table_release(struct table *table)
{
    for (int i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = table->room = 0;
}
