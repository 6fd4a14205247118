/*
 * Events of Arm's Neoverse cores that groups of metrics use, by their numbers in the Arm
 * Architecture Reference Manual (D13, PMU events), and which cores implement them, by their
 * Technical Reference Manuals.
 */
#ifndef TALLY_LINT_ARM_H
#define TALLY_LINT_ARM_H

#include <stdbool.h>
#include <string.h>

enum { ARM_N1 = 1, ARM_N2 = 2, ARM_V1 = 4, ARM_V2 = 8, ARM_ALL = 15 };

static const struct {
    const char *name; /* libpfm4's */
    int bit;
} arm_cores[] = {{"arm_n1", ARM_N1}, {"arm_n2", ARM_N2}, {"arm_v1", ARM_V1}, {"arm_v2", ARM_V2}};

static const struct {
    const char *name;
    int code, cores;
} arm_events[] = {
    {"BR_MIS_PRED", 0x10, ARM_ALL},
    {"CPU_CYCLES", 0x11, ARM_ALL},
    {"STALL_FRONTEND", 0x23, ARM_ALL},
    {"STALL_BACKEND", 0x24, ARM_ALL},
    {"OP_RETIRED", 0x3a, ARM_ALL & ~ARM_N1},
    {"OP_SPEC", 0x3b, ARM_ALL & ~ARM_N1},
    {"STALL_SLOT_BACKEND", 0x3d, ARM_ALL & ~ARM_N1},
    {"STALL_SLOT_FRONTEND", 0x3e, ARM_ALL & ~ARM_N1},
    {"STALL_SLOT", 0x3f, ARM_ALL & ~ARM_N1},
};

static inline int arm_core(const char *processor)
{
    for (size_t i = 0; i < sizeof(arm_cores) / sizeof(arm_cores[0]); i++)
        if (!strcmp(arm_cores[i].name, processor))
            return arm_cores[i].bit;
    return 0;
}

static inline bool arm_knows(const char *processor)
{
    return arm_core(processor) != 0;
}

/* The number of the event on that core; negative where it has none of the name. */
static inline int arm_code(const char *processor, const char *name)
{
    int core = arm_core(processor);
    for (size_t i = 0; i < sizeof(arm_events) / sizeof(arm_events[0]); i++)
        if (!strcmp(arm_events[i].name, name) && (arm_events[i].cores & core))
            return arm_events[i].code;
    return -1;
}

#endif
