"""Which sources look alike: shared runs of tokens, marked in one bitmap per source."""

import mmap
import zlib

RUN = 4
BITS = 1 << 20


class Fingerprint:
    """A bitmap of the runs of tokens that occur in a source, in fresh anonymous memory."""

    def __init__(self, tokens):
        self.bits = mmap.mmap(-1, BITS // 8)
        self.count = 0
        self._mark(tokens)

    def _mark(self, tokens):
        bits = self.bits
        for start in range(len(tokens) - RUN + 1):
            place = zlib.crc32(" ".join(tokens[start:start + RUN]).encode()) % BITS
            if not bits[place >> 3] >> (place & 7) & 1:
                bits[place >> 3] |= 1 << (place & 7)
                self.count += 1

    def as_integer(self):
        return int.from_bytes(self.bits, "little")


def likeness(one, other):
    """Jaccard's index of two bitmaps given as integers."""
    either = (one | other).bit_count()
    return (one & other).bit_count() / either if either else 0.0


def most_alike(fingerprints, count):
    """The `count` pairs of modules with the greatest likeness, as (likeness, module, module)."""
    bitmaps = sorted((module, mark.as_integer(), mark.count)
                     for module, mark in fingerprints.items())
    pairs = []
    for index, (module, bits, size) in enumerate(bitmaps):
        for other, other_bits, other_size in bitmaps[index + 1:]:
            # Sizes too far apart cannot give a likeness that matters.
            if 2 * min(size, other_size) > max(size, other_size):
                pairs.append((likeness(bits, other_bits), module, other))
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return pairs[:count]
