/* static_child N: touches N fresh pages; linked statically, so that nothing can be preloaded. */
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    char *memory =
        mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    madvise(memory, count * 4096, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < count; i++)
        memory[i * 4096] = 1;
    return 0;
}
