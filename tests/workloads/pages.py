"""Fresh memory: the first write to each of its pages is one page fault, and nothing else is."""

import mmap

PAGE = mmap.PAGESIZE


def fresh(count):
    """Memory of so many pages, none of which was touched."""
    memory = mmap.mmap(-1, count * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    return memory


def touch(memory):
    for at in range(0, len(memory), PAGE):
        memory[at] = 1
