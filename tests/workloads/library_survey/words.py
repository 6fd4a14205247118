"""Words of a source: its tokens, and how often each name is used."""

import collections
import io
import keyword
import tokenize

SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENCODING, tokenize.ENDMARKER}


def tokens_of(source):
    """The token strings that mean something: no comments, no white space."""
    return [token.string for token in tokenize.tokenize(io.BytesIO(source).readline)
            if token.type not in SKIPPED]


def is_name(token):
    return token.isidentifier() and not keyword.iskeyword(token)


class NameCounts:
    """Uses of names over all sources, and in how many sources each occurs."""

    def __init__(self):
        self.uses = collections.Counter()
        self.sources = collections.Counter()

    def add(self, tokens):
        names = [token for token in tokens if is_name(token)]
        self.uses.update(names)
        self.sources.update(set(names))

    def common(self, count):
        """The names in most sources; among equals the more used, then the alphabet."""
        return sorted(self.uses, key=self._rank)[:count]

    def _rank(self, name):
        return (-self.sources[name], -self.uses[name], name)
