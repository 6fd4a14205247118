/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "simulator/follow.h"

#include "simulator/core.h"

#include <elf.h>
#include <stdbool.h>

/* Of the core. */
extern HChar *VG_(name_of_launcher);
SysRes VG_(pre_exec_check)(const HChar *path, Int *out_fd, Bool allow_setuid);

static HChar own_path[VKI_PATH_MAX];

void follow_init(void)
{
    SSizeT size = VG_(readlink)("/proc/self/exe", own_path, sizeof(own_path) - 1);
    own_path[size > 0 ? size : 0] = '\0';
}

/* With the rights that this process has now, and in its root. */
static bool can_read(const HChar *path)
{
    SysRes result = VG_(open)(path, VKI_O_RDONLY, 0);
    if (sr_isError(result))
        return false;
    VG_(close)((Int)sr_Res(result));
    return true;
}

/* For another processor than this one, or in 32 bits. */
static bool is_foreign(const HChar *path)
{
#if defined(VGA_amd64)
    enum { MACHINE = EM_X86_64 };
#else
    enum { MACHINE = EM_AARCH64 };
#endif
    Elf64_Ehdr header;
    SysRes result = VG_(open)(path, VKI_O_RDONLY, 0);
    if (sr_isError(result))
        return false;
    Int size = VG_(read)((Int)sr_Res(result), &header, sizeof(header));
    VG_(close)((Int)sr_Res(result));
    return size == (Int)sizeof(header) && !VG_(memcmp)(header.e_ident, ELFMAG, SELFMAG) &&
           (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != MACHINE);
}

enum follow follow_exec(const char *path)
{
    if (path && !VG_(am_is_valid_for_client)((Addr)path, 1, VKI_PROT_READ))
        return FOLLOW_FAILS;
    if (path && sr_isError(VG_(pre_exec_check)(path, NULL, True)))
        return FOLLOW_FAILS;
    if (!VG_(name_of_launcher) || !can_read(VG_(name_of_launcher)) || !can_read(own_path))
        return FOLLOW_NATIVE;
    /* A set-user-ID program, or one with capabilities, would run without them. */
    if (path && (sr_isError(VG_(pre_exec_check)(path, NULL, False)) || is_foreign(path)))
        return FOLLOW_NATIVE;
    return FOLLOW_DONE;
}
