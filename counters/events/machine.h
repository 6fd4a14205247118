/*
 * What decides whether this machine can count: its PMU, who hides it, and who may ask.
 */
#ifndef TALLY_EVENTS_MACHINE_H
#define TALLY_EVENTS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the kernel has registered a PMU of the processor; true where that cannot be seen. */
bool tally_machine_has_pmu(void);

/*
 * Whether `config`, an event as an Arm processor's PMU numbers them, is one of those that the
 * architecture names and this processor says it does not have. The kernel opens it all the same,
 * and it stays 0. False on other processors.
 */
bool tally_machine_disowns(uint32_t type, uint64_t config);

/*
 * The most precise sampling (perf's precise_ip) that the processor has, 0 to 3; negative where only
 * opening tells.
 */
int tally_machine_max_precise(void);

/* The hypervisor this machine runs under, as "KVM (Amazon EC2)"; NULL on bare metal. */
const char *tally_machine_hypervisor(void);

/* The container this process is in, as "Docker"; NULL when it is in none that can be seen. */
const char *tally_machine_container(void);

/* kernel.perf_event_paranoid; false where it cannot be read. */
bool tally_machine_paranoid(int *level);

/* CAP_PERFMON or CAP_SYS_ADMIN: perf_event_paranoid does not apply. */
bool tally_machine_is_privileged(void);

/* A seccomp filter sits on this process, as in a container. */
bool tally_machine_is_filtered(void);

/*
 * Who refused a perf_event_open that failed with `error` (EACCES, EPERM or ENOSYS), and the command
 * that allows it: a clause and a command, both borrowed until the next call. The command is empty
 * where there is none.
 */
void tally_machine_refusal(int error, const char **cause, const char **command);

#endif
