/* A diagnosis as text and as CSV. */
#ifndef TALLY_OUTPUT_DIAGNOSIS_H
#define TALLY_OUTPUT_DIAGNOSIS_H

#include "profile/diagnosis.h"

#include <stdio.h>

/* The first line: the program's verdict in plain words. */
void tally_diagnosis_line(FILE *out, const struct tally_diagnosis *diagnosis);
/* At most `limit` processes, threads, functions and waits for the GIL, of each the longest. */
void tally_diagnosis_text(FILE *out, const struct tally_diagnosis *diagnosis, size_t limit);
void tally_diagnosis_csv(FILE *out, const struct tally_diagnosis *diagnosis);

#endif
