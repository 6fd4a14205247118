"""The survey: reads each source once and hands it to those who look at it."""

from library_survey.census import CensusTaker
from library_survey.likeness import Fingerprint, most_alike
from library_survey.packing import Packer
from library_survey.sources import find_sources, library_folder, module_name, read_source
from library_survey.structure import functions_of
from library_survey.words import NameCounts, tokens_of


class Survey:
    def __init__(self, limit):
        self.folder = library_folder()
        self.paths = find_sources(self.folder, limit)
        self.size = 0
        self.token_count = 0
        self.names = NameCounts()
        self.functions = []
        self.fingerprints = {}
        self.alike = []
        self.packer = Packer()
        self.census = None

    def run(self):
        taker = CensusTaker(self.paths)
        self.packer.start()
        for path in self.paths:
            self.look_at(module_name(path, self.folder), read_source(path))
        self.alike = most_alike(self.fingerprints, 3)
        self.packer.finish()
        self.census = taker.result()

    def look_at(self, module, source):
        tokens = tokens_of(source)
        self.size += len(source)
        self.token_count += len(tokens)
        self.names.add(tokens)
        self.functions += functions_of(source, module)
        self.fingerprints[module] = Fingerprint(tokens)
        self.packer.put(module, source)
