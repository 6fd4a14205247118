/*
 * Hands image files to simulated processes: the recorder's side of simulator/channel.h.
 */
#ifndef TALLY_RECORDING_HANDOUT_H
#define TALLY_RECORDING_HANDOUT_H

struct tally_handout;

/* Files are made in the folder `directory`. On success *out is the caller's, to be freed. */
int tally_handout_new(struct tally_handout **out, int directory);
void tally_handout_free(struct tally_handout *handout);

/* What the first process inherits: the socket to ask on, and the file for Valgrind's words. They
 * are closed on exec unless the caller has it otherwise; borrowed. */
int tally_handout_socket(const struct tally_handout *handout);
int tally_handout_log(const struct tally_handout *handout);

/* A descriptor that polls readable when a process asks; then call serve. */
int tally_handout_descriptor(const struct tally_handout *handout);
void tally_handout_serve(struct tally_handout *handout);

/* What Valgrind said so far, or the beginning of it; the caller frees. */
char *tally_handout_words(const struct tally_handout *handout);

#endif
