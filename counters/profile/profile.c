#include "profile/profile.h"

#include "base/buffer.h"
#include "base/text.h"
#include "profile/builder.h"
#include "profile/image.h"
#include "profile/intern.h"
#include "profile/remainder.h"

#include <stdlib.h>
#include <string.h>

static void sum_totals(struct tally_profile *profile)
{
    profile->totals = tally_alloc_zeroed(profile->event_count, sizeof(*profile->totals));
    for (size_t i = 0; i < profile->cell_count * profile->event_count; i++) {
        struct tally_value *total = &profile->totals[i % profile->event_count];
        total->sampled += profile->values[i].sampled;
        total->squares += profile->values[i].squares;
        total->exact += profile->values[i].exact;
        total->samples += profile->values[i].samples;
    }
}

static void map_counters(struct builder *builder)
{
    const struct tally_run *run = &builder->recording->run;
    for (int i = 0; i < run->counter_count; i++) {
        int term = 0;
        builder->event_of[i] = tally_run_event_of(run, (unsigned)i, &term);
        const struct tally_event *event = &run->events[builder->event_of[i]].event;
        builder->factor_of[i] = event->terms[term].factor;
        bool is_read = event->read_only || (run->is_clock && i > 0);
        if (is_read)
            builder->read_only_counters[builder->read_only++] = i;
    }
}

struct tally_profile *tally_profile_new(struct tally_recording *recording, bool addresses,
                                        tally_progress *progress, void *context)
{
    struct tally_profile *profile = tally_alloc_zeroed(1, sizeof(*profile));
    struct builder builder = {.profile = profile,
                              .recording = recording,
                              .addresses = addresses,
                              .progress = progress,
                              .progress_context = context};
    double seen[TALLY_MAX_EVENTS] = {0};
    profile->run = &recording->run;
    profile->event_count = (size_t)recording->run.event_count;
    profile->python = tally_strdup("");
    map_counters(&builder);
    builder.startup =
        tally_alloc_zeroed(recording->image_count * profile->event_count, sizeof(*builder.startup));
    builder.main_threads =
        tally_alloc_zeroed(recording->image_count, sizeof(*builder.main_threads));
    profile->image_count = recording->image_count;
    profile->images = tally_alloc_zeroed(recording->image_count, sizeof(*profile->images));
    build_path(&builder, TALLY_NO_PATH, build_function(&builder, "", "[all]", "", 0), 0);
    for (size_t i = 0; i < recording->image_count; i++)
        for (size_t k = 0; k < recording->images[i].slot_count; k++)
            builder.all += 2 * (double)recording->images[i].slots[k].chunk_count;
    for (size_t i = 0; i < recording->image_count; i++)
        image_read(&builder, (uint32_t)i, seen);
    remainder_of_run(&builder, seen);
    profile->unseen_path = build_special_path(&builder, "[not looked at]");
    profile->ready_path = build_special_path(&builder, "[ready, no CPU]");
    profile->unsampled_path = build_special_path(&builder, "[on CPU, not sampled]");
    sum_totals(profile);
    free(builder.root_file);
    free(builder.startup);
    free(builder.main_threads);
    free(builder.accounted);
    tally_index_release(&builder.functions);
    tally_index_release(&builder.paths);
    tally_index_release(&builder.cells);
    tally_index_release(&builder.threads);
    tally_index_release(&builder.lifetimes);
    return profile;
}

void tally_profile_free(struct tally_profile *profile)
{
    if (!profile)
        return;
    for (size_t i = 0; i < profile->process_count; i++)
        free(profile->processes[i].name);
    for (size_t i = 0; i < profile->thread_count; i++)
        free(profile->threads[i].name);
    free(profile->functions);
    free(profile->paths);
    free(profile->processes);
    free(profile->threads);
    free(profile->cells);
    free(profile->loaded);
    free(profile->images);
    free(profile->lifetimes);
    free(profile->looks);
    free(profile->values);
    free(profile->totals);
    free(profile->python);
    tally_interned_free(profile->strings);
    free(profile);
}

bool tally_function_is_special(const struct tally_function *function)
{
    return function->name[0] == '[' && function->file[0] == '\0';
}
