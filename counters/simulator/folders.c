/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/folders.h"

#include "simulator/attribution.h"
#include "simulator/codes.h"

enum { DIRECTORY = 4 };            /* d_type */
enum { RECORD_SIZE_MOST = 65535 }; /* what d_reclen can say */

static bool import_calls(void)
{
    return attribution.layout && attribution.thread && attribution.thread->tstate &&
           codes_import_calls(attribution.thread->tstate);
}

static bool is_recording(Int folder, const HChar *name)
{
    HChar path[VKI_PATH_MAX];
    struct vg_stat status;
    VG_(snprintf)(path, sizeof(path), "/proc/self/fd/%d/%s/session.json", folder, name);
    return !sr_isError(VG_(stat)(path, &status));
}

static bool is_left_by_a_run(Int folder, const struct vki_dirent64 *entry)
{
    static const HChar *const suffixes[] = {".csv", ".svg", ".png", ".log"};
    const HChar *suffix = VG_(strrchr)(entry->d_name, '.');
    if (entry->d_type == DIRECTORY)
        return is_recording(folder, entry->d_name);
    for (UInt i = 0; suffix && i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (!VG_(strcmp)(suffix, suffixes[i]))
            return true;
    return false;
}

/* The rest moves up. The last takes what is left, since the caller goes by their sizes: the number
 * of bytes that the kernel answered stands. */
static void hide_entries(Int folder, HChar *entries, UWord size)
{
    struct vki_dirent64 *last = NULL;
    UWord to = 0;
    for (UWord from = 0, next; from < size; from = next) {
        struct vki_dirent64 *entry = (struct vki_dirent64 *)(entries + from);
        UWord record = entry->d_reclen;
        next = from + record;
        if (is_left_by_a_run(folder, entry))
            continue;
        last = (struct vki_dirent64 *)(entries + to);
        VG_(memmove)(last, entry, record);
        to += record;
    }
    if (last)
        last->d_reclen = (unsigned short)(last->d_reclen + size - to);
}

static void hide_numbers(struct vki_stat *status)
{
    if (!VKI_S_ISDIR(status->st_mode))
        return;
    status->st_nlink = 1;
    status->st_size = status->st_blocks = 0;
}

void folders_after_call(UInt number, const UWord *arguments, SysRes result)
{
    bool lists = number == __NR_getdents64, asks = number == __NR_newfstatat;
#ifdef __NR_stat
    asks |= number == __NR_stat;
#endif
    if ((!lists && !asks) || sr_isError(result) || !import_calls())
        return;
    if (asks)
        hide_numbers((struct vki_stat *)arguments[number == __NR_newfstatat ? 2 : 1]);
    else if (sr_Res(result) <= RECORD_SIZE_MOST)
        hide_entries((Int)arguments[0], (HChar *)arguments[1], sr_Res(result));
}
