"""Documents in the formats that `readers` reads, so that what was projected goes back to where it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from spacy.tokens import Doc

from ..errors import error, warn
from ..io import inside, replacing, replacing_folder
from ..readers.brat import ANNOTATION, TEXT
from ..readers.settings import BRAT, MARKED, PUBTATOR, SQUAD, TACRED, TEXTS
from .brat import brat_annotation
from .marked import marked_entries
from .pubtator import pubtator_entries
from .slots import slots_entries
from .squad import squad_entries
from .tacred import tacred_entries
from .texts import texts_entries

__all__ = ["WRITTEN_FORMATS", "is_brat_folder", "write_corpus"]


class _Form(NamedTuple):
    """How a file is written: its entries, and what stands before, between and behind them."""

    entries: Callable[[Iterable[Doc], Counter[str]], Iterator[str]]
    before: str = ""
    between: str = ""
    behind: str = ""


_FORMS = {
    MARKED: _Form(marked_entries, between="\n"),
    TACRED: _Form(tacred_entries, "[\n", ",\n", "\n]\n"),
    SQUAD: _Form(squad_entries, '{"version": "v2.0", "data": [\n', ",\n", "\n]}\n"),
    "slots": _Form(slots_entries, between="\n"),
    TEXTS: _Form(texts_entries),
    PUBTATOR: _Form(pubtator_entries, between="\n"),
}
WRITTEN_FORMATS = (BRAT, *_FORMS)


def write_corpus(docs: Iterable[Doc], path: str | Path, format: str) -> int:
    """Write documents as a file; for brat as a folder of texts, each with its annotation.

    Args:
        docs: With what a corpus says of them in `doc.user_data["meta"]`, as `readers` give it.
        path: Replaced where it is there.
        format: One of `WRITTEN_FORMATS`.

    Returns:
        How many entries: texts, pairs of spans, or for SQuAD paragraphs.

    Raises:
        XltError: E576 where nothing was to be written.

    Warns:
        XltWarning: W576 for what the format cannot hold.
    """
    left_out: Counter[str] = Counter()
    if format == BRAT:
        n = _write_folder(docs, Path(path), left_out)
    else:
        n = _write_file(docs, Path(path), format, left_out)
    if left_out:
        warn("W576", path=path, format=format, kinds=_kinds(left_out))
    return n


def is_brat_folder(folder: Path) -> bool:
    """Whether a folder has nothing but what is written for brat."""
    return all(file.stem.isdigit() and file.suffix in (TEXT, ANNOTATION) for file in folder.iterdir())


def _write_file(docs: Iterable[Doc], path: Path, format: str, left_out: Counter[str]) -> int:
    n, form = 0, _FORMS[format]
    with replacing(path) as beside:
        with beside.open("w", encoding="utf8", newline="") as file:
            file.write(form.before)
            for entry in form.entries(docs, left_out):
                file.write((form.between if n else "") + entry)
                n += 1
            file.write(form.behind)
        if not n:
            raise error("E576", path=path, format=format, kinds=_kinds(left_out) or "none")
    return n


def _write_folder(docs: Iterable[Doc], path: Path, left_out: Counter[str]) -> int:
    n = 0
    with replacing_folder(path) as folder:
        for n, doc in enumerate(docs, 1):
            for suffix, text in ((TEXT, doc.text), (ANNOTATION, brat_annotation(doc, left_out))):
                inside(folder, f"{n:07}{suffix}").write_bytes(text.encode())
    return n


def _kinds(left_out: Counter[str]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items()))
