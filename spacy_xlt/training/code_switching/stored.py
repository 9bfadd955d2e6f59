"""Finding the other side of a sentence: an index on disk over the bitexts that a build wrote."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import srsly
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from ...bitext import ENTS_GROUP, Bitext, SentencePair
from ...build.sharding import BITEXT
from ...docs import missing_ranges
from ...errors import error
from ...readers.docbin import corpus_files, read_bin

# Of a sentence that is in a corpus again and again ("Thank you ."), so many translations are looked at.
_MOST_FOUND = 16

Range = tuple[int, int]


class Side(NamedTuple):
    """One side of a sentence pair.

    words (list[str]): Its tokens.
    spaces (list[bool]): Whether white space follows each.
    spans (list[tuple[str, int, int]]): Key and token range `[start, end)` of entities ("ents") and spans of groups.
    missing (list[tuple[int, int]]): Where its entity annotation is missing.
    annotated (bool): Whether it has entity annotation at all.
    """

    words: list[str]
    spaces: list[bool]
    spans: list[tuple[str, int, int]]
    missing: list[Range]
    annotated: bool


class StoredPair(NamedTuple):
    """A sentence, its translation and their word links.

    lang (str): Language of the translation.
    links (list[tuple[int, int, float]]): Token index here, token index there, score.
    """

    lang: str
    here: Side
    there: Side
    links: list[tuple[int, int, float]]


class BitextIndex:
    """Sentence → its other side, for the sentences of both sides of all bitexts in a folder.

    Made at the first look-up, in a temporary file that goes away with the index: memory does not grow with the corpus.

    path (str | Path): What `spacy xlt build` wrote, or a `.spacy` file of documents with stored bitexts.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        self.path = path / BITEXT if (path / BITEXT).is_dir() else path
        self._made: tuple[sqlite3.Connection, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": None}

    def find(self, words: Sequence[str]) -> list[StoredPair]:
        """The pairs of which one side is this sentence, seen from it.

        RAISES (XltError): E502, E503, E504 for the path; E515 without bitexts, E651 without links.
        """
        rows = self._database().execute(
            "SELECT turned, data FROM sides JOIN pairs USING (pair) WHERE key = ? ORDER BY pair LIMIT ?",
            (_key(words), _MOST_FOUND),
        )
        pairs = (_unpacked(bool(turned), srsly.msgpack_loads(data)) for turned, data in rows)
        return [pair for pair in pairs if pair.here.words == list(words)]

    def _database(self) -> sqlite3.Connection:
        # A forked process makes its own: SQLite's connections do not survive a fork
        if self._made is None or self._made[1] != os.getpid():
            handle, name = tempfile.mkstemp(prefix="spacy_xlt-bitexts-", suffix=".sqlite")
            os.close(handle)
            weakref.finalize(self, _remove, name)
            connection = sqlite3.connect(name, check_same_thread=False)
            self._fill(connection)
            self._made = connection, os.getpid()
        return self._made[0]

    def _fill(self, connection: sqlite3.Connection) -> None:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE pairs (pair INTEGER PRIMARY KEY, data BLOB);"
            "CREATE TABLE sides (key BLOB, pair INTEGER, turned INTEGER);"
        )
        n_pairs = n_links = 0
        for file in corpus_files(self.path):
            # A vocab of its own for each file, as a vocab keeps every word it has seen
            for doc in read_bin(file).get_docs(Vocab()):
                for bitext in doc._.xlt.values():
                    for data in _packed(bitext):
                        n_pairs, n_links = n_pairs + 1, n_links + len(data["links"])
                        connection.execute("INSERT INTO pairs VALUES (?, ?)", (n_pairs, srsly.msgpack_dumps(data)))
                        keys = [(_key(data[side]["words"]), n_pairs, side == "target") for side in ("source", "target")]
                        connection.executemany("INSERT INTO sides VALUES (?, ?, ?)", keys)
            connection.commit()
        if not n_pairs:
            raise error("E515", path=self.path)
        if not n_links:
            raise error("E651", path=self.path)
        connection.execute("CREATE INDEX by_key ON sides (key)")
        connection.commit()


def _key(words: Sequence[str]) -> bytes:
    return blake2b("\n".join(words).encode("utf8", "surrogatepass"), digest_size=16).digest()


def _remove(name: str) -> None:
    # A process that was forked may have removed it; on Windows an open file stays until the system clears it
    with contextlib.suppress(OSError):
        os.unlink(name)


def _packed(bitext: Bitext) -> Iterator[dict[str, Any]]:
    pairs = list(bitext.sentences)
    unsplit = not (bitext.source.has_annotation("SENT_START") and bitext.target.has_annotation("SENT_START"))
    if len(pairs) > 1 and unsplit:
        # Who reads such a document sees it as one sentence
        pairs.append(SentencePair(0, len(bitext.source), 0, len(bitext.target)))
    for pair in pairs:
        links = bitext.alignment.between(pair.source, pair.target)
        yield {
            "langs": [bitext.source_lang, bitext.target_lang],
            "source": side_of(bitext.source, *pair.source)._asdict(),
            "target": side_of(bitext.target, *pair.target)._asdict(),
            "links": [[*link, score] for link, score in zip(links.links.tolist(), links.scores.tolist(), strict=True)],
        }


def side_of(doc: Doc, start: int, end: int) -> Side:
    """One side of a sentence pair, from the tokens `[start, end)` of a document.

    Spans that reach out of the sentence are there too, with an end outside it.
    """

    def inside(spans: Iterable[Span]) -> list[Range]:
        return [(span.start - start, span.end - start) for span in spans if span.start < end and span.end > start]

    groups = [("ents", doc.ents), *((key, group) for key, group in doc.spans.items() if key != ENTS_GROUP)]
    return Side(
        words=[doc[i].text for i in range(start, end)],
        spaces=[bool(doc[i].whitespace_) for i in range(start, end)],
        spans=[(key, *found) for key, group in groups for found in inside(group)],
        missing=[(max(s, start) - start, min(e, end) - start) for s, e in missing_ranges(doc) if s < end and e > start],
        annotated=doc.has_annotation("ENT_IOB"),
    )


def _unpacked(turned: bool, data: dict[str, Any]) -> StoredPair:
    source, target = (_unpacked_side(data[name]) for name in ("source", "target"))
    links = [(i, j, score) for i, j, score in data["links"]]
    if turned:
        return StoredPair(data["langs"][0], target, source, [(j, i, score) for i, j, score in links])
    return StoredPair(data["langs"][1], source, target, links)


def _unpacked_side(data: dict[str, Any]) -> Side:
    spans = [(key, start, end) for key, start, end in data["spans"]]
    missing = [(start, end) for start, end in data["missing"]]
    return Side(list(data["words"]), list(data["spaces"]), spans, missing, data["annotated"])
