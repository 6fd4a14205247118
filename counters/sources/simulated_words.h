/* Finding in what Valgrind says the little that concerns a user. */
#ifndef TALLY_SOURCES_SIMULATED_WORDS_H
#define TALLY_SOURCES_SIMULATED_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Which instruction it does not know, as in "the instruction 62 f1 in main (program)". */
void tally_words_of_unknown(const char *words, char *out, size_t size);
/* Whether the recording could not be written. */
bool tally_words_of_full(const char *words);
/* Why it gave up, if it did; without a stop at the end. */
bool tally_words_of_failure(const char *words, char *out, size_t size);

#endif
