/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tool: options, threads, forks and execs of the simulated program, and what the library in it
 * (agent/simulated.c) says.
 *
 *   machine.c      caches, branch predictor, counting
 *   instrument.c   the code that is added to the program's
 *   segments.c     the pieces that a translation is counted in
 *   begin.c        when the program begins
 *   attribution.c  which line and call path a count belongs to
 *   cells.c        the tree of call paths and lines, with their counts
 *   codes.c        code objects
 *   tstates.c      thread states in the interpreters' lists
 *   image.c        writing an image of the recording
 *   asking.c       getting its file from the recorder
 *   follow.c       which programs can be simulated
 *   folders.c      what the import system sees of folders
 *   unknown.c      telling of instructions that the core does not know
 */
#include "simulator/asking.h"
#include "simulator/attribution.h"
#include "simulator/channel.h"
#include "simulator/core.h"
#include "simulator/folders.h"
#include "simulator/follow.h"
#include "simulator/image.h"
#include "simulator/instrument.h"
#include "simulator/machine.h"
#include "simulator/requests.h"
#include "simulator/versions.h"
#include "simulator/within.h"

static struct thread **threads; /* by the core's number */
static bool has_started;

/* Threads */

/* Arguments and environment are above the first stack pointer. */
static void on_start(ThreadId id, ULong blocks)
{
    (void)blocks;
    if (!has_started)
        machine_keep_apart(0, VG_(get_SP)(id), VG_(thread_get_stack_max)(id));
    has_started = true;
    if (!threads[id])
        threads[id] = attribution_new_thread((uint32_t)VG_(gettid)());
    attribution_run_thread(threads[id]);
}

/* A signal in the middle of a segment leaves what it has not run subtracted. */
static void on_stop(ThreadId id, ULong blocks)
{
    (void)id;
    (void)blocks;
    for (int i = 0; i < TALLY_RAW_LANES; i++)
        if (machine_run.count[i] < machine_closed.count[i])
            machine_run.count[i] = machine_closed.count[i];
    /* Where a turn ends must not show: what is open may be the next frame's. */
    if (attribution.thread->is_pending)
        return;
    attribution_close();
    machine_settle();
    image_show_progress();
}

static void on_exit(ThreadId id)
{
    if (threads[id] && threads[id] != attribution.thread)
        return;
    attribution_set_tstate(0);
    threads[id] = NULL;
}

/* Processes */

static void on_fork_child(ThreadId id)
{
    for (UInt i = 0; i < VG_N_THREADS; i++)
        if (i != id)
            threads[i] = NULL;
    attribution_reset();
    if (threads[id])
        threads[id]->tid = (uint32_t)VG_(gettid)();
    image_begin();
}

/* Of the core. */
extern Bool VG_(clo_trace_children);

static bool is_executing;

/* An exec that fails though it should not goes on in a second image of the same process. */
static void before_exec(const char *program)
{
    enum follow follow = follow_exec(program);
    is_executing = follow != FOLLOW_FAILS;
    if (!is_executing)
        return;
    image_options.has_left = follow == FOLLOW_NATIVE;
    VG_(clo_trace_children) = follow == FOLLOW_DONE;
    asking_inherit(follow == FOLLOW_DONE);
    attribution_close();
    machine_settle();
    image_end();
    attribution_reset();
}

static void after_failed_exec(void)
{
    if (!is_executing)
        return;
    VG_(clo_trace_children) = True;
    asking_inherit(false);
    image_begin();
}

static void before_call(ThreadId id, UInt number, UWord *arguments, UInt count)
{
    (void)id;
    (void)count;
    if (number == __NR_execve)
        before_exec((const char *)arguments[0]);
    else if (number == __NR_execveat)
        before_exec(NULL);
}

static void after_call(ThreadId id, UInt number, UWord *arguments, UInt count, SysRes result)
{
    (void)id;
    (void)count;
    folders_after_call(number, arguments, result);
    if (number == __NR_execve || number == __NR_execveat)
        after_failed_exec();
    /* The interpreter asks for it when it binds a thread state to the thread. */
    if (number == __NR_gettid)
        attribution_search();
}

/* Requests */

static void take_python(const UWord *arguments)
{
    char reason[PY_REASON_SIZE];
    attribution.layout = py_layout_find((uint32_t)arguments[1], NULL, 0, reason);
    attribution.version = (uint32_t)arguments[1];
    attribution.code_type = arguments[2];
    attribution.text_start = arguments[3];
    attribution.text_end = arguments[4];
    attribution.runtime = arguments[5];
    /* Of one that was loaded late some code ran already, and was not watched. */
    if (attribution.layout && attribution.text_end > attribution.text_start)
        VG_(discard_translations_safely)
    (attribution.text_start, attribution.text_end - attribution.text_start, "tallystack");
}

static Bool on_request(ThreadId id, UWord *arguments, UWord *result)
{
    (void)id;
    *result = 0;
    if (arguments[0] == TALLY_REQUEST_PYTHON) {
        take_python(arguments);
    } else if (arguments[0] == TALLY_REQUEST_REFUSED) {
        image_options.refused_version = (uint32_t)arguments[1];
        VG_(snprintf)
        (image_options.refusal, sizeof(image_options.refusal), "%s", (const char *)arguments[2]);
        *result = (uint32_t)VG_(getpid)() == image_options.root;
    } else if (arguments[0] == TALLY_REQUEST_THREAD) {
        if (attribution.layout)
            attribution_set_tstate(arguments[1]);
    } else if (arguments[0] == TALLY_REQUEST_ASIDE) {
        machine_set_aside();
    } else if (arguments[0] == TALLY_REQUEST_TAKE_UP) {
        machine_take_up();
    } else if (arguments[0] == TALLY_REQUEST_APART) {
        if (arguments[1] < MACHINE_APART)
            machine_keep_apart((unsigned)arguments[1], arguments[2], arguments[3]);
        *result = 1;
    } else {
        return False;
    }
    return True;
}

/* Options */

static uint64_t used;
static bool has_recorder;

static void take_events(const HChar *list)
{
    HChar *end;
    for (const HChar *at = list; *at && image_options.counter_count < TALLY_MAX_COUNTERS;
         at = *end ? end + 1 : end) {
        uint64_t mask = VG_(strtoull16)(at, &end);
        image_options.masks[image_options.counter_count++] = mask;
        used |= mask;
    }
}

static Bool take_option(const HChar *argument)
{
    const HChar *value;
    if (VG_STR_CLO(argument, "--within", within.name))
        return True;
    if (VG_STR_CLO(argument, TALLY_CHANNEL_OPTION, value))
        return has_recorder = asking_option(value);
    if (VG_STR_CLO(argument, "--events", value)) {
        take_events(value);
        return True;
    }
    if (VG_STR_CLO(argument, "--parent", value)) {
        HChar *end;
        if (VG_(strtoll10)(value, &end) == VG_(getppid)())
            image_options.root = (uint32_t)VG_(getpid)();
        return True;
    }
    if (VG_STR_CLO(argument, "--machine", value))
        return machine_option(value);
    return False;
}

static void print_usage(void)
{
    VG_(printf)("    started by \"tallystack record --simulate\"\n");
}

static void print_debug_usage(void)
{
}

static void after_options(void)
{
    if (!has_recorder || !image_options.counter_count) {
        VG_(umsg)("tallystack: this tool is started by \"tallystack record --simulate\".\n");
        VG_(exit)(125);
    }
    versions_on = within.name != NULL;
    follow_init();
    asking_begin();
    machine_init(used);
    image_begin();
    threads = VG_(calloc)("tallystack.threads", VG_N_THREADS, sizeof(*threads));
}

static void at_end(Int status)
{
    (void)status;
    if (attribution.thread)
        attribution_close();
    machine_settle();
    image_end();
}

static void before_options(void)
{
    VG_(details_name)("tallystack");
    VG_(details_version)(NULL);
    VG_(details_description)("counts for Python functions and lines on a model machine");
    VG_(details_copyright_author)("Free software under the GPL, version 2 or later.");
    VG_(details_bug_reports_to)("the tallystack project");
    VG_(details_avg_translation_sizeB)(400);
    VG_(basic_tool_funcs)(after_options, instrument, at_end);
    VG_(needs_superblock_discards)(instrument_discard);
    VG_(needs_command_line_options)(take_option, print_usage, print_debug_usage);
    VG_(needs_client_requests)(on_request);
    VG_(needs_syscall_wrapper)(before_call, after_call);
    VG_(track_start_client_code)(on_start);
    VG_(track_stop_client_code)(on_stop);
    VG_(track_pre_thread_ll_exit)(on_exit);
    VG_(track_pre_deliver_signal)(versions_before_signal);
    VG_(atfork)(NULL, NULL, on_fork_child);
}

VG_DETERMINE_INTERFACE_VERSION(before_options)
