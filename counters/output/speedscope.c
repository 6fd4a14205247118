/* After the file format of speedscope (its file-format-spec.ts): "sampled" profiles that share
 * frames. */
#include "output/exporters.h"

#include "base/buffer.h"

#include <jansson.h>
#include <stdlib.h>

struct speedscope {
    json_t **samples, **weights; /* one array per event */
    json_t *frames;
    int *frame_of; /* by function; -1: not yet */
    double *ends;
};

static void begin(struct tally_stack_context *context)
{
    const struct tally_profile *profile = context->tree->profile;
    struct speedscope *state = tally_alloc_zeroed(1, sizeof(*state));
    state->samples = tally_alloc_zeroed(profile->event_count, sizeof(*state->samples));
    state->weights = tally_alloc_zeroed(profile->event_count, sizeof(*state->weights));
    state->ends = tally_alloc_zeroed(profile->event_count, sizeof(*state->ends));
    state->frame_of = tally_alloc_zeroed(profile->function_count, sizeof(*state->frame_of));
    state->frames = json_array();
    for (size_t i = 0; i < profile->function_count; i++)
        state->frame_of[i] = -1;
    for (size_t i = 0; i < profile->event_count; i++) {
        state->samples[i] = json_array();
        state->weights[i] = json_array();
    }
    context->private = state;
}

static int frame_of(struct speedscope *state, const struct tally_profile *profile,
                    uint32_t function_index)
{
    const struct tally_function *function = &profile->functions[function_index];
    if (state->frame_of[function_index] >= 0)
        return state->frame_of[function_index];
    json_t *frame = json_pack("{s:s}", "name", function->name);
    if (*function->file) {
        json_object_set_new(frame, "file", json_string(function->file));
        json_object_set_new(frame, "line", json_integer(function->first_line));
    }
    state->frame_of[function_index] = (int)json_array_size(state->frames);
    json_array_append_new(state->frames, frame);
    return state->frame_of[function_index];
}

static void stack(struct tally_stack_context *context, const uint32_t *path, size_t depth,
                  int event)
{
    struct speedscope *state = context->private;
    const struct tally_tree *tree = context->tree;
    json_t *frames = json_array();
    for (size_t i = 0; i < depth; i++)
        json_array_append_new(
            frames, json_integer(frame_of(state, tree->profile, tree->nodes[path[i]].function)));
    double weight = tree->self[path[depth - 1] * tree->profile->event_count + (size_t)event];
    json_array_append_new(state->samples[event], frames);
    json_array_append_new(state->weights[event], json_real(weight));
    state->ends[event] += weight;
}

static json_t *profile_json(struct tally_stack_context *context, int index)
{
    struct speedscope *state = context->private;
    const struct tally_event *event = &context->tree->profile->run->events[index].event;
    char name[160];
    snprintf(name, sizeof(name), "%s (%s)", event->name, tally_source_name(event->source));
    return json_pack("{s:s, s:s, s:s, s:f, s:f, s:O, s:O}", "type", "sampled", "name", name, "unit",
                     event->unit == TALLY_UNIT_NS ? "nanoseconds" : "none", "startValue", 0.0,
                     "endValue", state->ends[index], "samples", state->samples[index], "weights",
                     state->weights[index]);
}

static void end(struct tally_stack_context *context)
{
    struct speedscope *state = context->private;
    const struct tally_profile *profile = context->tree->profile;
    json_t *profiles = json_array();
    for (int i = 0; i < (int)profile->event_count; i++)
        if (context->event < 0 || context->event == i)
            json_array_append_new(profiles, profile_json(context, i));
    json_t *file = json_pack("{s:s, s:s, s:s, s:o, s:{s:O}}", "$schema",
                             "https://www.speedscope.app/file-format-schema.json", "exporter",
                             "tallystack", "name", profile->run->command, "profiles", profiles,
                             "shared", "frames", state->frames);
    json_dumpf(file, context->out, JSON_COMPACT);
    fputc('\n', context->out);
    json_decref(file);
    json_decref(state->frames);
    for (size_t i = 0; i < profile->event_count; i++) {
        json_decref(state->samples[i]);
        json_decref(state->weights[i]);
    }
    free(state->samples);
    free(state->weights);
    free(state->ends);
    free(state->frame_of);
    free(state);
}

const struct tally_stack_exporter tally_speedscope_exporter = {
    .name = "speedscope",
    .begin = begin,
    .stack = stack,
    .end = end,
};
