#include "stat_table.h"

#include "table.h"

#include <math.h>
#include <string.h>

static const double ns_per_s = 1e9;

static const struct stat_row *find(const struct stat_row *rows, int count, const char *event)
{
    for (int i = 0; i < count; i++)
        if (rows[i].runs > 0 && rows[i].value > 0 && !strcmp(rows[i].event, event))
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
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those above */
static bool set_ratio(struct stat_row *row, const struct stat_row *rows, int count)
{
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        const struct stat_row *of = find(rows, count, ratios[i].of);
        if (!of || strcmp(row->event, ratios[i].event) != 0)
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

void stat_table_metrics(struct stat_row *rows, int count, double elapsed_ns)
{
    const struct stat_row *clock = find(rows, count, "task-clock");
    for (int i = 0; i < count; i++) {
        struct stat_row *row = &rows[i];
        bool is_time = !strcmp(row->unit, "ns");
        row->metric[0] = '\0';
        if (row->runs == 0)
            continue;
        if (row->unproven && row->value == 0)
            snprintf(row->metric, sizeof(row->metric), "unproven");
        else if (set_ratio(row, rows, count))
            continue;
        else if (is_time && strstr(row->event, "-clock") && elapsed_ns > 0)
            snprintf(row->metric, sizeof(row->metric), "%.3f CPUs used", row->value / elapsed_ns);
        else if (!is_time && clock)
            set_rate(row, row->value / clock->value * ns_per_s);
    }
}

void stat_table_header(const struct stat_table *table)
{
    if (table->csv)
        fprintf(table->out, "%s%sevent,unit,source,value,deviation,runs,running,metric\n",
                table->timed ? "time_s," : "", table->by_thread ? "process,thread," : "");
    else
        fprintf(table->out, "%s%s%18s  %-26s %-9s\n", table->timed ? "      time " : "",
                table->by_thread ? "process                 thread                  " : "", "value",
                "event", "source");
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
    if (row->runs > 0)
        fprintf(table->out, "%.*f", row->runs > 1 ? 1 : 0, row->value);
    fputs(",", table->out);
    if (row->runs > 1)
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
    else if (!strcmp(row->unit, "ns"))
        snprintf(out, room, "%.6f s", row->value / ns_per_s);
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
    fprintf(table->out, "%18s  %-26s %-9s", value, row->event, row->source);
    if (row->runs == 0)
        fprintf(table->out, " %s", row->why ? row->why : "missing");
    else if (row->metric[0])
        fprintf(table->out, " %s", row->metric);
    if (row->runs > 1 && row->value > 0)
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
