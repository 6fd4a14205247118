/*
 * A profile while it is being made.
 *
 * Functions, paths, threads, processes and cells are entered once and found again by key; what the
 * functions below return stays valid only until the next one is entered.
 */
#ifndef TALLY_PROFILE_BUILDER_H
#define TALLY_PROFILE_BUILDER_H

#include "profile/index.h"
#include "profile/profile.h"

struct builder {
    struct tally_profile *profile;
    struct tally_recording *recording;
    bool addresses;
    uint32_t read_only;
    struct tally_index functions, paths, cells, threads, lifetimes;
    size_t function_room, path_room, cell_room, thread_room, look_room;
    int event_of[TALLY_MAX_COUNTERS];
    double factor_of[TALLY_MAX_COUNTERS];
    int read_only_counters[TALLY_MAX_COUNTERS];
    tally_progress *progress;
    void *progress_context;
    double *startup; /* image x event: before the agent was there, by the kernel's accounts */
    uint32_t *main_threads;                  /* by image */
    double (*accounted)[TALLY_MAX_COUNTERS]; /* by process: by its earlier images */
    char *root_file;  /* that is __main__ in the program asked for; NULL: a module is */
    double done, all; /* chunks */
};

/* What is known while the records of one image are read. */
struct image_state {
    const struct tally_image *image;
    uint32_t number;
    uint32_t process;
    struct code *codes;
    size_t code_count;
    char *main_file, *main_module;
    uint64_t sample_count;
    double written[TALLY_MAX_COUNTERS]; /* weights of samples */
    struct tally_index lives;           /* (slot, life) of threads with final counts */
    struct life {
        double counts[TALLY_MAX_COUNTERS];
        double handler_ns, handler_calls;
    } * life;
};

uint32_t build_function(struct builder *builder, const char *module, const char *name,
                        const char *file, uint32_t first_line);
uint32_t build_path(struct builder *builder, uint32_t parent, uint32_t function, uint32_t line);

/* The path of a bracketed row. */
uint32_t build_special_path(struct builder *builder, const char *name);

/* The values of a cell, one for each event. */
struct tally_value *build_values(struct builder *builder, uint32_t thread, uint32_t path,
                                 uint32_t image, uint64_t pc);

/* Adds an exact amount of an event to a bracketed row. */
void build_exact(struct builder *builder, uint32_t thread, const char *name, int event,
                 double amount);

/* `name` has up to 16 bytes; a later one replaces an earlier. */
uint32_t build_thread(struct builder *builder, uint32_t process, uint32_t tid, const char *name);
uint32_t build_process(struct builder *builder, const struct tally_image_header *header);

/* A process is named as its first thread is in the end. */
void build_process_name(struct builder *builder, uint32_t main_thread);

/* What the kernel told of a thread when it began or ended, in the image. */
void build_lifetime(struct builder *builder, uint32_t process, uint32_t image,
                    const struct tally_life *life);
void build_look(struct builder *builder, const struct tally_look *look);

/* Stands for processes that no agent told of; returns its thread. */
uint32_t build_nobody(struct builder *builder);

/* Notes that an interpreter of this PY_VERSION_HEX ran; 0: none. */
void build_python(struct tally_profile *profile, uint32_t hex);

#endif
