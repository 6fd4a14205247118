/* tallystack export: a recording for the viewers that people already use. */
#include "command.h"
#include "loaded.h"

#include "base/error.h"
#include "base/launch.h"
#include "output/stacks.h"

#include <errno.h>
#include <string.h>

enum { OPTION_FORMAT = 256 };

struct export
{
    const char *input, *event, *output;
    const struct tally_stack_exporter *exporter;
};

static const struct argp_option options[] = {
    {"input", 'i', "REC", 0, "The recording (tallystack.rec)", 0},
    {"format", OPTION_FORMAT, "FORMAT", 0, "folded or speedscope", 0},
    {NULL, 'e', "EVENT", 0, "Only this event (folded: the first one; speedscope: all)", 0},
    {"output", 'o', "FILE", 0, "Write to FILE instead of the standard output", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct export *export = state->input;
    switch (key) {
    case 'i':
        export->input = arg;
        break;
    case 'e':
        export->event = arg;
        break;
    case 'o':
        export->output = arg;
        break;
    case OPTION_FORMAT:
        export->exporter = tally_stack_exporter(arg);
        if (!export->exporter)
            argp_failure(state, TALLY_EXIT_FAILED, 0,
                         "there is no format \"%s\"; there are folded and speedscope.", arg);
        break;
    case ARGP_KEY_ARG:
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "\"%s\" is not expected here; a recording is named with -i.", arg);
        break;
    case ARGP_KEY_END:
        if (!export->exporter)
            argp_failure(state, TALLY_EXIT_FAILED, 0,
                         "name a format: --format folded or --format speedscope.");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp export_argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Write the call stacks of a recording for other viewers: folded for flame graphs "
           "(flamegraph.pl, inferno), speedscope for speedscope.app.",
};

static int write_stacks(const struct loaded *loaded, const struct export *export)
{
    bool is_folded = !strcmp(export->exporter->name, "folded");
    int event =
        export->event || is_folded ? loaded_event(&loaded->recording->run, export->event) : -1;
    FILE *out = stdout;
    struct tally_tree tree;
    if (event < -1)
        return event;
    if (export->output && !(out = fopen(export->output, "we")))
        return tally_error("cannot write \"%s\": %s.", export->output, strerror(errno));
    for (int i = 0; i < loaded->recording->run.missing_count && event < 0; i++)
        fprintf(stderr, "tallystack export: %s is missing: %s\n",
                loaded->recording->run.missing[i].name, loaded->recording->run.missing[i].why);
    tally_tree_make(&tree, loaded->profile, event < 0 ? 0 : event);
    tally_stacks_write(out, &tree, export->exporter, event);
    tally_tree_release(&tree);
    int failed = ferror(out);
    if (export->output)
        failed |= fclose(out) != 0;
    return failed && export->output
               ? tally_error("cannot write \"%s\": %s.", export->output, strerror(errno))
               : 0;
}

int cmd_export(int argc, char **argv)
{
    struct export export = {.input = "tallystack.rec"};
    struct loaded loaded;
    command_parse(&export_argp, argc, argv, NULL, &export);
    if (loaded_open(&loaded, "export", export.input, false) < 0)
        return command_failed("export");
    int status = loaded_status(&loaded);
    if (write_stacks(&loaded, &export) < 0)
        status = command_failed("export");
    loaded_close(&loaded);
    return command_finish("export", status);
}
