/* The call tree, and what is written of it for other viewers. */
#include "base/buffer.h"
#include "fake_recording.h"
#include "output/stacks.h"
#include "profile/tree.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAIN "/home/user/program.py"

struct opened {
    struct fake_recording *fake;
    struct tally_recording *recording;
    struct tally_profile *profile;
    struct tally_tree tree;
};

/*
 * main -> work (from two lines) -> step 40 and 20; main -> rest 25; work of another thread, with no
 * caller, 10; main itself 5. A second event has 3 in step.
 */
static void open_tree(struct opened *opened, int sort)
{
    struct fake_recording *fake = fake_new();
    *opened = (struct opened){.fake = fake};
    fake_event(fake, "page-faults", 1, 100);
    fake_event(fake, "context-switches", 1, 3);
    struct fake_image *image = fake_image(fake, 100, "python3\nprogram.py");
    fake_code(image, 0, 1, "main", MAIN, 1);
    fake_code(image, 0, 2, "work", MAIN, 10);
    fake_code(image, 0, 3, "step; by step", MAIN, 20);
    fake_code(image, 0, 4, "rest", MAIN, 30);
    fake_node(image, 0, 0, 0, 1, 0);
    fake_node(image, 0, 1, fake_id(0), 2, 1);
    fake_node(image, 0, 2, fake_id(0), 2, 2);
    fake_node(image, 0, 3, fake_id(1), 3, 0);
    fake_node(image, 0, 4, fake_id(2), 3, 0);
    fake_node(image, 0, 5, fake_id(0), 4, 0);
    fake_sample(image, 0, 0, fake_id(3), 40);
    fake_sample(image, 0, 0, fake_id(4), 20);
    fake_sample(image, 0, 1, fake_id(4), 3);
    fake_sample(image, 0, 0, fake_id(5), 25);
    fake_sample(image, 0, 0, fake_id(0), 5);
    fake_node(image, 1, 0, 0, 2, 1);
    fake_sample(image, 1, 0, fake_id(0), 10);
    fake_write(fake, true);
    assert_int_equal(tally_recording_open(&opened->recording, fake->path), 0);
    opened->profile = tally_profile_new(opened->recording, false, NULL, NULL);
    tally_tree_make(&opened->tree, opened->profile, sort);
}

static void close_tree(struct opened *opened)
{
    tally_tree_release(&opened->tree);
    tally_profile_free(opened->profile);
    tally_recording_close(opened->recording);
    fake_free(opened->fake);
}

static const char *name_of(const struct tally_tree *tree, uint32_t node)
{
    return tree->profile->functions[tree->nodes[node].function].name;
}

static void assert_node(const struct tally_tree *tree, uint32_t node, const char *name,
                        uint32_t depth, double self, double inclusive)
{
    size_t events = tree->profile->event_count;
    assert_true(node != 0);
    assert_string_equal(name_of(tree, node), name);
    assert_int_equal(tree->nodes[node].depth, depth);
    assert_true(tree->self[node * events] == self);
    assert_true(tree->inclusive[node * events] == inclusive);
}

static void test_tree(void **state)
{
    struct opened opened;
    const struct tally_tree *tree = &opened.tree;
    (void)state;
    open_tree(&opened, 0);
    assert_true(tree->inclusive[0] == 100 && tree->inclusive[1] == 3);
    assert_true(tree->self[0] == 0);
    uint32_t node = tree->nodes[0].first_child;
    assert_node(tree, node, "main", 1, 5, 90);
    uint32_t other = tree->nodes[node].next_sibling;
    assert_node(tree, other, "work", 1, 10, 10);
    while ((other = tree->nodes[other].next_sibling)) /* bracketed rows that nothing is in */
        assert_true(tree->inclusive[(size_t)other * 2] == 0);
    node = tree->nodes[node].first_child;
    assert_node(tree, node, "work", 2, 0, 60); /* of both lines */
    assert_node(tree, tree->nodes[node].next_sibling, "rest", 2, 25, 25);
    node = tree->nodes[node].first_child;
    assert_node(tree, node, "step; by step", 3, 60, 60);
    assert_true(tree->self[(size_t)node * 2 + 1] == 3 && tree->samples[(size_t)node * 2] == 2);
    assert_int_equal(tree->nodes[node].first_child, 0);
    for (uint32_t i = 1; i < tree->count; i++)
        assert_true(tree->nodes[i].parent < i);
    close_tree(&opened);
}

static char *written(const struct opened *opened, const char *format, int event)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    tally_stacks_write(out, &opened->tree, tally_stack_exporter(format), event);
    fclose(out);
    return text;
}

static void test_folded(void **state)
{
    struct opened opened;
    (void)state;
    open_tree(&opened, 0);
    char *text = written(&opened, "folded", 0);
    assert_string_equal(text, "__main__.main 5\n"
                              "__main__.main;__main__.work;__main__.step,_by_step 60\n"
                              "__main__.main;__main__.rest 25\n"
                              "__main__.work 10\n");
    free(text);
    text = written(&opened, "folded", 1);
    assert_string_equal(text, "__main__.main;__main__.work;__main__.step,_by_step 3\n");
    free(text);
    close_tree(&opened);
}

/* As https://www.speedscope.app/file-format-schema.json wants it. */
static void assert_sampled_profile(const json_t *profile, size_t frame_count, double end)
{
    const json_t *samples = json_object_get(profile, "samples");
    const json_t *weights = json_object_get(profile, "weights");
    double sum = 0;
    assert_string_equal(json_string_value(json_object_get(profile, "type")), "sampled");
    assert_true(json_is_string(json_object_get(profile, "name")));
    assert_true(json_number_value(json_object_get(profile, "startValue")) == 0);
    assert_true(json_number_value(json_object_get(profile, "endValue")) == end);
    assert_int_equal(json_array_size(samples), json_array_size(weights));
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const json_t *stack = json_array_get(samples, i);
        assert_true(json_array_size(stack) > 0);
        for (size_t k = 0; k < json_array_size(stack); k++)
            assert_in_range(json_integer_value(json_array_get(stack, k)), 0, frame_count - 1);
        sum += json_number_value(json_array_get(weights, i));
    }
    assert_true(sum == end);
}

static void test_speedscope(void **state)
{
    struct opened opened;
    json_error_t problem;
    (void)state;
    open_tree(&opened, 0);
    char *text = written(&opened, "speedscope", -1);
    json_t *file = json_loads(text, 0, &problem);
    assert_non_null(file);
    assert_string_equal(json_string_value(json_object_get(file, "$schema")),
                        "https://www.speedscope.app/file-format-schema.json");
    json_t *frames = json_object_get(json_object_get(file, "shared"), "frames");
    json_t *profiles = json_object_get(file, "profiles");
    assert_int_equal(json_array_size(frames), 4);
    for (size_t i = 0; i < json_array_size(frames); i++) {
        json_t *frame = json_array_get(frames, i);
        assert_true(json_is_string(json_object_get(frame, "name")));
        assert_string_equal(json_string_value(json_object_get(frame, "file")), MAIN);
        assert_true(json_integer_value(json_object_get(frame, "line")) > 0);
    }
    assert_int_equal(json_array_size(profiles), 2);
    assert_sampled_profile(json_array_get(profiles, 0), 4, 100);
    assert_sampled_profile(json_array_get(profiles, 1), 4, 3);
    json_decref(file);
    free(text);
    text = written(&opened, "speedscope", 1);
    file = json_loads(text, 0, &problem);
    assert_int_equal(json_array_size(json_object_get(file, "profiles")), 1);
    json_decref(file);
    free(text);
    close_tree(&opened);
}

static void test_order_by_another_event(void **state)
{
    struct opened opened;
    (void)state;
    open_tree(&opened, 1);
    uint32_t node = opened.tree.nodes[0].first_child;
    assert_string_equal(name_of(&opened.tree, node), "main");
    node = opened.tree.nodes[node].first_child;
    assert_string_equal(name_of(&opened.tree, node), "work");
    close_tree(&opened);
}

static void test_unknown_format(void **state)
{
    (void)state;
    assert_null(tally_stack_exporter("nonsense"));
    assert_null(tally_stack_exporter(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),           cmocka_unit_test(test_folded),
        cmocka_unit_test(test_speedscope),     cmocka_unit_test(test_order_by_another_event),
        cmocka_unit_test(test_unknown_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
