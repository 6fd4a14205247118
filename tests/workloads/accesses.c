/*
 * accesses WHAT N: does N times what a simulated event counts.
 *
 *   loads, stores     of one byte each, in a fresh line and page
 *   pages             jumps to and from a function in one of 512 pages, in turn
 *   conditional       branches that the last outcomes do not foretell
 *   indirect          calls through a pointer to one of eight functions, at random
 *   nothing           of it
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BYTES = 64 << 20, STEP = 4096 + 64, PAGE = 4096, CODE_PAGES = 512 };

static uint32_t noise = 12345;

/* Numerical Recipes' linear congruential generator; its high bits have a long period. */
static uint32_t next_noise(void)
{
    noise = noise * 1664525 + 1013904223;
    return noise >> 16;
}

#define FUNCTION(number)                                                                           \
    static int f##number(int x)                                                                    \
    {                                                                                              \
        return x ^ number;                                                                         \
    }
FUNCTION(1)
FUNCTION(2)
FUNCTION(3)
FUNCTION(4)
FUNCTION(5)
FUNCTION(6)
FUNCTION(7)
FUNCTION(8)

static void fill_with_returns(unsigned char *code)
{
#if defined(__x86_64__)
    for (int i = 0; i < CODE_PAGES; i++)
        code[i * (PAGE + 64)] = 0xc3;
#elif defined(__aarch64__)
    const uint32_t ret = 0xd65f03c0;
    for (int i = 0; i < CODE_PAGES; i++)
        memcpy(code + i * (PAGE + 64), &ret, sizeof(ret));
#endif
}

int main(int argc, char **argv)
{
    static int (*const functions[])(int) = {f1, f2, f3, f4, f5, f6, f7, f8};
    const char *what = argc > 2 ? argv[1] : "";
    long n = argc > 2 ? atol(argv[2]) : 0;
    volatile unsigned char *bytes =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *code = mmap(NULL, CODE_PAGES * (PAGE + 64), PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile int sink = 0;
    size_t at = 0;
    fill_with_returns(code);
    __builtin___clear_cache((char *)code, (char *)code + CODE_PAGES * (PAGE + 64));
    for (long i = 0; i < n && !strcmp(what, "loads"); i++, at = (at + STEP) % BYTES)
        bytes[at];
    for (long i = 0; i < n && !strcmp(what, "stores"); i++, at = (at + STEP) % BYTES)
        bytes[at] = 1;
    for (long i = 0; i < n && !strcmp(what, "pages"); i++)
        ((void (*)(void))(uintptr_t)(code + i % CODE_PAGES * (PAGE + 64)))();
    for (long i = 0; i < n && !strcmp(what, "conditional"); i++)
        if (next_noise() & 1)
            sink++;
    for (long i = 0; i < n && !strcmp(what, "indirect"); i++)
        sink = functions[next_noise() & 7](sink);
    return 0;
}
