/*
 * Events that the kernel describes in its file system, in perf's form PMU/NAME/ (cpu/slots/,
 * cpu_core/topdown-retiring/): for processors and events that libpfm4 does not know, and for the
 * core types of a hybrid processor.
 *
 * The description is /sys/bus/event_source/devices/PMU/events/NAME ("event=0x00,umask=0x80"), whose
 * fields are placed by PMU/format/FIELD ("config:0-7,21"); see Documentation/ABI/testing/
 * sysfs-bus-event_source-devices-{events,format} of the kernel.
 */
#ifndef TALLY_EVENTS_KERNEL_NAMES_H
#define TALLY_EVENTS_KERNEL_NAMES_H

#include "events/event.h"

/* Whether a name has this form; the kernel may not have it. */
bool tally_is_kernel_name(const char *name);

bool tally_kernel_name_exists(const char *name);

/* Fills a term; TALLY_NOT_FOUND where the kernel has no such PMU or event. */
int tally_kernel_name_encode(const char *name, bool user, bool kernel, struct tally_term *term);

/* The first line of a file that the kernel has for a PMU, such as "cpus"; false where it has none.
 */
bool tally_kernel_pmu_file(const char *pmu, const char *file, char *out, size_t room);

/* For tests: another folder than /sys/bus/event_source/devices; NULL is that again. Borrowed. */
void tally_kernel_names_from(const char *folder);

#endif
