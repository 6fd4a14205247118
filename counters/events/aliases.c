#include "events/aliases.h"

#include <stddef.h>
#include <strings.h>

#define CACHE(cache, access) "perf::PERF_COUNT_HW_CACHE_" cache ":" access

const struct tally_alias tally_aliases[] = {
    {"cycles", "perf::CYCLES", "processor cycles"},
    {"cpu-cycles", "perf::CYCLES", "processor cycles (as cycles)"},
    {"ref-cycles", "perf::REF-CYCLES", "cycles at the processor's nominal frequency"},
    {"bus-cycles", "perf::BUS-CYCLES", "cycles of the bus"},
    {"instructions", "perf::INSTRUCTIONS", "instructions retired"},
    {"branches", "perf::BRANCHES", "branch instructions retired"},
    {"branch-instructions", "perf::BRANCHES", "branch instructions retired (as branches)"},
    {"branch-misses", "perf::BRANCH-MISSES", "branches predicted wrongly"},
    {"cache-references", "perf::CACHE-REFERENCES", "accesses that reached the last cache level"},
    {"cache-misses", "perf::CACHE-MISSES", "accesses that missed the last cache level"},
    {"stalled-cycles-frontend", "perf::STALLED-CYCLES-FRONTEND",
     "cycles in which no instruction could be issued"},
    {"stalled-cycles-backend", "perf::STALLED-CYCLES-BACKEND",
     "cycles in which no instruction could be retired"},
    {"L1-dcache-loads", CACHE("L1D", "READ:ACCESS"), "loads from the first-level data cache"},
    {"L1-dcache-load-misses", CACHE("L1D", "READ:MISS"), "loads that missed that cache"},
    {"L1-dcache-stores", CACHE("L1D", "WRITE:ACCESS"), "stores to the first-level data cache"},
    {"L1-dcache-store-misses", CACHE("L1D", "WRITE:MISS"), "stores that missed that cache"},
    {"L1-icache-loads", CACHE("L1I", "READ:ACCESS"),
     "fetches of instructions from the first level"},
    {"L1-icache-load-misses", CACHE("L1I", "READ:MISS"), "fetches of instructions that missed it"},
    {"LLC-loads", CACHE("LL", "READ:ACCESS"), "loads from the last cache level"},
    {"LLC-load-misses", CACHE("LL", "READ:MISS"), "loads that missed the last cache level"},
    {"LLC-stores", CACHE("LL", "WRITE:ACCESS"), "stores to the last cache level"},
    {"LLC-store-misses", CACHE("LL", "WRITE:MISS"), "stores that missed the last cache level"},
    {"dTLB-loads", CACHE("DTLB", "READ:ACCESS"), "loads through the data address cache (TLB)"},
    {"dTLB-load-misses", CACHE("DTLB", "READ:MISS"), "loads that missed the data TLB"},
    {"dTLB-stores", CACHE("DTLB", "WRITE:ACCESS"), "stores through the data TLB"},
    {"dTLB-store-misses", CACHE("DTLB", "WRITE:MISS"), "stores that missed the data TLB"},
    {"iTLB-loads", CACHE("ITLB", "READ:ACCESS"), "fetches through the instruction TLB"},
    {"iTLB-load-misses", CACHE("ITLB", "READ:MISS"), "fetches that missed the instruction TLB"},
    {"branch-loads", CACHE("BPU", "READ:ACCESS"), "look-ups in the branch predictor"},
    {"branch-load-misses", CACHE("BPU", "READ:MISS"), "look-ups that missed the branch predictor"},
    {"node-loads", CACHE("NODE", "READ:ACCESS"), "loads from the memory of a node"},
    {"node-load-misses", CACHE("NODE", "READ:MISS"), "loads from the memory of another node"},
    {"task-clock", "perf::TASK-CLOCK", "time on a processor"},
    {"cpu-clock", "perf::CPU-CLOCK", "time on a processor, by the processor's own timer"},
    {"page-faults", "perf::PAGE-FAULTS", "page faults, minor and major"},
    {"faults", "perf::PAGE-FAULTS", "page faults (as page-faults)"},
    {"minor-faults", "perf::MINOR-FAULTS", "page faults that needed no input"},
    {"major-faults", "perf::MAJOR-FAULTS", "page faults that waited for input"},
    {"context-switches", "perf::CONTEXT-SWITCHES", "times a thread left its processor"},
    {"cs", "perf::CONTEXT-SWITCHES", "times a thread left its processor (as context-switches)"},
    {"cpu-migrations", "perf::CPU-MIGRATIONS", "moves of a thread to another processor"},
    {"migrations", "perf::CPU-MIGRATIONS", "moves of a thread (as cpu-migrations)"},
    {"cgroup-switches", "perf::CGROUP-SWITCHES", "switches to a thread of another control group"},
    {NULL, NULL, NULL},
};

const struct tally_alias *tally_alias_find(const char *name)
{
    for (const struct tally_alias *alias = tally_aliases; alias->name; alias++)
        if (!strcasecmp(alias->name, name))
            return alias;
    return NULL;
}
