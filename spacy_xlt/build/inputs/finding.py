"""Which files a corpus is: a single one, or those of known formats in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...compression import SUFFIXES, plain_name, reason_of
from ...errors import error, warn
from .base import InputFile, shown_name
from .binary import SpacyFile
from .brat import ANNOTATION, TEXT, BratFiles, Pair
from .columns import ColumnFile
from .guessing import guess_format
from .jsonl import JsonLinesFile
from .old_conll import FORMATS as COLUMNS
from .settings import AUTO, BRAT, FORMATS, JSONL, SPACY, InputSettings

# What an extension says. Those of other files say nothing, and ".txt" says only that it is text.
_EXTENSIONS = {
    ".spacy": SPACY,
    ".iob2": "iob2",
    ".conll": "conll",
    ".conll02": "conll",
    ".conll03": "conll",
    ".tsv": "tsv",
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ANNOTATION: BRAT,
}
_PAIRS = f"*{ANNOTATION}"


def open_inputs(path: str | Path, settings: InputSettings | None = None) -> list[InputFile]:
    """The files of a corpus, sorted by name. None of them is read yet, but for the first lines of those whose name
    does not tell their format.

    A folder gives all files of known formats in it and in its folders, by their extension (compressed or not), or by
    their first lines where the extension says nothing. With `settings.format` they are those of that format: all
    columns for a format of columns, and also all `.txt` files for columns and JSON lines. Hidden files are passed
    over; links are followed, and what several links lead to is taken once. brat's texts are documents, and a folder
    of them is one input.

    path (str | Path): File or folder.
    RAISES (XltError): E502 where there is nothing, also behind a link; E503 for a folder without a corpus in it; E535
        for what cannot be looked at; E536 for annotation without its text and a text without its annotation; E539 for
        a file whose format cannot be told; E541 for a setting that no file is for.
    WARNS (XltWarning): W534 for texts without annotation in a folder of brat's.
    """
    path, settings = Path(path), settings or InputSettings()
    try:
        if path.is_dir():
            files = _in_folder(path, settings)
        elif path.is_file():
            files = [_single(path, settings)]
        elif path.exists():
            raise error("E535", path=path, reason="it is no file or folder; write what it gives to a file")
        else:
            raise error("E502", what="corpus", path=path)
    except OSError as err:
        raise error("E535", path=err.filename or path, reason=reason_of(err)) from err
    if not files:
        raise error("E503", path=path)
    settings.check_used(path, (file.format for file in files))
    return sorted(files, key=lambda file: file.name)


def _single(path: Path, settings: InputSettings) -> InputFile:
    name = shown_name(path.name)
    end = _extension(path)
    found = settings.format
    if found == AUTO:
        found = _EXTENSIONS.get(end, "")
    if not found and end == TEXT and _beside(path, ANNOTATION):
        found = BRAT
    if not found:
        if not path.stat().st_size:
            raise error("E503", path=path)
        found = guess_format(path, settings)
    if not found:
        if end == TEXT:
            raise error("E536", path=path, reason=f"it is no other format, and has no {ANNOTATION} beside it")
        raise error("E539", path=path, known=", ".join(FORMATS))
    if found != BRAT:
        return _file(path, name, found, settings)
    if end not in (TEXT, ANNOTATION):
        raise error("E536", path=path, reason=f"it is neither {TEXT} nor {ANNOTATION}")
    return BratFiles(path, name, [_pair(path, end)], settings)


def _in_folder(root: Path, settings: InputSettings) -> list[InputFile]:
    found: list[InputFile] = []
    for folder, files in _folders(root):
        inside = "" if folder == root else shown_name(folder.relative_to(root).as_posix()) + "/"
        pairs, alone = [], []
        for file in files:
            format = _format_in_folder(file, settings)
            if format == BRAT and _extension(file) == ANNOTATION:
                pairs.append(_pair(file, ANNOTATION))
            elif format == BRAT:
                alone.append(file)
            elif format:
                found.append(_file(file, inside + shown_name(file.name), format, settings))
        if pairs:
            pairs.sort(key=lambda pair: pair.text.name)
            found.append(BratFiles(folder, inside + _PAIRS, pairs, settings))
        texts = {pair.text for pair in pairs}
        if pairs and (left := [file for file in alone if file not in texts]):
            warn("W534", n=len(left), path=folder, first=left[0].name, stacklevel=5)
    return found


def _format_in_folder(file: Path, settings: InputSettings) -> str:
    """The format of a file, "" where it is not taken. A text of brat's, or what may be one, is "brat"."""
    end, wanted = _extension(file), settings.format
    said = _EXTENSIONS.get(end, "")
    if said:
        if said in COLUMNS and wanted in COLUMNS:
            return wanted
        return said if wanted in (AUTO, said) else ""
    if end == TEXT and (wanted == BRAT or (wanted == AUTO and _beside(file, ANNOTATION))):
        return BRAT
    if end == TEXT and wanted in (*COLUMNS, JSONL):
        return wanted
    guessed = guess_format(file, settings) if wanted != BRAT else ""
    if guessed in COLUMNS and wanted in COLUMNS:
        return wanted
    if not guessed and end == TEXT and wanted == AUTO:
        return BRAT
    return guessed if wanted in (AUTO, guessed) else ""


def _folders(root: Path) -> list[tuple[Path, list[Path]]]:
    """Each folder with the files in it. Links are followed, and nothing is there twice, under its own name first."""
    waiting, linked, entered, found = [root], list[Path](), set(), []
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        place = folder.stat()
        if (place.st_dev, place.st_ino) in entered:
            continue
        entered.add((place.st_dev, place.st_ino))
        with os.scandir(folder) as entries:
            seen = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in seen:
            if entry.is_dir():
                (linked if entry.is_symlink() else waiting).append(folder / entry.name)
        found.append((folder, [folder / entry.name for entry in seen if _is_file(folder, entry)]))
    return _without_repeated_links(found)


def _without_repeated_links(folders: list[tuple[Path, list[Path]]]) -> list[tuple[Path, list[Path]]]:
    links = {file for _, files in folders for file in files if file.is_symlink()}
    if not links:
        return folders
    taken = {os.path.realpath(file) for _, files in folders for file in files if file not in links}
    repeated = set()
    for link in sorted(links):
        place = os.path.realpath(link)
        if place in taken:
            repeated.add(link)
        taken.add(place)
    return [(folder, [file for file in files if file not in repeated]) for folder, files in folders]


def _is_file(folder: Path, entry: os.DirEntry[str]) -> bool:
    path = folder / entry.name
    if entry.is_symlink() and not path.exists() and _extension(path) in _EXTENSIONS:
        raise error("E502", what="file behind the link", path=path)
    return entry.is_file()


def _extension(path: Path) -> str:
    return Path(plain_name(path.name)).suffix.lower()


def _file(path: Path, name: str, format: str, settings: InputSettings) -> InputFile:
    if format == SPACY:
        return SpacyFile(path, name, format, settings)
    return (JsonLinesFile if format == JSONL else ColumnFile)(path, name, format, settings)


def _pair(path: Path, end: str) -> Pair:
    other = ANNOTATION if end == TEXT else TEXT
    found = _beside(path, other)
    if not found:
        raise error("E536", path=path, reason=f"there is no {other} beside it")
    same = _beside(path, end)
    if len(found) > 1 or len(same) > 1:
        names = ", ".join(file.name for file in (found if len(found) > 1 else same))
        raise error("E536", path=path, reason=f"several files have its name: {names}")
    return Pair(path, found[0]) if end == TEXT else Pair(found[0], path)


def _beside(path: Path, end: str) -> Sequence[Path]:
    """The files of the same name with another extension, compressed or not."""
    stem = path.with_name(plain_name(path.name)).with_suffix("")
    names = [f"{stem.name}{end}{packed}" for packed in ("", *SUFFIXES)]
    return [file for file in map(path.with_name, names) if file.is_file()]
