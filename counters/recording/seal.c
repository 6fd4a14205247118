#include "recording/seal.h"

#include "base/buffer.h"
#include "base/error.h"
#include "recording/format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

struct sealed_file {
    char *name;
    uint64_t size;
    size_t block_count;
    uint32_t *checksums;
};

struct tally_seal {
    size_t count;
    struct sealed_file *files;
};

static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}

static size_t block_count(uint64_t size)
{
    return (size_t)((size + TALLY_SEAL_BLOCK - 1) / TALLY_SEAL_BLOCK);
}

static size_t block_size(uint64_t size, size_t block)
{
    uint64_t rest = size - (uint64_t)block * TALLY_SEAL_BLOCK;
    return rest < TALLY_SEAL_BLOCK ? (size_t)rest : TALLY_SEAL_BLOCK;
}

/*
 * Gives back the disk's room for the zeros at the end of a block: a process claims a whole chunk,
 * of which short ones write little. Where the file system cannot, the room stays taken.
 */
static void free_zeros(int fd, const unsigned char *block, size_t size, uint64_t offset)
{
    enum { PAGE = 4096 };
    size_t used = size;
    while (used && !block[used - 1])
        used--;
    used = (used + PAGE - 1) / PAGE * PAGE;
    if (used < size)
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(offset + used),
                  (off_t)(size - used));
}

static int seal_file(int directory, const char *name, struct tally_buffer *text)
{
    int fd = openat(directory, name, O_RDWR | O_CLOEXEC);
    struct stat status;
    int result = 0;
    if (fd < 0)
        return tally_error("cannot read %s: %s.", name, strerror(errno));
    if (fstat(fd, &status) < 0) {
        result = tally_error("cannot read %s: %s.", name, strerror(errno));
        goto out;
    }
    uint64_t size = (uint64_t)status.st_size;
    tally_buffer_printf(text, "%s %" PRIu64, name, size);
    unsigned char *block = tally_alloc(TALLY_SEAL_BLOCK);
    for (size_t i = 0; i < block_count(size) && result == 0; i++) {
        size_t part = block_size(size, i);
        if (pread(fd, block, part, (off_t)((uint64_t)i * TALLY_SEAL_BLOCK)) != (ssize_t)part)
            result = tally_error("cannot read %s.", name);
        else
            free_zeros(fd, block, part, (uint64_t)i * TALLY_SEAL_BLOCK);
        tally_buffer_printf(text, " %08" PRIx32, checksum(block, part));
    }
    free(block);
    tally_buffer_append(text, "\n", 1);
out:
    close(fd);
    return result;
}

static int write_new_file(int directory, const char *name, const struct tally_buffer *text)
{
    static const char temporary[] = "seal.new";
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return tally_error("cannot write the seal of the recording: %s.", strerror(errno));
    ssize_t written = write(fd, text->data, text->size);
    int failed = written != (ssize_t)text->size;
    failed |= close(fd) < 0;
    if (!failed)
        failed = renameat(directory, temporary, directory, name) < 0;
    if (!failed)
        return 0;
    int error = errno;
    unlinkat(directory, temporary, 0);
    return tally_error("cannot write the seal of the recording: %s.",
                       strerror(written >= 0 && !error ? ENOSPC : error));
}

static DIR *open_directory(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
    if (!list && copy >= 0)
        close(copy);
    return list;
}

int tally_seal_write(int directory)
{
    struct tally_buffer text = {0};
    DIR *list = open_directory(directory);
    int result = 0;
    if (!list)
        return tally_error("cannot list the recording: %s.", strerror(errno));
    tally_buffer_printf(&text, "%s\n", TALLY_SEAL_MAGIC);
    for (struct dirent *entry = readdir(list); entry && result == 0; entry = readdir(list))
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, "seal", 4) != 0)
            result = seal_file(directory, entry->d_name, &text);
    closedir(list);
    if (result == 0) {
        uint32_t sum = checksum((const unsigned char *)text.data, text.size);
        tally_buffer_printf(&text, "end %08" PRIx32 "\n", sum);
        result = write_new_file(directory, "seal", &text);
    }
    tally_buffer_release(&text);
    return result;
}

static int read_text(int directory, struct tally_buffer *text)
{
    int fd = openat(directory, "seal", O_RDONLY | O_CLOEXEC);
    char part[65536];
    ssize_t got;
    if (fd < 0)
        return TALLY_NOT_FOUND;
    while ((got = read(fd, part, sizeof(part))) > 0)
        tally_buffer_append(text, part, (size_t)got);
    close(fd);
    return 0;
}

static bool parse_line(struct tally_seal *seal, char *line)
{
    struct sealed_file file = {0};
    char *end, *name = strsep(&line, " ");
    if (!line)
        return false;
    file.size = strtoull(line, &end, 10);
    if (end == line || file.size > (UINT64_C(1) << 48))
        return false;
    file.block_count = block_count(file.size);
    if (strlen(end) != file.block_count * 9)
        return false;
    file.checksums = tally_alloc_zeroed(file.block_count, sizeof(*file.checksums));
    for (size_t i = 0; i < file.block_count; i++)
        file.checksums[i] = (uint32_t)strtoul(end + i * 9 + 1, NULL, 16);
    file.name = tally_strdup(name);
    seal->files = tally_realloc(seal->files, seal->count + 1, sizeof(*seal->files));
    seal->files[seal->count++] = file;
    return true;
}

static bool parse_seal(struct tally_seal *seal, struct tally_buffer *text)
{
    char *rest = text->data, *line;
    const size_t end_size = sizeof("end 00000000\n") - 1;
    if (text->size < end_size || memchr(text->data, 0, text->size))
        return false;
    char *end = text->data + text->size - end_size;
    uint32_t sum = checksum((const unsigned char *)text->data, (size_t)(end - text->data));
    char expected[sizeof("end 00000000\n")];
    snprintf(expected, sizeof(expected), "end %08" PRIx32 "\n", sum);
    if (memcmp(end, expected, end_size) != 0)
        return false;
    *end = '\0';
    line = strsep(&rest, "\n");
    if (!rest || strcmp(line, TALLY_SEAL_MAGIC) != 0)
        return false;
    while ((line = strsep(&rest, "\n")) && *line)
        if (!parse_line(seal, line))
            return false;
    return true;
}

int tally_seal_read(struct tally_seal **out, int directory)
{
    struct tally_buffer text = {0};
    int result = 0;
    *out = NULL;
    if (read_text(directory, &text) == 0) {
        struct tally_seal *seal = tally_alloc_zeroed(1, sizeof(*seal));
        if (parse_seal(seal, &text)) {
            *out = seal;
        } else {
            tally_seal_free(seal);
            result = tally_error_code(TALLY_DAMAGED, "the seal of the recording is damaged.");
        }
    }
    tally_buffer_release(&text);
    return result;
}

const char *tally_seal_name(const struct tally_seal *seal, size_t index)
{
    return index < seal->count ? seal->files[index].name : NULL;
}

size_t tally_seal_check(const struct tally_seal *seal, const char *name, const void *bytes,
                        size_t size, bool *block_ok, void (*done)(const void *bytes, size_t size))
{
    const struct sealed_file *file = NULL;
    for (size_t i = 0; i < seal->count; i++)
        if (!strcmp(seal->files[i].name, name))
            file = &seal->files[i];
    size_t differ = 0, actual = block_count(size);
    for (size_t i = 0; i < actual; i++) {
        const unsigned char *block = (const unsigned char *)bytes + i * TALLY_SEAL_BLOCK;
        size_t part = block_size(size, i);
        bool ok = file && i < file->block_count && part == block_size(file->size, i) &&
                  checksum(block, part) == file->checksums[i];
        if (done)
            done(block, part);
        if (block_ok)
            block_ok[i] = ok;
        differ += !ok;
    }
    if (file && file->block_count > actual)
        differ += file->block_count - actual;
    return differ;
}

void tally_seal_free(struct tally_seal *seal)
{
    if (!seal)
        return;
    for (size_t i = 0; i < seal->count; i++) {
        free(seal->files[i].name);
        free(seal->files[i].checksums);
    }
    free(seal->files);
    free(seal);
}
