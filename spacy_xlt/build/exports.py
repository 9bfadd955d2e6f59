"""Writing a build in other forms: rows of JSON, formats that are read again, a corpus of fused sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from spacy.tokens import Doc, DocBin

from ..bitext import Bitext
from ..docs import META
from ..errors import error
from ..fused import fused_sentences
from ..io import json_bytes, replacing, write_bytes
from ..languages import vocab_of
from ..readers.settings import BRAT
from ..writers import is_brat_folder, write_corpus
from .built import BuiltShard, BuiltShards
from .outputs import check_output, check_what, with_bar
from .rows import Row, bitext_row, target_row
from .shard import TARGET


def export(
    shards: BuiltShards,
    path: Path,
    *,
    what: str = TARGET,
    lang: str = "",
    rows_of: Callable[[Bitext], Iterable[Row]] | None = None,
    overwrite: bool = False,
    silent: bool = True,
) -> int:
    """Write a JSON line for each document and language, for people outside spaCy.

    Args:
        path: A file; with the name .json, the lines are an array in it.
        what: "target" for the target documents as they are trained on, "bitext" for both sides with their links.
        lang: Only this target language; all if left out.
        rows_of: What to write of each bitext instead.

    Returns:
        How many lines.

    Raises:
        XltError: E510 for an invalid setting; E550 for a shard that cannot be read; E552, E580 if the language or any
            shard is missing; E553, E554 for what must not be written over; E556 if nothing is there.
    """
    check_what(what)
    shards.check(lang)
    check_output(path, shards.folder, overwrite=overwrite)
    n_rows, is_array = 0, path.suffix == ".json"
    with replacing(path) as beside:
        with beside.open("wb") as file:
            for shard in with_bar(shards, "export", silent):
                for row in _rows(shard, what, lang, rows_of):
                    if is_array:
                        file.write(b"," if n_rows else b"[")
                    file.write(json_bytes(row, allow_nan=False))
                    n_rows += 1
            if is_array and n_rows:
                file.write(b"]\n")
        if not n_rows:
            raise error("E556", path=shards.folder, what="an export")
    return n_rows


def export_format(
    shards: BuiltShards, path: Path, format: str, *, lang: str = "", overwrite: bool = False, silent: bool = True
) -> int:
    """Write the target documents in a format that `readers` reads. Those without a token are left out.

    Args:
        path: A file; for brat a folder.
        format: One of `WRITTEN_FORMATS`.
        lang: Only this target language. It has to be given if the build has several.

    Returns:
        How many entries, as `write_corpus` counts them.

    Raises:
        XltError: E550 for a shard that cannot be read; E551 for targets in several languages; E552, E580 if the
            language or any shard is missing; E553, E554 for what must not be written over; E556 if nothing is there,
            E576 if the format holds none of it.

    Warns:
        XltWarning: W576 for what the format cannot hold.
    """
    shards.check(lang)
    if not lang and len(shards.langs) > 1:
        raise error("E551", known=", ".join(shards.langs))
    check_output(path, shards.folder, overwrite=overwrite, is_ours=is_brat_folder if format == BRAT else None)

    def docs() -> Iterator[Doc]:
        for shard in with_bar(shards, "export", silent):
            translated = shard.translated(lang)
            targets = {lang: list(of.get_docs(vocab_of(lang))) for lang, of in shard.targets(translated).items()}
            for one in translated:
                doc = targets[one.lang][one.place]
                if len(doc):
                    doc.user_data[META] = one.source.user_data.get(META, {})
                    yield doc

    found = docs()
    first = next(found, None)
    if first is None:
        raise error("E556", path=shards.folder, what="an export")
    return write_corpus(chain([first], found), path, format)


def fuse(shards: BuiltShards, path: Path, *, lang: str = "", overwrite: bool = False, silent: bool = True) -> int:
    """Write the projected sentences, each behind its annotated source, as a corpus to train `xlt_fused` on.

    Args:
        path: A `.spacy` file.
        lang: Only this target language; all if left out.

    Returns:
        How many sentences.

    Raises:
        XltError: E550 for a shard that cannot be read; E552, E580 if the language or any shard is missing; E553, E554
            for what must not be written over; E556 if nothing is there.
    """
    shards.check(lang)
    check_output(path, shards.folder, overwrite=overwrite)
    docs = DocBin(store_user_data=True)
    for shard in with_bar(shards, "fuse", silent):
        for one in shard.translated(lang):
            for doc in fused_sentences(shard.stored_bitext(one), vocab_of(one.lang)):
                docs.add(doc)
    if not len(docs):
        raise error("E556", path=shards.folder, what="a corpus of fused sentences")
    write_bytes(path, docs.to_bytes())
    return len(docs)


def _rows(shard: BuiltShard, what: str, lang: str, rows_of: Callable[[Bitext], Iterable[Row]] | None) -> Iterable[Row]:
    translated = shard.translated(lang)
    if rows_of is not None:
        for one in translated:
            yield from rows_of(shard.stored_bitext(one))
        return
    docs: dict[str, list[Doc]] = {}
    if what == TARGET:
        docs = {lang: list(of.get_docs(vocab_of(lang))) for lang, of in shard.targets(translated).items()}
    for one in translated:
        bitext = shard.stored_bitext(one)
        row = target_row(docs[one.lang][one.place], bitext) if what == TARGET else bitext_row(bitext)
        yield {"shard": shard.name, "doc": one.number, **row}
