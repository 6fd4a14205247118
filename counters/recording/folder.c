#include "recording/folder.h"

#include "base/buffer.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_recording(const char *path)
{
    char inside[PATH_MAX];
    snprintf(inside, sizeof(inside), "%s/session.json", path);
    return access(inside, F_OK) == 0;
}

static void remove_folder(const char *path)
{
    DIR *list = opendir(path);
    if (!list)
        return;
    for (struct dirent *entry = readdir(list); entry; entry = readdir(list))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
    rmdir(path);
}

/* Room for the files that are written last, when the samples may have filled the disk. */
static const char reserve[] = "reserve";

static int make_reserve(const struct tally_folder *folder)
{
    enum { RESERVE_SIZE = 512 << 10 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < RESERVE_SIZE)
        return tally_error("files may not be larger than %" PRIu64 " bytes here (ulimit -f), too "
                           "little for a recording; raise the limit.",
                           (uint64_t)limit.rlim_cur);
    int fd = openat(folder->descriptor, reserve, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return 0;
    bool has_room = posix_fallocate(fd, 0, RESERVE_SIZE) == 0;
    close(fd);
    if (!has_room)
        unlinkat(folder->descriptor, reserve, 0);
    return 0;
}

int tally_folder_make(struct tally_folder *folder, const char *path)
{
    *folder = (struct tally_folder){.descriptor = -1};
    struct tally_buffer name = {0};
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    folder->path = strndup(path, size);
    if (access(folder->path, F_OK) == 0 && !is_recording(folder->path))
        return tally_error("\"%s\" exists and is no recording; choose another name with -o.", path);
    tally_buffer_printf(&name, "%s.new-%d", folder->path, (int)getpid());
    folder->temporary = name.data;
    if (mkdir(folder->temporary, 0777) < 0) {
        int error = errno;
        free(folder->temporary);
        folder->temporary = NULL;
        return tally_error("cannot make the recording \"%s\": %s.", path, strerror(error));
    }
    folder->descriptor = open(folder->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->descriptor < 0)
        return tally_error("cannot open the recording \"%s\": %s.", path, strerror(errno));
    return make_reserve(folder);
}

static int rotate(struct tally_folder *folder)
{
    struct tally_buffer old = {0};
    int result = 0;
    if (access(folder->path, F_OK) < 0)
        return 0;
    tally_buffer_printf(&old, "%s.old", folder->path);
    if (is_recording(old.data))
        remove_folder(old.data);
    folder->has_rotated = rename(folder->path, old.data) == 0;
    if (!folder->has_rotated)
        result = tally_error("cannot keep the older recording as \"%s\": %s.", old.data,
                             strerror(errno));
    tally_buffer_release(&old);
    return result;
}

int tally_folder_commit(struct tally_folder *folder)
{
    if (rotate(folder) < 0)
        return TALLY_ERROR;
    if (rename(folder->temporary, folder->path) < 0)
        return tally_error("cannot make the recording \"%s\": %s.", folder->path, strerror(errno));
    folder->is_committed = true;
    return 0;
}

void tally_folder_discard(const struct tally_folder *folder)
{
    struct tally_buffer old = {0};
    tally_buffer_printf(&old, "%s.old", folder->path);
    remove_folder(folder->path);
    if (folder->has_rotated)
        rename(old.data, folder->path);
    tally_buffer_release(&old);
}

void tally_folder_use_reserve(const struct tally_folder *folder)
{
    unlinkat(folder->descriptor, reserve, 0);
}

void tally_folder_release(struct tally_folder *folder)
{
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    if (folder->temporary && !folder->is_committed)
        remove_folder(folder->temporary);
    free(folder->temporary);
    free(folder->path);
}
