#include "output/csv.h"

#include <math.h>
#include <string.h>

void tally_csv_field(FILE *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void tally_csv_number(FILE *out, double number)
{
    if (number == floor(number) && fabs(number) < 9007199254740992.0)
        fprintf(out, "%.0f", number);
    else
        fprintf(out, "%.3f", number);
}
