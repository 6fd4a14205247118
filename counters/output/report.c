#include "output/report.h"

#include "base/buffer.h"
#include "base/text.h"
#include "output/csv.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>

/* CSV */

enum {
    IN_FUNCTION = 1 << TALLY_VIEW_FUNCTION,
    IN_LINE = 1 << TALLY_VIEW_LINE,
    IN_MODULE = 1 << TALLY_VIEW_MODULE,
    IN_THREAD = 1 << TALLY_VIEW_THREAD,
    IN_PROCESS = 1 << TALLY_VIEW_PROCESS,
    IN_NATIVE = 1 << TALLY_VIEW_NATIVE,
    IN_CODE = IN_FUNCTION | IN_LINE | IN_NATIVE,
    IN_ALL = IN_CODE | IN_MODULE | IN_THREAD | IN_PROCESS,
};

struct field {
    const struct tally_row *row;
    const char *event, *unit, *source;
    const struct tally_row_value *value; /* NULL: the event is missing */
    double running;
};

static void print_process(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->process);
}

static void print_thread(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->thread);
}

static void print_module(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->module);
}

static void print_function(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->function);
}

static void print_file(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->file);
}

static void print_line(FILE *out, const struct field *field)
{
    if (field->row->line)
        fprintf(out, "%" PRIu32, field->row->line);
}

static void print_native(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->row->native);
}

static void print_event(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->event);
}

static void print_unit(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->unit);
}

static void print_source(FILE *out, const struct field *field)
{
    tally_csv_field(out, field->source);
}

static void print_self(FILE *out, const struct field *field)
{
    tally_csv_number(out, field->value->self);
}

static void print_inclusive(FILE *out, const struct field *field)
{
    tally_csv_number(out, field->value->inclusive);
}

static void print_samples(FILE *out, const struct field *field)
{
    fprintf(out, "%" PRIu64, field->value->samples);
}

static void print_low(FILE *out, const struct field *field)
{
    if (field->value->has_interval)
        tally_csv_number(out, field->value->low);
}

static void print_high(FILE *out, const struct field *field)
{
    if (field->value->has_interval)
        tally_csv_number(out, field->value->high);
}

static void print_running(FILE *out, const struct field *field)
{
    fprintf(out, "%.4g", field->running);
}

static const struct column {
    const char *name;
    unsigned views;
    void (*print)(FILE *out, const struct field *field);
    bool is_value; /* empty where the event is missing */
} columns[] = {
    {"process", IN_THREAD | IN_PROCESS, print_process, false},
    {"thread", IN_THREAD, print_thread, false},
    {"module", IN_CODE | IN_MODULE, print_module, false},
    {"function", IN_CODE, print_function, false},
    {"file", IN_CODE, print_file, false},
    {"line", IN_CODE, print_line, false},
    {"native", IN_NATIVE, print_native, false},
    {"event", IN_ALL, print_event, false},
    {"unit", IN_ALL, print_unit, false},
    {"source", IN_ALL, print_source, false},
    {"self", IN_ALL, print_self, true},
    {"inclusive", IN_ALL, print_inclusive, true},
    {"samples", IN_ALL, print_samples, true},
    {"self_low", IN_ALL, print_low, true},
    {"self_high", IN_ALL, print_high, true},
    {"running", IN_ALL, print_running, true},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static void csv_line(FILE *out, unsigned mask, const struct field *field)
{
    const char *separator = "";
    for (size_t c = 0; c < COLUMNS; c++)
        if (columns[c].views & mask) {
            fputs(separator, out);
            if (field->value || !columns[c].is_value)
                columns[c].print(out, field);
            separator = ",";
        }
    fputs("\n", out);
}

static void csv_row(FILE *out, unsigned mask, const struct tally_row *row,
                    const struct tally_run *run)
{
    for (int e = 0; e < run->event_count; e++) {
        const struct tally_event *event = &run->events[e].event;
        csv_line(out, mask,
                 &(struct field){.row = row,
                                 .event = event->name,
                                 .unit = tally_unit_name(event->unit),
                                 .source = tally_source_name(event->source),
                                 .value = &row->values[e],
                                 .running = run->events[e].running});
    }
    for (int e = 0; e < run->missing_count; e++)
        csv_line(out, mask,
                 &(struct field){.row = row,
                                 .event = run->missing[e].name,
                                 .unit = run->missing[e].unit,
                                 .source = run->missing[e].source});
}

void tally_report_csv(FILE *out, const struct tally_view *view, size_t limit)
{
    const char *separator = "";
    unsigned mask = 1u << view->kind;
    for (size_t c = 0; c < COLUMNS; c++)
        if (columns[c].views & mask) {
            fprintf(out, "%s%s", separator, columns[c].name);
            separator = ",";
        }
    fputs("\n", out);
    for (size_t i = 0; i < view->row_count && (!limit || i < limit); i++)
        csv_row(out, mask, &view->rows[i], view->profile->run);
}

/* Text */

const char *tally_format_value(char *out, size_t room, double value, enum tally_unit unit)
{
    if (unit == TALLY_UNIT_NS) {
        if (fabs(value) >= 1e9)
            snprintf(out, room, "%.3f s", value / 1e9);
        else
            snprintf(out, room, "%.2f ms", value / 1e6);
        return out;
    }
    char digits[32];
    int size = snprintf(digits, sizeof(digits), "%.0f", value);
    size_t used = 0;
    for (int i = 0; i < size && used + 2 < room; i++) {
        if (i && (size - i) % 3 == 0 && digits[i - 1] != '-')
            out[used++] = ' ';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

static double per_cent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* The columns of a terminal; 0: no terminal, and no bound. */
static size_t width_of(FILE *out)
{
    struct winsize size = {0};
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/*
 * Which events, and behind them missing ones, there is room for beside the sorted one and a name;
 * returns how many are not.
 */
static size_t choose_events(FILE *out, const struct tally_run *run, int sort, bool *shown)
{
    enum { SORTED = 43, OTHER = 22, NAME = 40 };
    size_t width = width_of(out), used = SORTED + NAME, hidden = 0;
    size_t count = (size_t)run->event_count + (size_t)run->missing_count;
    for (size_t e = 0; e < count; e++) {
        shown[e] = (int)e == sort || !width || used + OTHER <= width;
        used += shown[e] && (int)e != sort ? OTHER : 0;
        hidden += !shown[e];
    }
    return hidden;
}

static const char *column_name(const struct tally_run *run, size_t column)
{
    size_t events = (size_t)run->event_count;
    return column < events ? run->events[column].event.name : run->missing[column - events].name;
}

static void print_value_heading(FILE *out, const struct tally_run *run, int sort, const bool *shown)
{
    size_t count = (size_t)run->event_count + (size_t)run->missing_count;
    for (size_t e = 0; e < count; e++) {
        if (!shown[e])
            continue;
        const char *name = column_name(run, e);
        if ((int)e == sort)
            fprintf(out, "%-41.41s  ", name);
        else
            fprintf(out, "%-20.20s  ", name);
    }
    fputc('\n', out);
    for (size_t e = 0; e < count; e++) {
        if (!shown[e])
            continue;
        if ((int)e == sort)
            fprintf(out, "%12s %6s %13s %7s  ", "self", "%", "95 % of it", "incl. %");
        else
            fprintf(out, "%13s %6s  ", "self", "%");
    }
}

static void print_values(FILE *out, const struct tally_profile *profile,
                         const struct tally_row *row, int sort, const bool *shown_events)
{
    for (size_t e = 0; e < profile->event_count; e++) {
        if (!shown_events[e])
            continue;
        const struct tally_row_value *value = &row->values[e];
        enum tally_unit unit = profile->run->events[e].event.unit;
        double total = tally_profile_total(profile, (int)e);
        char self[32], range[32];
        tally_format_value(self, sizeof(self), value->self, unit);
        if ((int)e != sort) {
            fprintf(out, "%13s %6.1f  ", self, per_cent(value->self, total));
            continue;
        }
        if (value->is_exact)
            snprintf(range, sizeof(range), "exact");
        else if (!value->has_interval)
            snprintf(range, sizeof(range), "-");
        else
            snprintf(range, sizeof(range), "%.1f-%.1f", per_cent(value->low, total),
                     fmin(100, per_cent(value->high, total)));
        fprintf(out, "%12s %6.1f %13s %7.1f  ", self, per_cent(value->self, total), range,
                per_cent(value->inclusive, total));
    }
    for (int e = 0; e < profile->run->missing_count; e++)
        if (shown_events[profile->event_count + (size_t)e])
            fprintf(out, "%13s %6s  ", "-", "-");
}

static void print_row_name(FILE *out, const struct tally_view *view, const struct tally_row *row)
{
    bool has_file = row->file && *row->file;
    switch (view->kind) {
    case TALLY_VIEW_PROCESS:
        fprintf(out, "%s", row->process);
        break;
    case TALLY_VIEW_THREAD:
        fprintf(out, "%s%s%s", row->process, *row->thread ? "  thread " : "", row->thread);
        break;
    case TALLY_VIEW_MODULE:
        fprintf(out, "%s", *row->module ? row->module : "(no module)");
        break;
    case TALLY_VIEW_NATIVE:
        fprintf(out, "%s  <- ", *row->native ? row->native : "-");
        /* fall through */
    default:
        fprintf(out, "%s", row->function);
        if (has_file)
            fprintf(out, "  %s:%" PRIu32, tally_text_short_path(row->file), row->line);
    }
}

void tally_report_text(FILE *out, const struct tally_view *view, size_t limit, int sort)
{
    const struct tally_run *run = view->profile->run;
    bool shown_events[2 * TALLY_MAX_EVENTS] = {false};
    size_t hidden = choose_events(out, run, sort, shown_events);
    print_value_heading(out, run, sort, shown_events);
    fprintf(out, "%s\n", tally_view_names[view->kind]);
    size_t shown = 0;
    for (size_t i = 0; i < view->row_count && (!limit || i < limit); i++, shown++) {
        print_values(out, view->profile, &view->rows[i], sort, shown_events);
        print_row_name(out, view, &view->rows[i]);
        fputc('\n', out);
    }
    if (shown < view->row_count)
        fprintf(out, "(%zu more rows; --limit 0 shows all)\n", view->row_count - shown);
    if (!hidden)
        return;
    fputs("(no room for", out);
    size_t count = (size_t)run->event_count + (size_t)run->missing_count;
    for (size_t e = 0, named = 0; e < count; e++)
        if (!shown_events[e])
            fprintf(out, "%s %s", named++ ? "," : "", column_name(run, e));
    fputs("; --sort EVENT or a wider terminal shows them)\n", out);
}

/* Heading */

static void print_term(FILE *out, const struct tally_term *term, bool is_first)
{
    if (!is_first)
        fputs(term->factor < 0 ? " - " : " + ", out);
    if (fabs(term->factor) != 1)
        fprintf(out, "%g x ", fabs(term->factor));
    fputs(term->encoding, out);
}

/* A 0 may mean that nothing was counted. */
static bool is_unproven(const struct tally_profile *profile, int event)
{
    return profile->run->events[event].event.is_unproven &&
           tally_profile_total(profile, event) <= 0;
}

static void print_event_lines(FILE *out, const struct tally_recording *recording,
                              const struct tally_profile *profile)
{
    const struct tally_run *run = &recording->run;
    for (int i = 0; i < run->event_count; i++) {
        const struct tally_event *event = &run->events[i].event;
        char total[32], lost[32];
        fprintf(out, "event: %s, source %s (", event->name, tally_source_name(event->source));
        for (int k = 0; k < event->term_count; k++)
            print_term(out, &event->terms[k], k == 0);
        fputs("), ", out);
        if (event->source == TALLY_SOURCE_SIMULATED)
            fputs("exact", out);
        else if (event->read_only)
            fputs("read along", out);
        else if (event->period)
            fprintf(out, "a sample every %" PRIu64, event->period);
        else
            fprintf(out, "%s%" PRIu64 " samples a second",
                    event->source == TALLY_SOURCE_CLOCK ? "up to " : "", event->frequency);
        if (event->source != TALLY_SOURCE_SIMULATED)
            fprintf(out, ", %" PRIu64 " samples", profile->totals[i].samples);
        if (run->events[i].has_total)
            fprintf(out, ", total %s",
                    tally_format_value(total, sizeof(total), (double)run->events[i].total,
                                       event->unit));
        else
            fputs(", total missing", out);
        if (run->events[i].has_total && run->events[i].running < 1)
            fprintf(out, ", counting %.0f %% of the time", 100 * run->events[i].running);
        if (profile->lost[i] > 0)
            fprintf(out, ", lost %s",
                    tally_format_value(lost, sizeof(lost), profile->lost[i], event->unit));
        fputs(is_unproven(profile, i) ? ", unproven\n" : "\n", out);
    }
    for (int i = 0; i < run->missing_count; i++)
        fprintf(out, "event: %s is missing: %s\n", run->missing[i].name, run->missing[i].why);
}

/*
 * What sampling cost, against the CPU time of the run. One call of the handler may write several
 * samples, so its time is taken as it was measured, and guessed only where it is not known.
 */
static void print_perturbation(FILE *out, const struct tally_run *run,
                               const struct tally_profile *profile)
{
    double cpu = (double)(run->user_ns + run->system_ns);
    double handler =
        profile->handler_calls ? profile->handler_ns / (double)profile->handler_calls : 0;
    double cost = profile->handler_ns + handler * (double)profile->untimed_samples;
    double in_handler = cost;
    if (!profile->samples)
        return;
    for (int i = 0; i < run->event_count; i++) {
        const struct tally_event *event = &run->events[i].event;
        if (!event->read_only)
            cost += (double)profile->totals[i].samples *
                    (event->is_clock ? run->clock_delivery_ns : run->delivery_ns);
    }
    fprintf(out, "samples: %" PRIu64 ", each about %.1f us (%.1f in the handler)", profile->samples,
            cost / (double)profile->samples / 1e3, in_handler / (double)profile->samples / 1e3);
    if (cpu > 0)
        fprintf(out, ", %.2f %% of the CPU time", 100 * cost / cpu);
    fputc('\n', out);
}

void tally_report_heading(FILE *out, const struct tally_recording *recording,
                          const struct tally_profile *profile)
{
    const struct tally_run *run = &recording->run;
    fprintf(out, "command: %s\n", run->command);
    fprintf(out, "python: %s; machine: %s\n", *profile->python ? profile->python : "none",
            run->machine);
    fprintf(out, "started: %s; wall %.3f s, user %.3f s, system %.3f s", run->started,
            (double)run->wall_ns / 1e9, (double)run->user_ns / 1e9, (double)run->system_ns / 1e9);
    if (run->exit_status >= 0)
        fprintf(out, ", status %d", run->exit_status);
    fputc('\n', out);
    print_event_lines(out, recording, profile);
    print_perturbation(out, run, profile);
    for (int i = 0; i < run->note_count; i++)
        fprintf(out, "note: %s\n", run->notes[i]);
    fputc('\n', out);
}
