/*
 * What `tallystack report --csv` takes on large recordings, against DESIGN's bounds: 10 million
 * samples in 2 s, memory by the number of distinct stacks and not of samples.
 *
 *   bench_report TALLYSTACK [STACKS]     prints a table; the exit status tells if the bounds hold
 */
#include "base/error.h"
#include "synthetic.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 5, STACKS = 10000, FEW = 1000000, MANY = 10000000 };

static const double seconds_most = 2.0;
static const double bytes_most = 16.1;  /* a sample; chunks have a head and are not all full */
static const double growth_most = 1.10; /* of memory, from FEW to MANY samples */

struct cost {
    double seconds, cpu_seconds, megabytes; /* the least of all runs; memory: the most */
    double bytes;                           /* of the image on disk */
};

static int write_recording(const char *path, uint64_t samples, uint32_t stacks)
{
    int status;
    pid_t child = fork();
    if (child == 0) { /* the agent's memory is one process's */
        if (synthetic_recording(path, samples, stacks) == 0)
            _exit(0);
        fprintf(stderr, "bench_report: %s\n", tally_error_text());
        _exit(1);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static int report_once(const char *command, const char *path, struct cost *cost)
{
    struct timespec before, after;
    struct rusage usage;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &before);
    pid_t child = fork();
    if (child == 0) {
        if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) >= 0)
            execl(command, command, "report", "--csv", "-i", path, (char *)NULL);
        _exit(127);
    }
    if (wait4(child, &status, 0, &usage) != child || status != 0)
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &after);
    double seconds =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    double cpu = seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
    double megabytes = (double)usage.ru_maxrss / 1024;
    if (!cost->seconds || seconds < cost->seconds)
        cost->seconds = seconds;
    if (!cost->cpu_seconds || cpu < cost->cpu_seconds)
        cost->cpu_seconds = cpu;
    if (megabytes > cost->megabytes)
        cost->megabytes = megabytes;
    return 0;
}

static int measure(const char *command, uint64_t samples, uint32_t stacks, struct cost *cost)
{
    char folder[] = "/tmp/bench-XXXXXX", path[64], image[128], remove[128];
    struct stat status;
    *cost = (struct cost){0};
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/rec", folder);
    snprintf(image, sizeof(image), "%s/000001.image", path);
    snprintf(remove, sizeof(remove), "rm -r %s", folder);
    int result = write_recording(path, samples, stacks);
    for (int i = 0; i < RUNS && result == 0; i++)
        result = report_once(command, path, cost);
    if (result == 0 && stat(image, &status) == 0)
        cost->bytes = (double)status.st_size;
    return system(remove) == 0 ? result : -1;
}

static bool is_within(const char *what, double value, double most)
{
    printf("%s %.2f, at most %.2f: %s\n", what, value, most, value <= most ? "holds" : "MISSED");
    return value <= most;
}

int main(int argc, char **argv)
{
    uint32_t stacks = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : STACKS;
    struct cost few, many;
    if (argc < 2 || !stacks) {
        fputs("usage: bench_report TALLYSTACK [STACKS]\n", stderr);
        return 2;
    }
    if (measure(argv[1], FEW, stacks, &few) < 0 || measure(argv[1], MANY, stacks, &many) < 0) {
        fputs("bench_report: the report failed\n", stderr);
        return 1;
    }
    printf("tallystack report --csv, %" PRIu32 " stacks of 20 frames, least of %d runs\n", stacks,
           RUNS);
    printf("%10s %10s %10s %10s %14s\n", "samples", "seconds", "CPU s", "MB", "image MB");
    printf("%10d %10.3f %10.3f %10.1f %14.1f\n", FEW, few.seconds, few.cpu_seconds, few.megabytes,
           few.bytes / 1e6);
    printf("%10d %10.3f %10.3f %10.1f %14.1f\n", MANY, many.seconds, many.cpu_seconds,
           many.megabytes, many.bytes / 1e6);
    bool is_met = is_within("seconds", many.seconds, seconds_most);
    is_met &= is_within("memory, ratio", many.megabytes / few.megabytes, growth_most);
    is_met &= is_within("bytes a sample", (many.bytes - few.bytes) / (MANY - FEW), bytes_most);
    return !is_met;
}
