/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/machine.h"

#include "simulator/core.h"

struct machine machine = {.line_shift = 6};
struct lanes machine_run, machine_closed;
struct counts machine_totals;
static struct counts nowhere;
struct counts *machine_cell = &nowhere;

enum { PAGE_SHIFT = 12 };

/* Conditional branches: two-bit counters, chosen by address and the outcomes before. Indirect ones:
 * the last target after the same way here. Without a history, both are by address alone. */
static uint8_t *outcomes;
static uint64_t *targets;
static uint32_t outcome_bits = 14, outcome_mask, outcome_history;
static uint32_t target_bits = 12, target_mask, target_history;
static uint32_t history_mask = UINT32_MAX;

#undef LIKELY
#undef UNLIKELY
#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define INLINE              static inline __attribute__((always_inline))

static uint64_t *set_of(const struct cache *cache, uint64_t line)
{
    uint64_t set = LIKELY(cache->mask) ? line & cache->mask : line % cache->sets;
    return cache->tags + set * cache->ways;
}

/* Moves the line to the front of its set; whether it was there. */
static bool search(uint64_t *set, uint32_t ways, uint64_t line)
{
    uint64_t carried = set[0];
    set[0] = line;
    for (uint32_t i = 1; i < ways; i++) {
        uint64_t tag = set[i];
        set[i] = carried;
        if (tag == line)
            return true;
        carried = tag;
    }
    return false;
}

static bool search_l1(const struct cache *cache, uint64_t line)
{
    uint64_t *set = cache->tags + (line & cache->mask) * cache->ways;
    cache->newest[line & cache->mask] = line;
    return set[0] == line || search(set, cache->ways, line);
}

static bool touch(const struct cache *cache, uint64_t line)
{
    uint64_t *set = set_of(cache, line);
    return set[0] == line || search(set, cache->ways, line);
}

static void count(unsigned raw)
{
    machine_cell->raw[raw]++;
    machine_totals.raw[raw]++;
}

enum { KIND_FETCH, KIND_LOAD, KIND_STORE };

/* How far an access had to go: 0 to L1, 1 to L2, 2 to L3, 3 to memory. Of one that touches several
 * lines, the farthest counts. */
static unsigned farther(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static unsigned beyond_l1(uint64_t line)
{
    if (machine.l2.tags && touch(&machine.l2, line))
        return 1;
    if (machine.l3.tags && touch(&machine.l3, line))
        return 2;
    return 3;
}

/* Counts the levels missed from `from` on. */
static void count_misses(unsigned from, unsigned to, unsigned kind)
{
    if (from == 0 && to > 0)
        count(TALLY_RAW_L1_FETCH + kind);
    if (from <= 1 && to > 1 && machine.l2.tags)
        count(TALLY_RAW_L2_FETCH + kind);
    if (from <= 2 && to > 2 && machine.l3.tags)
        count(TALLY_RAW_L3_FETCH + kind);
}

static void translate(const struct cache *tlb, uint64_t address, unsigned kind)
{
    if (!touch(tlb, address >> PAGE_SHIFT))
        count(TALLY_RAW_TLB_FETCH + kind);
}

/* `before` is how far the same instruction's line before this one went. */
static __attribute__((noinline)) unsigned fetch_slow(const struct segment *segment, unsigned which,
                                                     unsigned before)
{
    const struct fetch *fetch = &segment->fetches[which];
    unsigned far = 0;
    if (!(segment->joined >> which & 1))
        before = 0;
    if (!search_l1(&machine.l1i, fetch->line))
        far = beyond_l1(fetch->line);
    if (far > before)
        count_misses(before, far, KIND_FETCH);
    if (!machine.itlb.tags)
        return far;
    /* As in access_slow(): every fetch has to come here. */
    *fetch->newest = UINT64_MAX;
    translate(&machine.itlb, fetch->line << machine.line_shift, KIND_FETCH);
    return far;
}

/* Memory that misses when it is first touched, and then never: it has caches of its own. */
static struct apart {
    uint64_t start, size;
    uint8_t *touched; /* a bit for each line */
} apart[MACHINE_APART];

static bool is_apart(const struct apart *range, uint64_t address)
{
    return UNLIKELY(address - range->start < range->size);
}

static unsigned touch_apart(struct apart *range, uint64_t address)
{
    uint64_t line = (address - range->start) >> machine.line_shift;
    uint8_t bit = (uint8_t)(1u << line % 8);
    bool was_touched = range->touched[line / 8] & bit;
    range->touched[line / 8] |= bit;
    return was_touched ? 0 : 3;
}

static __attribute__((noinline)) void access_slow(uint64_t address, uint64_t size, bool is_store)
{
    uint64_t end = address + size - 1;
    unsigned far = 0, kind = is_store ? KIND_STORE : KIND_LOAD;
    for (unsigned i = 0; i < MACHINE_APART; i++)
        if (is_apart(&apart[i], address)) {
            count_misses(0, touch_apart(&apart[i], address), kind);
            return;
        }
    for (uint64_t line = address >> machine.line_shift; line <= end >> machine.line_shift; line++)
        if (!search_l1(&machine.l1d, line))
            far = farther(far, beyond_l1(line));
    count_misses(0, far, kind);
    if (!machine.tlb.tags)
        return;
    /* Every access has to come here: no line may be the newest. */
    machine.l1d.newest[address >> machine.line_shift & machine.l1d.mask] = UINT64_MAX;
    machine.l1d.newest[end >> machine.line_shift & machine.l1d.mask] = UINT64_MAX;
    translate(&machine.tlb, address, kind);
    if ((address ^ end) >> PAGE_SHIFT)
        translate(&machine.tlb, end, kind);
}

INLINE void access(uint64_t address, uint64_t size, bool is_store)
{
    uint64_t line = address >> machine.line_shift;
    bool is_newest = machine.l1d.newest[line & machine.l1d.mask] == line;
    bool is_across = (address & machine.line_mask) + size > machine.line_mask + 1;
    if (UNLIKELY(!is_newest || is_across))
        access_slow(address, size, is_store);
}

void machine_access(uint64_t address, uint64_t size, uint64_t is_store)
{
    access(address, size, is_store);
}

INLINE void branch_conditional(uint64_t address, bool is_taken)
{
    uint32_t at =
        ((uint32_t)address ^ (uint32_t)(address >> outcome_bits) ^ outcome_history) & outcome_mask;
    uint8_t state = outcomes[at];
    if (UNLIKELY((state >= 2) != is_taken))
        count(TALLY_RAW_CONDITIONAL_MISS);
    outcomes[at] = is_taken ? (uint8_t)(state + (state < 3)) : (uint8_t)(state - (state > 0));
    outcome_history = (outcome_history << 1 | is_taken) & history_mask;
}

INLINE void branch_indirect(uint64_t address, uint64_t target)
{
    uint32_t at =
        ((uint32_t)address ^ (uint32_t)(address >> target_bits) ^ target_history) & target_mask;
    if (UNLIKELY(targets[at] != target)) {
        count(TALLY_RAW_INDIRECT_MISS);
        targets[at] = target;
    }
    target_history = (target_history << 4 ^ (uint32_t)(target >> 4)) & history_mask;
}

typedef int32_t vector __attribute__((vector_size(16), may_alias));

INLINE void run(const struct segment *segment, unsigned accesses, const uint64_t *addresses,
                enum segment_end end, uint64_t outcome)
{
    const vector *from = (const vector *)&segment->lanes;
    vector *to = (vector *)&machine_run;
    to[0] += from[0];
    to[1] += from[1];
    unsigned far = 0;
    for (unsigned i = 0; i < segment->fetch_count; i++) {
        const struct fetch *fetch = &segment->fetches[i];
        far = LIKELY(*fetch->newest == fetch->line) ? 0 : fetch_slow(segment, i, far);
    }
#pragma GCC unroll 4
    for (unsigned i = 0; i < accesses; i++)
        access(addresses[i], segment->size[i], segment->stores >> i & 1);
    if (end == END_CONDITIONAL)
        branch_conditional(segment->branch, outcome);
    else if (end == END_INDIRECT)
        branch_indirect(segment->branch, outcome);
}

void machine_run_plain(const struct segment *segment, const uint64_t *addresses)
{
    run(segment, segment->access_count, addresses, END_PLAIN, 0);
}

/* One function for each number of accesses and kind of end. */
#define RUN_FUNCTIONS(name, accesses, parameters, ...)                                             \
    static void name##_plain(const struct segment *segment parameters)                             \
    {                                                                                              \
        const uint64_t addresses[] = {__VA_ARGS__};                                                \
        run(segment, accesses, addresses, END_PLAIN, 0);                                           \
    }                                                                                              \
    static void name##_conditional(const struct segment *segment parameters, uint64_t outcome)     \
    {                                                                                              \
        const uint64_t addresses[] = {__VA_ARGS__};                                                \
        run(segment, accesses, addresses, END_CONDITIONAL, outcome);                               \
    }                                                                                              \
    static void name##_indirect(const struct segment *segment parameters, uint64_t outcome)        \
    {                                                                                              \
        const uint64_t addresses[] = {__VA_ARGS__};                                                \
        run(segment, accesses, addresses, END_INDIRECT, outcome);                                  \
    }
#define COMMA ,
#define ONE   COMMA uint64_t a
#define TWO   ONE COMMA uint64_t b
#define THREE TWO COMMA uint64_t c
#define FOUR  THREE COMMA uint64_t d
RUN_FUNCTIONS(run0, 0, , 0)
RUN_FUNCTIONS(run1, 1, ONE, a)
RUN_FUNCTIONS(run2, 2, TWO, a, b)
RUN_FUNCTIONS(run3, 3, THREE, a, b, c)
RUN_FUNCTIONS(run4, 4, FOUR, a, b, c, d)

void *machine_run_function(unsigned accesses, enum segment_end end)
{
    static void *const functions[SEGMENT_ACCESSES + 1][3] = {
        {run0_plain, run0_conditional, run0_indirect},
        {run1_plain, run1_conditional, run1_indirect},
        {run2_plain, run2_conditional, run2_indirect},
        {run3_plain, run3_conditional, run3_indirect},
        {run4_plain, run4_conditional, run4_indirect},
    };
    return functions[accesses][end];
}

uint64_t *machine_fetch_newest(uint64_t line)
{
    return &machine.l1i.newest[line & machine.l1i.mask];
}

/* Options */

static struct {
    const char *name;
    struct cache *cache;
    uint64_t size, ways;
} levels[] = {
    {"l1i", &machine.l1i, 32768, 8},  {"l1d", &machine.l1d, 32768, 8},
    {"l2", &machine.l2, 1 << 20, 16}, {"l3", &machine.l3, 8 << 20, 16},
    {"tlb", &machine.tlb, 64, 4},     {"itlb", &machine.itlb, 64, 8},
};

static uint32_t bits_of(uint64_t power_of_two)
{
    uint32_t bits = 0;
    while (UINT64_C(1) << bits < power_of_two)
        bits++;
    return bits;
}

bool machine_option(const char *text)
{
    static const struct {
        const char *name;
        uint32_t *bits;
    } powers[] = {
        {"line=", &machine.line_shift}, {"outcomes=", &outcome_bits}, {"targets=", &target_bits}};
    const char *value = VG_(strchr)(text, '=');
    SizeT name_size = value ? (SizeT)(value - text) : 0;
    HChar *end;
    if (!value)
        return false;
    uint64_t size = VG_(strtoull10)(value + 1, &end);
    for (unsigned i = 0; i < sizeof(powers) / sizeof(powers[0]); i++)
        if (!VG_(strncmp)(text, powers[i].name, VG_(strlen)(powers[i].name))) {
            *powers[i].bits = bits_of(size);
            return true;
        }
    if (!VG_(strncmp)(text, "history=", 8)) {
        history_mask = size ? UINT32_MAX : 0;
        return true;
    }
    for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (VG_(strlen)(levels[i].name) != name_size ||
            VG_(strncmp)(text, levels[i].name, name_size) != 0)
            continue;
        levels[i].size = size;
        levels[i].ways = *end ? VG_(strtoull10)(end + 1, &end) : 1;
        return true;
    }
    return false;
}

static void make_cache(struct cache *cache, uint64_t blocks, uint64_t ways)
{
    if (!blocks || !ways)
        return;
    cache->ways = (uint32_t)ways;
    cache->sets = blocks / ways;
    cache->mask = cache->sets & (cache->sets - 1) ? 0 : cache->sets - 1;
    cache->tags = VG_(malloc)("tallystack.cache", blocks * sizeof(*cache->tags));
    VG_(memset)(cache->tags, 0xff, blocks * sizeof(*cache->tags));
    cache->newest = VG_(malloc)("tallystack.cache", cache->sets * sizeof(*cache->newest));
    VG_(memset)(cache->newest, 0xff, cache->sets * sizeof(*cache->newest));
}

static void make_predictor(void)
{
    outcome_mask = (1u << outcome_bits) - 1;
    target_mask = (1u << target_bits) - 1;
    outcome_history = target_history = 0;
    VG_(free)(outcomes); /* of a machine before */
    VG_(free)(targets);
    outcomes = VG_(calloc)("tallystack.predictor", outcome_mask + 1ul, sizeof(*outcomes));
    targets = VG_(calloc)("tallystack.predictor", target_mask + 1ul, sizeof(*targets));
}

/* Setting aside */

enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static struct {
    void *at, *copy;
    uint64_t size;
} kept[2 * LEVELS + 4];
static unsigned kept_count;

static void keep(void *at, uint64_t size)
{
    void *copy = VG_(malloc)("tallystack.kept", size);
    VG_(memcpy)(copy, at, size);
    kept[kept_count].at = at;
    kept[kept_count].copy = copy;
    kept[kept_count++].size = size;
}

void machine_set_aside(void)
{
    if (kept_count)
        return;
    for (unsigned i = 0; i < LEVELS; i++) {
        const struct cache *cache = levels[i].cache;
        if (!cache->tags)
            continue;
        keep(cache->tags, cache->sets * cache->ways * sizeof(*cache->tags));
        keep(cache->newest, cache->sets * sizeof(*cache->newest));
    }
    keep(&outcome_history, sizeof(outcome_history));
    keep(&target_history, sizeof(target_history));
    if (!machine.has_branches)
        return;
    keep(outcomes, (outcome_mask + 1ul) * sizeof(*outcomes));
    keep(targets, (target_mask + 1ul) * sizeof(*targets));
}

void machine_take_up(void)
{
    while (kept_count) {
        kept_count--;
        VG_(memcpy)(kept[kept_count].at, kept[kept_count].copy, kept[kept_count].size);
        VG_(free)(kept[kept_count].copy);
    }
}

void machine_keep_apart(unsigned which, uint64_t start, uint64_t end)
{
    struct apart *range = &apart[which];
    range->start = start & ~machine.line_mask;
    range->size = (end - range->start + machine.line_mask) & ~machine.line_mask;
    VG_(free)(range->touched);
    range->touched =
        VG_(calloc)("tallystack.apart", (range->size >> machine.line_shift) / 8 + 1, 1);
}

static void empty(const struct cache *cache)
{
    if (!cache->tags)
        return;
    VG_(memset)(cache->tags, 0xff, cache->sets * cache->ways * sizeof(*cache->tags));
    VG_(memset)(cache->newest, 0xff, cache->sets * sizeof(*cache->newest));
}

static void forget_branches(void)
{
    outcome_history = target_history = 0;
    if (!machine.has_branches)
        return;
    VG_(memset)(outcomes, 0, (outcome_mask + 1ul) * sizeof(*outcomes));
    VG_(memset)(targets, 0, (target_mask + 1ul) * sizeof(*targets));
}

void machine_begin_program(void)
{
    forget_branches();
    empty(&machine.tlb);
    empty(&machine.itlb);
}

#define BITS(first, last) (TALLY_RAW_BIT((last) + 1) - TALLY_RAW_BIT(first))

void machine_init(uint64_t used)
{
    const uint64_t beyond = BITS(TALLY_RAW_L2_FETCH, TALLY_RAW_L3_STORE);
    const uint64_t itlb = TALLY_RAW_BIT(TALLY_RAW_TLB_FETCH);
    const uint64_t fetches = beyond | itlb | TALLY_RAW_BIT(TALLY_RAW_L1_FETCH);
    const uint64_t tlb = BITS(TALLY_RAW_TLB_LOAD, TALLY_RAW_TLB_STORE);
    const uint64_t data = beyond | tlb | BITS(TALLY_RAW_L1_LOAD, TALLY_RAW_L1_STORE);
    const uint64_t l2 = BITS(TALLY_RAW_L2_FETCH, TALLY_RAW_L3_STORE);
    const uint64_t l3 = BITS(TALLY_RAW_L3_FETCH, TALLY_RAW_L3_STORE);
    const uint64_t wanted[] = {fetches, data, l2, l3, tlb, itlb};
    for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        bool is_tlb = levels[i].cache == &machine.tlb || levels[i].cache == &machine.itlb;
        if (used & wanted[i])
            make_cache(levels[i].cache,
                       is_tlb ? levels[i].size : levels[i].size >> machine.line_shift,
                       levels[i].ways);
    }
    machine.line_mask = (UINT64_C(1) << machine.line_shift) - 1;
    machine.has_fetches = used & fetches;
    machine.has_accesses = used & data;
    machine.has_branches = used & BITS(TALLY_RAW_CONDITIONAL_MISS, TALLY_RAW_INDIRECT_MISS);
    if (machine.has_branches)
        make_predictor();
}
