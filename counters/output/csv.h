/* CSV after RFC 4180. */
#ifndef TALLY_OUTPUT_CSV_H
#define TALLY_OUTPUT_CSV_H

#include <stdio.h>

/* One field, quoted where needed. */
void tally_csv_field(FILE *out, const char *text);

/* A number without a needless fraction; exact for whole numbers up to 2^53. */
void tally_csv_number(FILE *out, double number);

#endif
