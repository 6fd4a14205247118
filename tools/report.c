/* tallystack report: tables and the call tree of a recording. */
#include "command.h"
#include "loaded.h"

#include "base/error.h"
#include "base/launch.h"
#include "base/parse.h"
#include "output/call_tree.h"
#include "output/report.h"
#include "output/report_metrics.h"
#include "profile/accounts.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_BY = 256, OPTION_TREE, OPTION_SORT, OPTION_LIMIT, OPTION_CSV, DEFAULT_LIMIT = 25 };

struct report {
    const char *input, *sort, *group;
    int by;
    uint64_t limit;
    bool is_tree, is_csv, has_limit, is_waits;
};

static const struct argp_option options[] = {
    {"input", 'i', "REC", 0, "The recording (tallystack.rec)", 0},
    {"event", 'e', "waits", 0,
     "Show where threads spent wall time, running and waiting, instead of the events", 0},
    {"group", 'g', "GROUP", 0, "Show the metrics of a group (see tallystack list --groups)", 0},
    {"by", OPTION_BY, "WHAT", 0,
     "One row per function (the default), line, module, thread, process or native symbol", 0},
    {"tree", OPTION_TREE, NULL, 0, "The call tree, with self and inclusive counts", 0},
    {"sort", OPTION_SORT, "EVENT", 0, "Sort by this event (the first one)", 0},
    {"limit", OPTION_LIMIT, "N", 0, "Show N rows at most (25); 0 shows all", 0},
    {"csv", OPTION_CSV, NULL, 0, "Print CSV with a header row", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct report *report = state->input;
    switch (key) {
    case 'i':
        report->input = arg;
        break;
    case 'g':
        report->group = arg;
        break;
    case OPTION_BY:
        for (report->by = 0; report->by < TALLY_VIEW_KINDS; report->by++)
            if (!strcmp(tally_view_names[report->by], arg))
                return 0;
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "there is no view by \"%s\"; there are function, line, module, thread, "
                     "process and native.",
                     arg);
        break;
    case 'e':
        if (strcmp(arg, "waits") != 0)
            argp_failure(state, TALLY_EXIT_FAILED, 0,
                         "-e takes \"waits\" here; all events of a recording are shown without it, "
                         "and --sort chooses one.");
        report->is_waits = true;
        break;
    case OPTION_TREE:
        report->is_tree = true;
        break;
    case OPTION_SORT:
        report->sort = arg;
        break;
    case OPTION_LIMIT:
        report->has_limit = true;
        if (tally_parse_count(arg, "the limit", &report->limit) < 0)
            argp_failure(state, TALLY_EXIT_FAILED, 0, "%s", tally_error_text());
        break;
    case OPTION_CSV:
        report->is_csv = true;
        break;
    case ARGP_KEY_ARG:
        argp_failure(state, TALLY_EXIT_FAILED, 0,
                     "\"%s\" is not expected here; a recording is named with -i.", arg);
        break;
    case ARGP_KEY_END:
        if (report->is_tree && report->by != TALLY_VIEW_FUNCTION)
            argp_failure(state, TALLY_EXIT_FAILED, 0, "--tree shows functions, by nothing else.");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp report_argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Show what a recording counted, and where.\vEvery number comes with its 95 % interval, "
           "or is exact. The columns of --csv are described in the manual page.",
};

static void print_view(const struct tally_profile *profile, const struct report *report, int sort)
{
    struct tally_symbols *symbols = NULL;
    struct tally_view view;
    if (report->by == TALLY_VIEW_NATIVE) {
        symbols = tally_symbols_new(profile);
        loaded_resolve(symbols);
    }
    tally_view_make(&view, (enum tally_view_kind)report->by, profile, symbols, sort);
    if (report->is_csv)
        tally_report_csv(stdout, &view, report->has_limit ? report->limit : 0);
    else
        tally_report_text(stdout, &view, report->limit, sort);
    tally_view_release(&view);
    tally_symbols_free(symbols);
}

static void print_metrics(const struct tally_profile *profile, const struct report *report,
                          const struct tally_group *group, int sort)
{
    const char *names[2 * TALLY_MAX_EVENTS];
    const struct tally_run *run = profile->run;
    struct tally_view view;
    int count = 0;
    for (int e = 0; e < run->event_count; e++)
        names[count++] = run->events[e].event.name;
    for (int e = 0; e < run->missing_count; e++)
        names[count++] = run->missing[e].name;
    const struct tally_variant *variant = tally_group_variant_with(group, names, count);
    tally_view_make(&view, (enum tally_view_kind)report->by, profile, NULL, sort);
    if (report->is_csv)
        tally_report_metrics_csv(stdout, &view, variant, report->has_limit ? report->limit : 0);
    else
        tally_report_metrics_text(stdout, &view, variant, report->limit);
    tally_view_release(&view);
}

static void print_tree(const struct tally_profile *profile, const struct report *report, int sort)
{
    struct tally_tree tree;
    tally_tree_make(&tree, profile, sort);
    if (report->is_csv)
        tally_tree_csv(stdout, &tree, report->has_limit ? report->limit : 0, sort);
    else
        tally_tree_text(stdout, &tree, report->has_limit ? report->limit : 200, sort);
    tally_tree_release(&tree);
}

/* The kind of waiting that most time is in; running, if no thread was seen to wait. */
static int longest_account(const struct tally_accounts *accounts)
{
    const struct tally_profile *profile = &accounts->as_profile;
    int longest = -1;
    for (int account = TALLY_STATE_RUNNABLE + 1; account < TALLY_ACCOUNT_UNSEEN; account++) {
        int event = accounts->event_of[account];
        if (event >= 0 && (longest < 0 || tally_profile_total(profile, event) >
                                              tally_profile_total(profile, longest)))
            longest = event;
    }
    return longest < 0 ? 0 : longest;
}

/* What the recording counted, or, where `accounts` is not NULL, these. */
static int print_profile(const struct loaded *loaded, const struct tally_accounts *accounts,
                         const struct report *report, const struct tally_group *group)
{
    const struct tally_profile *profile = accounts ? &accounts->as_profile : loaded->profile;
    int sort = accounts && !report->sort ? longest_account(accounts)
                                         : loaded_event(profile->run, report->sort);
    if (sort < 0)
        return sort;
    if (!report->is_csv)
        tally_report_heading(stdout, loaded->recording, loaded->profile);
    if (group)
        print_metrics(profile, report, group, sort);
    else if (report->is_tree)
        print_tree(profile, report, sort);
    else
        print_view(profile, report, sort);
    return 0;
}

static int print_waits(const struct loaded *loaded, const struct report *report)
{
    struct tally_accounts *accounts = tally_accounts_new(loaded->profile);
    int result;
    if (report->by == TALLY_VIEW_NATIVE)
        result = tally_error("waits are not known by native symbol; use --by line.");
    else if (!accounts->as_profile.event_count)
        result = tally_accounts_refuse(accounts);
    else
        result = print_profile(loaded, accounts, report, NULL);
    tally_accounts_free(accounts);
    return result;
}

static int print_group(const struct loaded *loaded, const struct report *report)
{
    struct tally_group *group = NULL;
    if (report->is_tree || report->is_waits || report->by == TALLY_VIEW_NATIVE)
        return tally_error("-g goes with none of --tree, -e waits and --by native.");
    int result = tally_group_load(&group, report->group);
    if (result == 0)
        result = print_profile(loaded, NULL, report, group);
    tally_group_free(group);
    return result;
}

int cmd_report(int argc, char **argv)
{
    struct report report = {.input = "tallystack.rec", .limit = DEFAULT_LIMIT};
    struct loaded loaded;
    command_parse(&report_argp, argc, argv, NULL, &report);
    if (loaded_open(&loaded, "report", report.input, report.by == TALLY_VIEW_NATIVE) < 0)
        return command_failed("report");
    int status = loaded_status(&loaded);
    int result = report.group      ? print_group(&loaded, &report)
                 : report.is_waits ? print_waits(&loaded, &report)
                                   : print_profile(&loaded, NULL, &report, NULL);
    if (result < 0)
        status = command_failed("report");
    loaded_close(&loaded);
    return command_finish("report", status);
}
