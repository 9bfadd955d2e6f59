"""Parallel text as it lies on disks: two files line by line, columns, TMX, folders with many languages."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..errors import XltError, error
from ..languages import closest, code_key, to_spacy
from ..readers.lines import read_parallel
from ..textfiles import plain_name, text_lines
from ..translation.parallel import read_tmx

# What names of the sides of a test set end with ("newstest2019-src.eng.txt"), and what a tab-separated file's does
_SIDES = ("-src", "-ref")
_COLUMNS = (".tsv", ".tab")


class Row(NamedTuple):
    """A line of parallel text, empty where a side has none.

    Attributes:
        id: The file's name and the line in it, or the number of a unit of TMX: "news.en:17".
    """

    id: str
    source: str
    target: str


@dataclass(frozen=True)
class ParallelText:
    """Parallel text of two languages.

    Attributes:
        target: The language's code, as it was asked for or as the files have it; what its folder is called.
        source: The code of the source language.
        files: Pairs of line files; or files that have both languages, each twice.
        codes: What those call both languages, or their columns from 0.
        encoding: Of the files.
        failure: Why there is nothing to read.
    """

    target: str
    source: str
    files: Sequence[tuple[Path, Path]] = ()
    codes: tuple[str, str] | tuple[int, int] = ("", "")
    encoding: str = "utf8"
    failure: XltError | None = None

    @cached_property
    def rows(self) -> list[Row]:
        """All lines, also those that are empty on a side.

        Raises:
            XltError: `failure`; E010 for an unknown language; E234 for sides of different length; those of
                `text_lines` and `read_tmx`; E503 where there is no line.
        """
        if self.failure is not None:
            raise self.failure
        to_spacy(self.target)
        rows = [row for pair in self.files for row in self._read(*pair)]
        if not rows:
            raise error("E503", path=self.files[0][1])
        return rows

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return _digest(text for row in self.rows for text in (row.source, row.target))

    @property
    def source_digest(self) -> str:
        """SHA-256 of the lines of the source: languages that have the same share what is made of them."""
        return _digest(row.source for row in self.rows)

    def _read(self, source: Path, target: Path) -> Iterator[Row]:
        if source != target:
            for number, lines in enumerate(read_parallel([source, target], encoding=self.encoding), start=1):
                yield Row(f"{source.name}:{number}", lines[0].strip(), lines[1].strip())
            return
        first, second = self.codes
        if isinstance(first, str) or isinstance(second, str):
            for number, unit in enumerate(read_tmx(source), start=1):
                of_code = {code: " ".join(text.split()) for code, text in reversed(unit)}
                yield Row(f"{source.name}:{number}", of_code.get(str(first), ""), of_code.get(str(second), ""))
            return
        for number, line in text_lines(source, self.encoding, cr_ends=False):
            cells = [cell.strip() for cell in line.split("\t")]
            if number == 1 and _is_header(cells):
                continue
            if line.strip() and len(cells) <= max(first, second):
                reason = f"{len(cells)} columns; expected at least {max(first, second) + 1}"
                raise error("E531", path=source, line=number, reason=reason)
            cells = cells if line.strip() else [""] * (max(first, second) + 1)
            yield Row(f"{source.name}:{number}", cells[first], cells[second])


def find_parallel(
    paths: Sequence[Path], *, source: str, targets: Sequence[str], encoding: str = "utf8"
) -> list[ParallelText]:
    """The parallel texts of the languages that are asked for, or of all that there are. No line is read yet.

    Args:
        paths: Two files that say the same line by line; or a TMX file, a tab-separated file with a language in each
            column, or a folder of line files whose names have a language code behind the last dot but ".txt", or before
            the first ("corpus.en-de.en" and "corpus.en-de.de", "newstest-ref.deu.txt", "deu_Latn.dev").
        source: Code of the source language.
        targets: Codes of the others; "srp" finds "srp-Cyrl" where there is no other Serbian.
        encoding: Of all files but TMX.

    Returns:
        In the order of `targets`, else of their names. One that is not there has its `failure`.

    Raises:
        XltError: E010 for an unknown source language; E502 for a path that is not there; E510 where the languages of
            files cannot be told, where no other language is there, and for two files that are one.
    """
    to_spacy(source)
    targets = list(dict.fromkeys(targets))
    for path in paths:
        if not path.exists():
            raise error("E502", what="parallel text", path=path)
    if len(paths) == 2:
        if paths[0].samefile(paths[1]):
            value = " ".join(map(str, paths))
            raise error("E510", setting="--parallel", value=value, expected="two files, and they are one")
        return [_of_two_files(paths[0], paths[1], source, targets, encoding)]
    (path,) = paths
    name = plain_name(path.name).lower()
    if path.is_dir():
        found = _of_folder(path, source, encoding)
    elif name.endswith(".tmx"):
        found = _of_tmx(path, source)
    elif name.endswith(_COLUMNS):
        found = _of_columns(path, source, targets, encoding)
    else:
        expected = "two files, a folder, or a file whose name ends with .tmx or .tsv"
        raise error("E510", setting="--parallel", value=str(path), expected=expected)
    if not found:
        expected = "the code of a language that it has beside others, as its names or columns have it"
        raise error("E510", setting="--source", value=source, expected=f"{expected} ({path})")
    return [_wanted(target, found, path) for target in targets] or [found[name] for name in sorted(found)]


def _of_two_files(source: Path, target: Path, lang: str, targets: Sequence[str], encoding: str) -> ParallelText:
    named = list(targets) or [code for _, code in _codes_in(target.name)][:1]
    if len(named) != 1:
        raise error("E510", setting="--targets", value=",".join(targets), expected=f"the language of {target}")
    return ParallelText(named[0], lang, [(source, target)], encoding=encoding)


def _of_columns(path: Path, source: str, targets: Sequence[str], encoding: str) -> dict[str, ParallelText]:
    """By the codes in its first line, else in the order of the options, the source first."""
    first = next((line.split("\t") for _, line in text_lines(path, encoding, cr_ends=False)), [])
    columns = [cell.strip() for cell in first] if _is_header(first) else [source, *targets]
    at = {name: n for n, name in enumerate(columns)}
    own = next((name for name in at if code_key(name) == code_key(source)), None)
    if own is None:
        return {}
    return {
        name: ParallelText(name, source, [(path, path)], (at[own], n), encoding)
        for name, n in at.items()
        if name != own
    }


def _is_header(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and all(code_key(cell.strip()) for cell in cells)


def _of_tmx(path: Path, source: str) -> dict[str, ParallelText]:
    codes = list(dict.fromkeys(code for unit in read_tmx(path) for code, _ in unit))
    own = closest(source, codes)
    return {
        code: ParallelText(code, source, [(path, path)], (own[0], code))
        for code in codes
        if len(own) and code != own[0]
    }


def _of_folder(folder: Path, source: str, encoding: str) -> dict[str, ParallelText]:
    """By the codes in its files' names. Files of a language are read one after the other, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for position in (-1, 0):
        groups: dict[tuple[Path, str], dict[str, Path]] = defaultdict(dict)
        for path in files:
            for rest, code in _codes_in(path.name, position):
                groups[path.parent, rest][code] = path
        pairs: dict[str, list[tuple[Path, Path]]] = defaultdict(list)
        for (_, rest), by_code in groups.items():
            # "corpus.en-de" has these two alone, even where "de" is of the same name in another case
            for own in closest(source, list(by_code))[:1]:
                for code in by_code:
                    if code != own and _fits(rest, own, code):
                        pairs[code].append((by_code[own], by_code[code]))
        if pairs:
            return {code: ParallelText(code, source, sorted(of), encoding=encoding) for code, of in pairs.items()}
    return {}


def _fits(rest: str, source: str, code: str) -> bool:
    """Whether what a name has before its code, where that is a pair of codes, is the pair of these."""
    pair = rest.rpartition(".")[2]
    return pair.count("-") != 1 or not all(map(code_key, pair.split("-"))) or set(pair.split("-")) == {source, code}


def _codes_in(name: str, position: int = -1) -> list[tuple[str, str]]:
    """The language code at a place of a file's name, with the rest of the name; nothing where there is none."""
    parts = plain_name(name).removesuffix(".txt").split(".")
    code = parts.pop(position)
    if not parts or not code_key(code):
        return []
    for side in _SIDES:
        parts = [part.removesuffix(side) for part in parts]
    return [(".".join(parts), code)]


def _wanted(target: str, found: dict[str, ParallelText], path: Path) -> ParallelText:
    """The text of a language that is asked for, under the code that it is asked for with."""
    names = closest(target, list(found))
    if len(names) == 1:
        text = found[names[0]]
        return ParallelText(target, text.source, text.files, text.codes, text.encoding)
    reason = error("E552", lang=target, path=path, known=", ".join(names or sorted(found)), setting="--targets")
    try:
        to_spacy(target)
    except XltError as err:
        reason = err
    return ParallelText(target, "", failure=reason)


def _digest(texts: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf8", "surrogatepass") + b"\n")
    return digest.hexdigest()
