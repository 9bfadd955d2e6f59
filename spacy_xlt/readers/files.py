"""Which files a corpus is: a single one, or those of known formats in a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import error, warn
from ..io import file_digest
from .brat import ANNOTATION, TEXT, brat_pairs, suffix_of
from .docbin import in_order
from .settings import (
    AUTO,
    BRAT,
    COLUMNS,
    FORMATS,
    JSONL,
    LINES,
    MARKED,
    PRODIGY,
    PUBTATOR,
    SPACY,
    SQUAD,
    TACRED,
    TEXTS,
    ReadSettings,
)

# What a suffix says; ".txt" says only that it is text
_SUFFIXES = {
    ".spacy": SPACY,
    ".iob2": "iob2",
    ".conll": "conll",
    ".conll02": "conll",
    ".conll03": "conll",
    ".tsv": "tsv",
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".json": JSONL,
    ANNOTATION: BRAT,
}
# Formats that the same files may have
_FAMILIES = (
    frozenset((*COLUMNS, TEXTS)),
    frozenset({JSONL, PRODIGY, TACRED, SQUAD}),
    *map(frozenset, ([LINES], [MARKED], [PUBTATOR])),
)


@dataclass(frozen=True)
class CorpusFile:
    """A file of a corpus; for brat a text, or the texts of a folder.

    Attributes:
        path: Where it lies.
        format: "spacy", "iob2", "conll", "tsv", "jsonl", "prodigy", "brat" or "lines".
        name: Its path in the corpus's folder, with "/" between; no other file of the corpus has it.
    """

    path: Path
    format: str
    name: str

    def digest(self) -> str:
        """SHA-256 of the bytes as they lie on the disk, as hexadecimal digits; of a folder, also of its files' names.

        Raises:
            XltError: E535 where the file cannot be read.
        """
        try:
            if self.format != BRAT:
                return file_digest(self.path)
            digest = hashlib.sha256()
            for file in (file for pair in brat_pairs(self.path, {}) for file in pair):
                digest.update(f"{len(file.name)} {_shown(file.name)} {file_digest(file)}\n".encode())
            return digest.hexdigest()
        except OSError as err:
            raise _unreadable(err, self.path) from err


def corpus_files(
    path: str | Path, settings: ReadSettings | None = None, *, skip_corrupt: bool = False
) -> list[CorpusFile]:
    """The files of a corpus, by name and by the numbers in it. None of them is read yet.

    A folder gives all files of known formats in it and in its folders, by their suffix, compressed or not. With
    `settings.format` they are those of that format: all columns for a format of columns, and also all `.txt` files for
    columns, JSON lines and lines. Hidden files are passed over. brat's texts are documents, and a folder of them is one
    file.

    Args:
        path: File or folder.
        settings: How the corpus is read.
        skip_corrupt: Take a folder of brat's whatever is missing in it; reading leaves out what cannot be read.

    Raises:
        XltError: E502 where there is nothing; E503 for a folder without a corpus in it; E535 for what cannot be looked
            at; E536 for annotation without its text and a text without its annotation; E539 for a file whose name does
            not tell its format; E541 for a setting that no file is for.

    Warns:
        XltWarning: W534 for texts without annotation in a folder of brat's, W515 for files .json of a folder.
    """
    path, settings = Path(path), settings or ReadSettings()
    try:
        if path.is_dir():
            files = list(_in_folder(path, settings, skip_corrupt))
        elif path.is_file():
            files = [CorpusFile(path, _format_of_file(path, settings.format), _shown(path.name))]
            if files[0].format == BRAT:
                brat_pairs(path)
        elif path.exists():
            raise error("E535", path=path, reason="it is no file or folder; write what it gives to a file")
        else:
            raise error("E502", what="corpus", path=path)
    except OSError as err:
        raise _unreadable(err, path) from err
    if not files:
        raise error("E503", path=path)
    settings.check_used(path, (file.format for file in files))
    return sorted(files, key=lambda file: in_order(Path(file.name)))


def raw_format(path: Path) -> str:
    """The format of raw text by its name: a .txt file has a document on each line, whatever lies beside it."""
    return LINES if path.is_file() and suffix_of(path) == TEXT else AUTO


def text_format(path: Path) -> str:
    """The format where none can be set: what the name of a file says, else plain text with a document on each line."""
    return LINES if path.is_file() and suffix_of(path) not in _SUFFIXES else AUTO


def _format_of_file(path: Path, wanted: str) -> str:
    """The format of a file that was named itself."""
    suffix = suffix_of(path)
    if wanted != AUTO:
        return wanted
    if suffix == TEXT:
        return BRAT
    if suffix not in _SUFFIXES:
        raise error("E539", path=path, known=", ".join(FORMATS))
    return _SUFFIXES[suffix]


def _in_folder(root: Path, settings: ReadSettings, skip_corrupt: bool) -> Iterator[CorpusFile]:
    passed_over: list[Path] = []
    for folder, paths in _folders(root):
        inside = "" if folder == root else _shown(folder.relative_to(root).as_posix()) + "/"
        texts = []
        for path in paths:
            format = _format_in_folder(path, settings.format)
            if format == BRAT:
                texts.append(path)
            elif format:
                yield CorpusFile(path, format, inside + _shown(path.name))
            elif suffix_of(path) == ".json" and settings.format == AUTO:
                passed_over.append(path)
        if any(suffix_of(path) == ANNOTATION for path in texts):
            pairs = brat_pairs(folder, {} if skip_corrupt else None)
            alone = {path for path in texts if suffix_of(path) == TEXT} - {pair.text for pair in pairs}
            if alone:
                warn("W534", n=len(alone), path=folder, first=min(alone).name, stacklevel=4)
            yield CorpusFile(folder, BRAT, f"{inside}*{ANNOTATION}")
    if passed_over:
        warn("W515", n=len(passed_over), path=root, first=passed_over[0].name, stacklevel=4)


def _format_in_folder(path: Path, wanted: str) -> str:
    """The format of a file in a folder, "" where it is not taken."""
    suffix = suffix_of(path)
    if suffix == TEXT:
        is_text_format = any(wanted in family for family in _FAMILIES)
        return wanted if is_text_format else BRAT if wanted in (AUTO, BRAT) else ""
    # A folder has many a .json that is no corpus
    said = "" if suffix == ".json" and wanted == AUTO else _SUFFIXES.get(suffix, "")
    if not said or wanted in (AUTO, said):
        return said
    return wanted if any({said, wanted} <= family for family in _FAMILIES) else ""


def _folders(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder with the files in it. Links to folders are followed, and no folder comes twice."""

    def stop(err: OSError) -> None:
        raise err

    entered = set()
    for place, folders, names in os.walk(root, followlinks=True, onerror=stop):
        if (real := os.path.realpath(place)) in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        # A link that leads nowhere is taken, so that reading names it
        yield Path(place), [path for path in paths if path.is_file() or path.is_symlink()]


def _shown(name: str) -> str:
    """A file's name as text, also where its bytes are no UTF-8, as names may be anywhere but on Windows."""
    return os.fsencode(name).decode("utf8", "backslashreplace")


def _unreadable(err: OSError, path: Path) -> Exception:
    return error("E535", path=err.filename or path, reason=err.strerror or str(err))
