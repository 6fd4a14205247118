/* The seal: what was changed, cut, added or lost after it is told, byte by byte. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "fake_recording.h"
#include "recording/seal.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { SIZE = 3 * TALLY_SEAL_BLOCK + 100, BLOCKS = 4 };

static unsigned char content[SIZE + 1];

struct sealed {
    struct fake_recording *fake;
    int directory;
    struct tally_seal *seal;
};

static void make(struct sealed *sealed)
{
    for (size_t i = 0; i < SIZE; i++)
        content[i] = (unsigned char)(i * 7 + i / 251);
    *sealed = (struct sealed){.fake = fake_new()};
    sealed->directory = open(sealed->fake->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake_file(sealed->fake, "data", content, SIZE);
    fake_file(sealed->fake, "empty", "", 0);
    fake_file(sealed->fake, "one", content, TALLY_SEAL_BLOCK);
    assert_int_equal(tally_seal_write(sealed->directory), 0);
}

static int reread(struct sealed *sealed)
{
    tally_seal_free(sealed->seal);
    sealed->seal = NULL;
    return tally_seal_read(&sealed->seal, sealed->directory);
}

static void end(struct sealed *sealed)
{
    tally_seal_free(sealed->seal);
    close(sealed->directory);
    fake_free(sealed->fake);
}

static void test_names_and_bytes(void **state)
{
    struct sealed sealed;
    bool ok[BLOCKS + 1] = {false};
    (void)state;
    make(&sealed);
    assert_int_equal(reread(&sealed), 0);
    int seen = 0;
    const char *name;
    for (size_t i = 0; (name = tally_seal_name(sealed.seal, i)); i++)
        seen += !strcmp(name, "data") + !strcmp(name, "empty") + !strcmp(name, "one") +
                100 * !strcmp(name, "seal");
    assert_int_equal(seen, 3);
    assert_int_equal(tally_seal_check(sealed.seal, "data", content, SIZE, ok, NULL), 0);
    for (int i = 0; i < BLOCKS; i++)
        assert_true(ok[i]);
    assert_int_equal(tally_seal_check(sealed.seal, "empty", "", 0, NULL, NULL), 0);
    assert_int_equal(tally_seal_check(sealed.seal, "one", content, TALLY_SEAL_BLOCK, NULL, NULL),
                     0);
    end(&sealed);
}

static void test_changed_bytes(void **state)
{
    static const size_t places[] = {0, 1, TALLY_SEAL_BLOCK - 1, TALLY_SEAL_BLOCK, SIZE - 1};
    struct sealed sealed;
    bool ok[BLOCKS];
    (void)state;
    make(&sealed);
    assert_int_equal(reread(&sealed), 0);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            content[places[i]] ^= (unsigned char)(1u << bit);
            assert_int_equal(tally_seal_check(sealed.seal, "data", content, SIZE, ok, NULL), 1);
            for (size_t block = 0; block < BLOCKS; block++)
                assert_int_equal(ok[block], block != places[i] / TALLY_SEAL_BLOCK);
            content[places[i]] ^= (unsigned char)(1u << bit);
        }
    end(&sealed);
}

static void test_lengths(void **state)
{
    struct sealed sealed;
    bool ok[BLOCKS + 1];
    (void)state;
    make(&sealed);
    assert_int_equal(reread(&sealed), 0);
    assert_int_equal(tally_seal_check(sealed.seal, "data", content, SIZE - 1, ok, NULL), 1);
    assert_true(ok[0] && ok[1] && ok[2] && !ok[3]);
    assert_int_equal(tally_seal_check(sealed.seal, "data", content, SIZE + 1, ok, NULL), 1);
    assert_true(ok[0] && ok[1] && ok[2] && !ok[3]);
    assert_int_equal(
        tally_seal_check(sealed.seal, "data", content, (size_t)2 * TALLY_SEAL_BLOCK, ok, NULL), 2);
    assert_true(ok[0] && ok[1]);
    assert_int_equal(tally_seal_check(sealed.seal, "data", content, 0, ok, NULL), BLOCKS);
    assert_int_equal(tally_seal_check(sealed.seal, "empty", content, 1, ok, NULL), 1);
    assert_false(ok[0]);
    assert_int_equal(tally_seal_check(sealed.seal, "one", content, TALLY_SEAL_BLOCK + 1, ok, NULL),
                     1);
    assert_true(ok[0] && !ok[1]);
    assert_int_equal(tally_seal_check(sealed.seal, "unknown", content, SIZE, ok, NULL), BLOCKS);
    assert_false(ok[0] || ok[1] || ok[2] || ok[3]);
    end(&sealed);
}

static void test_missing_seal(void **state)
{
    struct sealed sealed;
    (void)state;
    make(&sealed);
    fake_remove(sealed.fake, "seal");
    assert_int_equal(reread(&sealed), 0);
    assert_null(sealed.seal);
    end(&sealed);
}

static char *seal_text(const struct sealed *sealed, size_t *size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/seal", sealed->fake->path);
    char *text = tally_read_file(path, size);
    assert_non_null(text);
    return text;
}

static void assert_damaged(struct sealed *sealed, const char *text, size_t size)
{
    fake_file(sealed->fake, "seal", text, size);
    assert_int_equal(reread(sealed), TALLY_DAMAGED);
    assert_null(sealed->seal);
    assert_non_null(strstr(tally_error_text(), "seal"));
}

static void test_damaged_seal(void **state)
{
    struct sealed sealed;
    size_t size;
    (void)state;
    make(&sealed);
    char *text = seal_text(&sealed, &size);
    for (size_t i = 0; i < size; i++) {
        char byte = text[i];
        assert_damaged(&sealed, text, i); /* cut */
        text[i] ^= 1;
        assert_damaged(&sealed, text, size);
        text[i] = '\0';
        assert_damaged(&sealed, text, size);
        text[i] = byte;
    }
    fake_file(sealed.fake, "seal", text, size);
    assert_int_equal(reread(&sealed), 0);
    free(text);
    end(&sealed);
}

/* What has a right sum and is no seal all the same. */
static void test_forged_seals(void **state)
{
    static const char *const forged[] = {
        "",
        "tallystack seal 2\n",
        TALLY_SEAL_MAGIC "\nname\n",
        TALLY_SEAL_MAGIC "\nname x\n",
        TALLY_SEAL_MAGIC "\nname -1\n",
        TALLY_SEAL_MAGIC "\nname 1\n",
        TALLY_SEAL_MAGIC "\nname 1 0000000\n",
        TALLY_SEAL_MAGIC "\nname 1 00000000 00000000\n",
        TALLY_SEAL_MAGIC "\nname 99999999999999999999 00000000\n",
        TALLY_SEAL_MAGIC "\nname 70000 00000000\n",
    };
    struct sealed sealed;
    (void)state;
    make(&sealed);
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        struct tally_buffer text = {0};
        uint32_t sum =
            (uint32_t)crc32(0, (const unsigned char *)forged[i], (unsigned)strlen(forged[i]));
        tally_buffer_printf(&text, "%send %08x\n", forged[i], sum);
        assert_damaged(&sealed, text.data, text.size);
        tally_buffer_release(&text);
    }
    end(&sealed);
}

static void test_sealing_again(void **state)
{
    struct sealed sealed;
    (void)state;
    make(&sealed);
    content[5] ^= 0xff;
    fake_file(sealed.fake, "data", content, SIZE);
    assert_int_equal(tally_seal_write(sealed.directory), 0);
    assert_int_equal(reread(&sealed), 0);
    assert_int_equal(tally_seal_check(sealed.seal, "data", content, SIZE, NULL, NULL), 0);
    end(&sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_bytes), cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_lengths),         cmocka_unit_test(test_missing_seal),
        cmocka_unit_test(test_damaged_seal),    cmocka_unit_test(test_forged_seals),
        cmocka_unit_test(test_sealing_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
