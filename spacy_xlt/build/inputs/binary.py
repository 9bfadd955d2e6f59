"""`.spacy` files: documents in slices, of which only what they hold is read."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any

import numpy
import srsly
from spacy.attrs import ENT_IOB, ENT_TYPE, HEAD, ORTH
from spacy.strings import get_string_id
from spacy.tokens import DocBin
from spacy.tokens._dict_proxies import SpanGroups

from .base import FileInfo, InputFile, Range
from .unpacked import Cursor, NotACorpus, Region, columns_of, naming, unpacked

# How many tokens are looked at together while a file is scanned: some 10 MB of them
_TOKENS = 1 << 16
_BEGIN, _N_IOB = 3, 4
# First byte of a msgpack array, before the number of its values
_ARRAY = b"\xdd"
# Arrays with a value a document
_VALUES = ("cats", "flags", "span_groups", "user_data")


class SpacyFile(InputFile):
    """A file as `DocBin.to_disk` writes it. Its documents are as they stand there, with their user data."""

    def _scan(self) -> FileInfo:
        with naming(self.path), unpacked(self.path) as file:
            corpus = _Corpus(file)
            n_annotated = sum(int(block.sum()) for block in corpus.annotated())
            return FileInfo(len(corpus), n_annotated)

    def _slices(self, ranges: Iterator[Range]) -> Iterator[DocBin]:
        with ExitStack() as stack:
            with naming(self.path):
                corpus = _Corpus(stack.enter_context(unpacked(self.path)))
            for start, stop in ranges:
                if stop > len(corpus):
                    raise self._too_few(len(corpus), stop)
                with naming(self.path):
                    found = corpus.slice(start, stop)
                yield found


class _Strings:
    """The strings of a corpus, found by their number; 16 bytes each.

    RAISES (NotACorpus): Where they are no strings.
    """

    def __init__(self, file: IO[bytes], start: int):
        cursor = Cursor(file, start)
        places, ids = array("Q", [cursor.position]), array("Q")
        for text in cursor.values():
            if not isinstance(text, str):
                raise NotACorpus(f"{text!r} is among its strings")
            ids.append(get_string_id(text))
            places.append(cursor.position)
        of_place = numpy.frombuffer(ids, dtype="uint64") if ids else numpy.zeros(0, dtype="uint64")
        order = numpy.argsort(of_place, kind="stable")
        self._ids = of_place[order]
        self._order = order.astype("uint32")
        self._places = places
        self._region = Region(file, 0, cursor.position)

    def known(self, ids: numpy.ndarray) -> numpy.ndarray:
        """Which of these numbers stand for a string, bool `(n,)`."""
        if not len(self._ids):
            return numpy.zeros(len(ids), dtype=bool)
        at = numpy.minimum(numpy.searchsorted(self._ids, ids), len(self._ids) - 1)
        return self._ids[at] == ids

    def of(self, ids: numpy.ndarray) -> set[str]:
        """The strings that these numbers stand for, where they stand for one."""
        ids = ids[self.known(ids)]
        if not len(ids):
            return set()
        found = numpy.sort(self._order[numpy.searchsorted(self._ids, ids)]).tolist()
        pieces = [self._region.piece(self._places[n], self._places[n + 1]) for n in found]
        # All at once, as one array: a call for each would take most of the time
        return set(srsly.msgpack_loads(_ARRAY + struct.pack(">I", len(pieces)) + b"".join(pieces)))


class _Corpus:
    """A corpus that is unpacked in a file. Pieces of it are read from the front to the back.

    RAISES (NotACorpus): Where its columns do not fit each other.
    """

    def __init__(self, file: IO[bytes]):
        found = columns_of(file)
        self.attrs: list[Any] = found["attrs"]
        if not isinstance(self.attrs, list) or ORTH not in self.attrs:
            raise NotACorpus(f"its attributes are {self.attrs!r}")
        self._tokens: Region = found["tokens"]
        self._spaces: Region = found["spaces"]
        lengths = found["lengths"].piece(0, len(found["lengths"]))
        self._lengths = numpy.frombuffer(lengths, dtype="int32")
        self._values = {name: Cursor(file, found[name]) for name in _VALUES if name in found}
        self._check_sizes()
        self.strings = _Strings(file, found["strings"])
        # Where the tokens of the next document begin
        self._doc, self._token = 0, 0

    def __len__(self) -> int:
        return len(self._lengths)

    def _check_sizes(self) -> None:
        n_tokens = int(self._lengths.sum(dtype="int64"))
        if (self._lengths < 0).any() or len(self._tokens) != n_tokens * len(self.attrs) * 8:
            raise NotACorpus("its tokens do not fit the lengths of its documents")
        if len(self._spaces) != n_tokens:
            raise NotACorpus("its spaces do not fit its tokens")
        for name, cursor in self._values.items():
            if cursor.n != len(self) and not (name == "user_data" and cursor.n < len(self)):
                raise NotACorpus(f"it has {len(self)} documents and {cursor.n} {name}")

    def slice(self, start: int, stop: int) -> DocBin:
        """The documents `[start, stop)`, which come after those of the last slice."""
        tokens, spaces = self._rows(start, stop)
        values = {name: self._take(name, start, stop) for name in _VALUES}
        ids = numpy.concatenate([numpy.unique(tokens), _ids_of(values["span_groups"])])
        found = DocBin(attrs=(), store_user_data="user_data" in self._values)
        found.attrs, found.strings = self.attrs, self.strings.of(numpy.unique(ids))
        ends = numpy.cumsum(self._lengths[start:stop])
        found.tokens = numpy.split(tokens, ends[:-1]) if stop > start else []
        found.spaces = numpy.split(spaces, ends[:-1]) if stop > start else []
        for name, value in values.items():
            setattr(found, name, value)
        return found

    def annotated(self) -> Iterator[numpy.ndarray]:
        """Which documents have an entity or a span, bool `(n_docs,)` for some of them at a time.

        RAISES (NotACorpus): For tokens that are none.
        """
        for start, stop in self._blocks():
            tokens, _ = self._rows(start, stop)
            lengths = self._lengths[start:stop]
            of_doc = numpy.repeat(numpy.arange(stop - start), lengths)
            self._check_tokens(tokens, lengths, of_doc)
            found = numpy.array([_has_spans(groups) for groups in self._take("span_groups", start, stop)], dtype=bool)
            if ENT_IOB in self.attrs and ENT_TYPE in self.attrs:
                begins = (self._column(tokens, ENT_IOB) == _BEGIN) & (self._column(tokens, ENT_TYPE) != 0)
                found[of_doc[begins]] = True
            for name in ("cats", "flags", "user_data"):
                self._take(name, start, stop)
            yield found

    def _check_tokens(self, tokens: numpy.ndarray, lengths: numpy.ndarray, of_doc: numpy.ndarray) -> None:
        """See what `Doc.from_array` sees, and that each word is among the strings."""
        words = numpy.unique(self._column(tokens, ORTH))
        if not self.strings.known(words[words != 0]).all():
            raise NotACorpus("words of its documents are not among its strings")
        if ENT_IOB in self.attrs and (self._column(tokens, ENT_IOB) >= _N_IOB).any():
            raise NotACorpus("a token has no valid ENT_IOB")
        if HEAD in self.attrs and len(tokens):
            first = numpy.cumsum(lengths) - lengths
            place = numpy.arange(len(tokens)) - first[of_doc]
            head = place + self._column(tokens, HEAD).astype("int32")
            if (head < 0).any() or (head >= lengths[of_doc]).any():
                raise NotACorpus("a token has its head in another document")

    def _column(self, tokens: numpy.ndarray, attr: int) -> numpy.ndarray:
        return tokens[:, self.attrs.index(attr)]

    def _blocks(self) -> Iterator[Range]:
        """Documents with some number of tokens together, or one with more."""
        start, n_tokens = 0, 0
        for number, length in enumerate(self._lengths.tolist()):
            if number > start and (n_tokens + length > _TOKENS or number - start >= _TOKENS):
                yield start, number
                start, n_tokens = number, 0
            n_tokens += length
        if len(self):
            yield start, len(self)

    def _rows(self, start: int, stop: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Tokens, uint64 `(n, n_attrs)`, and spaces, bool `(n, 1)`."""
        first = self._token + int(self._lengths[self._doc : start].sum(dtype="int64"))
        last = first + int(self._lengths[start:stop].sum(dtype="int64"))
        self._doc, self._token = stop, last
        row = 8 * len(self.attrs)
        tokens = numpy.frombuffer(self._tokens.piece(first * row, last * row), dtype="uint64")
        spaces = numpy.frombuffer(self._spaces.piece(first, last), dtype=bool)
        return tokens.reshape((-1, len(self.attrs))), spaces.reshape((-1, 1))

    def _take(self, name: str, start: int, stop: int) -> list[Any]:
        """A value a document, as `DocBin.from_bytes` fills in what older files lack."""
        cursor = self._values.get(name)
        values: list[Any] = []
        if cursor is not None:
            cursor.skip_to(start)
            values = cursor.take(stop - start)
        for value in values:
            if not isinstance(value, bytes if name in ("span_groups", "user_data") else dict):
                if not (name == "user_data" and value is None):
                    raise NotACorpus(f"{value!r} is among its {name}")
        lacking = stop - start - len(values)
        fill = {"span_groups": b"", "user_data": None}
        return values + [fill[name] if name in fill else {} for _ in range(lacking)]


def _spans(groups: bytes) -> Iterator[bytes]:
    """The spans of all groups of a document, in spaCy's stored form."""
    if not groups or groups == SpanGroups._EMPTY_BYTES:
        return
    # Older versions of spaCy wrote a list of groups, newer ones a map from groups to their keys
    for group in srsly.msgpack_loads(groups):
        yield from srsly.msgpack_loads(group)["spans"]


def _has_spans(groups: bytes) -> bool:
    return next(_spans(groups), None) is not None


def _ids_of(span_groups: list[bytes]) -> numpy.ndarray:
    """The numbers that the spans of these documents have for strings: uint64 `(n,)`."""
    # Id, knowledge base id and label come first in a span, most significant byte first
    heads = b"".join(span[:24] for groups in span_groups for span in _spans(groups))
    return numpy.frombuffer(heads, dtype=">u8").astype("uint64")
