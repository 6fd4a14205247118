#include "events/slots.h"

#include "base/error.h"
#include "events/cores.h"
#include "events/kernel_names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CODE = 0xffff, SLOTS = 0x0400, FIRST_PART = 0x8000, LAST_PART = 0x8700, EVENT = 0xff };

/* What the kernel describes as slots on the PMU of this type. */
static bool find_slots(uint32_t type, struct tally_term *out)
{
    const struct tally_cores *all = tally_cores();
    char name[64];
    for (int i = 0; i < all->count; i++) {
        snprintf(name, sizeof(name), "%.31s/slots/", all->cores[i].name);
        if (all->cores[i].type == type && tally_kernel_name_encode(name, true, true, out) == 0)
            return out->config == SLOTS;
    }
    return false;
}

enum tally_slots_role tally_slots_role(const struct tally_term *term)
{
    struct tally_term slots;
    uint64_t code = term->config & CODE;
    bool is_part = code >= FIRST_PART && code <= LAST_PART && !(code & EVENT);
    if ((code != SLOTS && !is_part) || term->type < PERF_TYPE_RAW ||
        !find_slots(term->type, &slots))
        return TALLY_SLOTS_NONE;
    return is_part ? TALLY_SLOTS_PART : TALLY_SLOTS_LEADER;
}

int tally_slots_leader_of(const struct tally_term *part, struct tally_term *out)
{
    if (!find_slots(part->type, out))
        return TALLY_ERROR;
    out->exclude_user = part->exclude_user;
    out->exclude_kernel = part->exclude_kernel;
    out->exclude_hv = part->exclude_hv;
    return 0;
}

int tally_slots_check_sampled(const struct tally_event *event)
{
    for (int i = 0; i < event->term_count; i++)
        if (tally_slots_role(&event->terms[i]) == TALLY_SLOTS_PART)
            return tally_error_code(
                TALLY_NOT_FOUND,
                "\"%s\" is a part of the processor's slots, which it counts but cannot sample; "
                "\"tallystack stat -e %s\" has its total.",
                event->name, event->name);
    return 0;
}

/* The descriptor of a leader like this one, which stays ours; or -errno. */
static int leader(struct tally_slots *slots, const struct tally_term *term,
                  enum tally_perf_mode mode, pid_t pid)
{
    for (int i = 0; i < slots->count; i++) {
        const struct tally_term *there = &slots->leaders[i].term;
        if (there->type == term->type && there->exclude_user == term->exclude_user &&
            there->exclude_kernel == term->exclude_kernel && there->precise == term->precise)
            return slots->leaders[i].fd;
    }
    if (slots->count == TALLY_SLOTS_LEADERS)
        return -EMFILE;
    int fd = tally_perf_open(term, mode, pid);
    if (fd >= 0) {
        slots->leaders[slots->count].term = *term;
        slots->leaders[slots->count++].fd = fd;
    }
    return fd;
}

int tally_slots_open(struct tally_slots *slots, const struct tally_term *term,
                     enum tally_perf_mode mode, pid_t pid)
{
    struct tally_term first;
    enum tally_slots_role role = tally_slots_role(term);
    if (role == TALLY_SLOTS_NONE)
        return tally_perf_open(term, mode, pid);
    if (role == TALLY_SLOTS_PART && tally_slots_leader_of(term, &first) < 0)
        return -ENOENT;
    int fd = leader(slots, role == TALLY_SLOTS_PART ? &first : term, mode, pid);
    if (fd < 0 || role == TALLY_SLOTS_PART)
        return fd < 0 ? fd : tally_perf_open_in(term, mode, pid, fd);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

void tally_slots_enable(const struct tally_slots *slots)
{
    for (int i = 0; i < slots->count; i++)
        tally_perf_enable(slots->leaders[i].fd);
}

void tally_slots_close(struct tally_slots *slots)
{
    while (slots->count > 0)
        close(slots->leaders[--slots->count].fd);
}
