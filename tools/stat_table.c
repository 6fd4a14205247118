#include "stat_table.h"

#include "table.h"

#include <math.h>
#include <string.h>

static const double ns_per_s = 1e9;

/* ":u" of "cycles:u": where in the name its modifiers start, or its end. */
static const char *mode_of(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon && colon[1] && strspn(colon + 1, "ukp") == strlen(colon + 1) ? colon
                                                                              : name + strlen(name);
}

/* Whether `name` is `base` with modifiers `mode`. */
static bool is_named(const char *name, const char *base, const char *mode)
{
    size_t size = strlen(base);
    return !strncmp(name, base, size) && !strcmp(name + size, mode);
}

static const struct stat_row *find(const struct stat_row *rows, int count, const char *base,
                                   const char *mode)
{
    for (int i = 0; i < count; i++)
        if (rows[i].runs > 0 && rows[i].value > 0 && is_named(rows[i].event, base, mode))
            return &rows[i];
    return NULL;
}

/* Events that say most as a share or multiple of another one. */
static const struct ratio {
    const char *event, *of, *format;
    double factor;
} ratios[] = {
    {"instructions", "cycles", "%.2f per cycle", 1},
    {"cycles", "task-clock", "%.3f GHz", 1},
    {"branch-misses", "branches", "%.2f %% of branches", 100},
    {"cache-misses", "cache-references", "%.2f %% of cache-references", 100},
    {"L1-dcache-load-misses", "L1-dcache-loads", "%.2f %% of L1-dcache-loads", 100},
    {"LLC-load-misses", "LLC-loads", "%.2f %% of LLC-loads", 100},
    {"dTLB-load-misses", "dTLB-loads", "%.2f %% of dTLB-loads", 100},
    {"PAPI_TOT_INS", "PAPI_TOT_CYC", "%.2f per cycle", 1},
    {"PAPI_BR_MSP", "PAPI_BR_INS", "%.2f %% of PAPI_BR_INS", 100},
    {"PAPI_L1_DCM", "PAPI_L1_DCA", "%.2f %% of PAPI_L1_DCA", 100},
    {"PAPI_L1_DCM", "PAPI_LST_INS", "%.2f %% of PAPI_LST_INS", 100},
    {"PAPI_L2_TCM", "PAPI_L2_TCA", "%.2f %% of PAPI_L2_TCA", 100},
    {"PAPI_L3_TCM", "PAPI_L3_TCA", "%.2f %% of PAPI_L3_TCA", 100},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those above */
static bool set_ratio(struct stat_row *row, const struct stat_row *rows, int count)
{
    const char *mode = mode_of(row->event);
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        if (!is_named(row->event, ratios[i].event, mode))
            continue;
        const struct stat_row *of = find(rows, count, ratios[i].of, mode);
        if (!of)
            continue;
        snprintf(row->metric, sizeof(row->metric), ratios[i].format,
                 ratios[i].factor * row->value / of->value);
        return true;
    }
    return false;
}
#pragma GCC diagnostic pop

static void set_rate(struct stat_row *row, double rate)
{
    snprintf(row->metric, sizeof(row->metric), "%.*f per CPU second", rate < 100 ? 2 : 0, rate);
}

static void add_words(struct stat_row *row, const char *words)
{
    size_t used = strlen(row->metric);
    snprintf(row->metric + used, sizeof(row->metric) - used, "%s%s", used ? "; " : "", words);
}

/* Of an event of the kernel whose user part is beside it. */
static void add_kernel_share(struct stat_row *row, const struct stat_row *rows, int count)
{
    char base[96], words[48];
    const char *mode = mode_of(row->event);
    if (strcmp(mode, ":k") != 0)
        return;
    snprintf(base, sizeof(base), "%.*s", (int)(mode - row->event), row->event);
    const struct stat_row *user = find(rows, count, base, ":u");
    if (!user)
        return;
    snprintf(words, sizeof(words), "%.1f %% of both",
             100 * row->value / (row->value + user->value));
    add_words(row, words);
}

/* Energy as power: nJ per ns are W. */
static void add_machine_wide(struct stat_row *row, double elapsed_ns)
{
    char words[48];
    if (!strcmp(row->unit, "nJ") && elapsed_ns > 0) {
        snprintf(words, sizeof(words), "%.3f W", row->value / elapsed_ns);
        add_words(row, words);
    }
    add_words(row, "machine-wide");
}

/* Of one core type of several, counted only while the program was on it. */
static void add_core(struct stat_row *row)
{
    char words[96];
    if (row->core_share > 0)
        snprintf(words, sizeof(words), "on %.31s alone, %.1f %% of the time", row->core,
                 100 * row->core_share);
    else
        snprintf(words, sizeof(words), "on %.31s alone", row->core);
    add_words(row, words);
}

/* A sum by weights, as estimated-cycles is. */
static void add_weights(struct stat_row *row, const struct tally_event *sum)
{
    bool has_weights = false;
    for (int i = 0; i < sum->term_count; i++)
        has_weights |= fabs(sum->terms[i].factor) != 1;
    for (int i = 0; has_weights && i < sum->term_count; i++) {
        const struct tally_term *term = &sum->terms[i];
        const char *colon = strrchr(term->encoding, ':');
        size_t used = strlen(row->metric);
        const char *before = used ? "; " : "";
        if (i)
            before = term->factor < 0 ? " - " : " + ";
        snprintf(row->metric + used, sizeof(row->metric) - used, "%s%g x %s", before,
                 fabs(term->factor), colon ? colon + 1 : term->encoding);
    }
}

static void set_metric(struct stat_row *row, const struct stat_row *rows, int count,
                       double elapsed_ns)
{
    const struct stat_row *clock = find(rows, count, "task-clock", "");
    bool is_time = !strcmp(row->unit, "ns");
    bool is_done = set_ratio(row, rows, count);
    if (row->unproven && row->value == 0)
        snprintf(row->metric, sizeof(row->metric), "unproven");
    else if (!is_done && is_time && strstr(row->event, "-clock") && elapsed_ns > 0)
        snprintf(row->metric, sizeof(row->metric), "%.3f CPUs used", row->value / elapsed_ns);
    else if (!is_done && !is_time && clock && !row->is_machine_wide && !row->core)
        set_rate(row, row->value / clock->value * ns_per_s);
    add_kernel_share(row, rows, count);
    if (row->sum && !strcmp(row->source, "simulated"))
        add_weights(row, row->sum);
    if (row->core)
        add_core(row);
    if (row->is_machine_wide)
        add_machine_wide(row, elapsed_ns);
    if (row->runs == 1 && row->deviation < 0)
        add_words(row, "ran too little for its deviation");
}

void stat_table_metrics(struct stat_row *rows, int count, double elapsed_ns)
{
    for (int i = 0; i < count; i++) {
        rows[i].metric[0] = '\0';
        if (rows[i].runs > 0)
            set_metric(&rows[i], rows, count, elapsed_ns);
    }
}

void stat_table_header(const struct stat_table *table)
{
    if (table->csv)
        fprintf(table->out, "%s%sevent,unit,source,value,deviation,runs,running,metric\n",
                table->timed ? "time_s," : "", table->by_thread ? "process,thread," : "");
    else
        fprintf(table->out, "%s%s%18s  %-34s %-9s\n", table->timed ? "      time " : "",
                table->by_thread ? "process                 thread                  " : "", "value",
                "event", "source");
}

static bool has_deviation(const struct stat_row *row)
{
    if (row->is_metric)
        return false;
    return row->runs > 1 || (row->runs == 1 && row->running < 1 && row->deviation >= 0);
}

static void csv_row(const struct stat_table *table, const struct stat_row *row)
{
    if (table->timed)
        fprintf(table->out, "%.6f,", table->time_s);
    if (table->by_thread) {
        table_csv_field(table->out, row->process ? row->process : "");
        putc(',', table->out);
        table_csv_field(table->out, row->thread ? row->thread : "");
        putc(',', table->out);
    }
    table_csv_field(table->out, row->event);
    fprintf(table->out, ",%s,%s,", row->unit, row->source);
    if (row->runs > 0 && row->is_metric)
        fprintf(table->out, "%.6g", row->value);
    else if (row->runs > 0)
        fprintf(table->out, "%.*f", row->runs > 1 ? 1 : 0, row->value);
    fputs(",", table->out);
    if (has_deviation(row))
        fprintf(table->out, "%.1f", row->deviation);
    fprintf(table->out, ",%d,", row->runs);
    if (row->runs > 0)
        fprintf(table->out, "%.4g", row->running);
    fputs(",", table->out);
    table_csv_field(table->out, row->metric);
    putc('\n', table->out);
}

/* 1234567 as "1,234,567". */
static void group_digits(double value, char *out, size_t room)
{
    char digits[40];
    int size = snprintf(digits, sizeof(digits), "%.0f", value);
    size_t used = 0;
    for (int i = 0; i < size && used + 2 < room; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

static void screen_value(const struct stat_row *row, char *out, size_t room)
{
    if (row->runs == 0)
        snprintf(out, room, "-");
    else if (row->is_metric)
        snprintf(out, room, "%.4g%s%s", row->value, strcmp(row->unit, "1") != 0 ? " " : "",
                 strcmp(row->unit, "1") != 0 ? row->unit : "");
    else if (!strcmp(row->unit, "ns"))
        snprintf(out, room, "%.6f s", row->value / ns_per_s);
    else if (!strcmp(row->unit, "nJ"))
        snprintf(out, room, "%.6f J", row->value / 1e9);
    else if (!strcmp(row->unit, "count"))
        group_digits(row->value, out, room);
    else
        snprintf(out, room, "%.3f %s", row->value, row->unit);
}

static void screen_row(const struct stat_table *table, const struct stat_row *row)
{
    char value[64];
    screen_value(row, value, sizeof(value));
    if (table->timed)
        fprintf(table->out, "%10.3f ", table->time_s);
    if (table->by_thread)
        fprintf(table->out, "%-23s %-23s ", row->process ? row->process : "",
                row->thread ? row->thread : "");
    fprintf(table->out, "%18s  %-34s %-9s", value, row->event, row->source);
    if (row->runs == 0)
        fprintf(table->out, " %s", row->why ? row->why : "missing");
    else if (row->is_metric && row->unproven)
        fputs(" unproven", table->out);
    else if (row->metric[0] && !row->is_metric)
        fprintf(table->out, " %s", row->metric);
    if (has_deviation(row) && row->value > 0)
        fprintf(table->out, " (± %.2f %%)", 100 * row->deviation / row->value);
    if (row->runs > 0 && row->running < 0.9995)
        fprintf(table->out, " [counted %.1f %% of the time]", 100 * row->running);
    putc('\n', table->out);
}

void stat_table_rows(const struct stat_table *table, const struct stat_row *rows, int count)
{
    for (int i = 0; i < count; i++) {
        if (table->csv)
            csv_row(table, &rows[i]);
        else
            screen_row(table, &rows[i]);
    }
}
