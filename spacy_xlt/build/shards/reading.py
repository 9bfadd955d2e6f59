"""Reading the files of a shard: what is not as it was written is an error that names the shard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc, DocBin

from ...bitext import USER_DATA_KEY, Bitext
from ...errors import XltError, error
from ...io import file_digest
from ...languages import blank
from ...readers.docbin import read_bin
from .records import Record


class Translated(NamedTuple):
    """A source document in one of its languages.

    number (int): Of the source document in its shard, counted from 0.
    place (int): Of its translation in the shard's file of that language.
    key (str): Under which its bitext is stored.
    """

    number: int
    place: int
    source: Doc
    lang: str
    key: str


def read_file(folder: Path, record: Record, name: str) -> DocBin:
    """Read a `.spacy` file of a shard.

    RAISES (XltError): E550 where it is missing, cannot be read, or is not what the build wrote.
    """
    path = folder / name
    try:
        digest = file_digest(path)
    except OSError as err:
        raise error("E550", shard=record.shard, path=path, reason=err.strerror) from err
    if digest != record.files.get(name):
        raise error("E550", shard=record.shard, path=path, reason="it is not what the build wrote")
    try:
        return read_bin(path)
    except XltError as err:
        raise error("E550", shard=record.shard, path=path, reason=err.message) from err


def read_sources(folder: Path, record: Record) -> list[Doc]:
    """The source documents of a shard, with what is stored of their bitexts.

    RAISES (XltError): E550 for a file that cannot be read.
    """
    docs = read_file(folder, record, record.bitext)
    try:
        # The words of a shard are kept by the vocabulary, which is a fresh one from time to time
        return list(docs.get_docs(blank("xx").vocab))
    except Exception as err:  # whatever data of another form runs into
        reason = f"{type(err).__name__}: {err}"
        raise error("E550", shard=record.shard, path=folder / record.bitext, reason=reason) from err


def translated(folder: Path, record: Record, docs: list[Doc], lang: str = "") -> Iterator[Translated]:
    """The documents in each of their target languages, in order.

    A shard's file of a language has a document for each source document with a bitext in that language, in the same
    order; sentences of it may be left out, even all.

    lang (str): Only this language.
    RAISES (XltError): E550 where the source documents say nothing that can be read.
    """
    places: dict[str, int] = {}
    for number, doc in enumerate(docs):
        stored = doc.user_data.get(USER_DATA_KEY) or {}
        if not isinstance(stored, dict):
            reason = f"document {number} stores no bitexts but {type(stored).__name__}"
            raise error("E550", shard=record.shard, path=folder / record.bitext, reason=reason)
        for key, data in stored.items():
            found = str(data["target_lang"]) if isinstance(data, dict) and "target_lang" in data else str(key)
            place = places.get(found, 0)
            places[found] = place + 1
            if lang in ("", found):
                yield Translated(number, place, doc, found, key)


def read_targets(folder: Path, record: Record, found: list[Translated]) -> dict[str, DocBin]:
    """The shard's files of target documents by language, for the documents that `translated` gave.

    RAISES (XltError): E550 for a file that cannot be read or has another number of documents.
    """
    targets = {}
    for lang in sorted({one.lang for one in found}):
        targets[lang] = read_file(folder, record, record.target(lang))
        expected = sum(one.lang == lang for one in found)
        if len(targets[lang]) != expected:
            reason = f"it has {len(targets[lang])} documents, and {expected} source documents are translated"
            raise error("E550", shard=record.shard, path=folder / record.target(lang), reason=reason)
    return targets


def bitext_of(folder: Path, record: Record, one: Translated) -> Bitext:
    """The bitext of a document.

    RAISES (XltError): E550 where what is stored cannot be read.
    """
    try:
        return Bitext.from_stored(one.source, one.source.user_data[USER_DATA_KEY][one.key])
    except Exception as err:  # XltError, and whatever data of another form runs into
        reason = f"document {one.number}: {type(err).__name__}: {err}"
        raise error("E550", shard=record.shard, path=folder / record.bitext, reason=reason) from err


def check_found(folder: Path, *, n_docs: int, known: set[str], lang: str, what: str) -> None:
    """Make sure that something was found.

    known (set[str]): The languages that are there.
    RAISES (XltError): E552 for a language that is not among them, E556 where there is no document.
    """
    if lang and lang not in known:
        raise error("E552", lang=lang, path=folder, known=", ".join(sorted(known)) or "none")
    if not n_docs:
        raise error("E556", path=folder, what=what)
