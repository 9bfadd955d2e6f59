"""Reading `.spacy` corpora: one file, or a folder of shards."""

from __future__ import annotations

import re
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
from spacy.attrs import DEP, ENT_TYPE, LEMMA, NORM, ORTH, TAG
from spacy.strings import get_string_id
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab

from ..docs import replace_ents
from ..errors import XltError, error
from ..languages import MULTI, vocab_of
from ..limits import DOCS, TEXT, TOKEN, check_size, unpacked_limit
from ..textfiles import read_bytes
from .settings import ReadNotes, ReadSettings
from .stored_links import leave_out_unusable

_PIECE = 1 << 20
# The span group that mirrors entities in what this package has written
_MIRROR = "xlt_ents"
# Attributes of tokens whose values have names
_NAMED = {ORTH: "ORTH", LEMMA: "LEMMA", NORM: "NORM", TAG: "TAG", DEP: "DEP", ENT_TYPE: "ENT_TYPE"}


def corpus_files(path: str | Path) -> list[Path]:
    """The `.spacy` files that a path stands for: itself, or all inside a folder, sorted by name and numbers in it.

    Raises:
        XltError: E502 where there is nothing, E503 for a folder without a corpus in it.
    """
    path = Path(path)
    if not path.exists():
        raise error("E502", what="corpus", path=path)
    if path.is_file():
        return [path]
    files = sorted((file for file in path.rglob("*.spacy") if not file.name.startswith(".")), key=in_order)
    if not files:
        raise error("E503", path=path)
    return files


def in_order(path: Path) -> tuple[list[list[str | int]], Path]:
    """A key to sort paths by, with the numbers in their names as numbers: shard 99999 before 100000."""
    # Text and numbers in turn, so that like is compared with like
    names = (re.split(r"([0-9]+)", name) for name in path.parts)
    return [[int(part) if i % 2 else part for i, part in enumerate(name)] for name in names], path


def read_bin(file: str | Path) -> DocBin:
    """Read one `.spacy` file, which may be compressed once more.

    Raises:
        XltError: E503 for an empty file, E504 for one that is no corpus or is cut short, E106 and E535 for one that
            cannot be read.
    """
    file = Path(file)
    data = read_bytes(file)
    if not data:
        raise error("E503", path=file)
    with _naming(file):
        # DocBin unpacks all of it at once
        unpacking = zlib.decompressobj()
        n_bytes, rest = 0, data
        while rest and not unpacking.eof:
            n_bytes += len(unpacking.decompress(rest, _PIECE))
            rest = unpacking.unconsumed_tail
            check_size(file, "bytes unpacked", n_bytes, unpacked_limit(len(data)))
        return DocBin().from_bytes(data)


def read_docs(path: str | Path, *, lang: str = MULTI, vocab: Vocab | None = None) -> Iterator[Doc]:
    """Read documents one by one from a `.spacy` file or a folder of them. Each file is read whole.

    Other formats are for `spacy_xlt.readers.read_corpus`.

    Args:
        path: File or folder.
        lang: Language of the documents, whose vocabulary they get; a corpus does not say it.
        vocab: A vocabulary to use instead.

    Raises:
        XltError: E502, E503, E504 for what is missing, empty or not a corpus.
    """
    vocab = vocab_of(lang) if vocab is None else vocab
    for file in corpus_files(path):
        yield from _docs(file, vocab)


def read_docbin(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read the documents of one `.spacy` file as they are; see `readers.read_file`.

    Links and records that cannot be are left out; see `leave_out_unusable`. Ids of spans without their names, as tools
    write them that know only numbers, are these numbers.
    """
    for doc in _docs(path, vocab_of(settings.lang), notes):
        ents = {(ent.start, ent.end, ent.label) for ent in doc.ents}
        for span in doc.spans.get(_MIRROR, ()):
            if (span.start, span.end, span.label) not in ents:
                notes.add("reserved", span.text)
        yield doc


def _docs(file: Path, vocab: Vocab, notes: ReadNotes | None = None) -> Iterator[Doc]:
    stored = read_bin(file)
    with _naming(file):
        _check_names(stored, vocab)
        _check_texts(file, stored)
    docs = stored.get_docs(vocab)
    for number in count(1):
        with _naming(file):
            doc = next(docs, None)
            if doc is None:
                return
            leave_out_unusable(doc, f"document {number}", notes or ReadNotes())
            _name_ids(doc, notes or ReadNotes())
        yield doc


def _check_names(stored: DocBin, vocab: Vocab) -> None:
    """Make sure that tokens and labels have names, which only ids of spans can do without."""
    for string in stored.strings:
        vocab.strings.add(string)
    for attr, name in _NAMED.items():
        if stored.tokens and attr in stored.attrs:
            column = stored.attrs.index(attr)
            for found in np.unique(np.concatenate([tokens[:, column] for tokens in stored.tokens])).tolist():
                if found not in vocab.strings:
                    raise ValueError(f"the number {found}, a value of {name}, has no name in it")


def _check_texts(file: Path, stored: DocBin) -> None:
    """Make sure that the texts are not too long, before any is made: a word that is long is stored once."""
    total, size = 0, file.stat().st_size
    check_size(file, "documents", len(stored), max(DOCS, size))
    lengths = {get_string_id(string): len(string) for string in stored.strings}
    for tokens in stored.tokens if ORTH in stored.attrs else ():
        words, counts = np.unique(tokens[:, stored.attrs.index(ORTH)], return_counts=True)
        sizes = np.asarray([lengths.get(word, 0) for word in words.tolist()], np.int64)
        length = int((sizes * counts.astype(np.int64)).sum())
        total += length
        check_size(file, "a token in characters", int(sizes.max(initial=0)), TOKEN)
        check_size(file, "a text in characters", length, TEXT)
        check_size(file, "all texts in characters", total, unpacked_limit(size))


def check_doc(doc: Doc, path: Path) -> None:
    """Make sure that a document is not too long, nor a token in it.

    Args:
        doc: The document.
        path: The file that it is from.

    Raises:
        XltError: E542.
    """
    if len(doc):
        check_size(path, "a text in characters", doc[-1].idx + len(doc[-1]), TEXT)
        check_size(path, "a token in characters", max(map(len, doc)), TOKEN)


def _name_ids(doc: Doc, notes: ReadNotes) -> None:
    """Give names to ids of spans that have none, as no command could write them."""
    strings: Container[int] = doc.vocab.strings  # type: ignore[assignment]

    def named(span: Span) -> Span:
        ids = [i if i in strings else str(i) for i in (span.kb_id, span.id)]
        if ids != [span.kb_id, span.id]:
            notes.add("ids", span.text)
        return Span(doc, span.start, span.end, label=span.label_, kb_id=ids[0], span_id=ids[1])

    for key, group in doc.spans.items():
        if any(span.kb_id not in strings or span.id not in strings or span.label not in strings for span in group):
            doc.spans[key] = SpanGroup(doc, name=group.name, attrs=dict(group.attrs), spans=[named(s) for s in group])
    if any(ent.kb_id not in strings or ent.id not in strings for ent in doc.ents):
        replace_ents(doc, [named(ent) for ent in doc.ents])


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Turn whatever broken bytes lead to into one error."""
    try:
        yield
    except XltError:
        raise
    except Exception as err:  # zlib.error, msgpack's, numpy's and spaCy's errors
        raise error("E504", path=file, reason=f"{type(err).__name__}: {err}") from err
