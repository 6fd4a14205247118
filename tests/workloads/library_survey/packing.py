"""How small each source packs and what its digest is, done by a thread beside the reading."""

import hashlib
import queue
import threading
import zlib


def pack(source):
    """The packed size of a source."""
    return len(zlib.compress(source, 9))


def digest(source):
    """A digest that is slow to forge: the source hashed over a derived key."""
    key = hashlib.pbkdf2_hmac("sha256", source[:64] or b"-", b"library_survey", 500)
    return hashlib.sha256(key + source).hexdigest()


class Packer(threading.Thread):
    """Takes (module, source) pairs until None comes; both calls above release the GIL."""

    def __init__(self):
        super().__init__(name="packer")
        self.sources = queue.Queue()
        self.sizes = {}
        self.digests = {}

    def put(self, module, source):
        self.sources.put((module, source))

    def finish(self):
        self.sources.put(None)
        self.join()

    def run(self):
        for module, source in iter(self.sources.get, None):
            self.sizes[module] = len(source), pack(source)
            self.digests[module] = digest(source)

    def digest_of_all(self):
        whole = hashlib.sha256()
        for module in sorted(self.digests):
            whole.update(self.digests[module].encode())
        return whole.hexdigest()
