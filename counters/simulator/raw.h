/* SPDX-License-Identifier: MIT */
/*
 * What the simulator counts. Each event is a sum of some of these: a mask with a bit for each.
 */
#ifndef TALLY_SIMULATOR_RAW_H
#define TALLY_SIMULATOR_RAW_H

enum tally_raw {
    TALLY_RAW_INSTRUCTIONS,
    TALLY_RAW_LOADS,
    TALLY_RAW_STORES,
    TALLY_RAW_BRANCHES, /* of all kinds, calls and returns included */
    TALLY_RAW_CONDITIONAL,
    TALLY_RAW_INDIRECT, /* jumps and calls to a computed address; returns are not */
    TALLY_RAW_LANES = 8,
    TALLY_RAW_L1_FETCH = TALLY_RAW_LANES, /* misses of the instruction cache */
    TALLY_RAW_L1_LOAD,
    TALLY_RAW_L1_STORE,
    TALLY_RAW_L2_FETCH,
    TALLY_RAW_L2_LOAD,
    TALLY_RAW_L2_STORE,
    TALLY_RAW_L3_FETCH,
    TALLY_RAW_L3_LOAD,
    TALLY_RAW_L3_STORE,
    TALLY_RAW_TLB_FETCH,
    TALLY_RAW_TLB_LOAD,
    TALLY_RAW_TLB_STORE,
    TALLY_RAW_CONDITIONAL_MISS,
    TALLY_RAW_INDIRECT_MISS,
    TALLY_RAW_CALLS, /* of Python functions; each resumption of a generator is one */
    TALLY_RAW_COUNT,
};

#define TALLY_RAW_BIT(raw) (UINT64_C(1) << (raw))

#endif
