"""Parallel text to learn from: plain files, tab-separated ones, and the bitexts of `.spacy` corpora."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...build.lines import read_line_pairs, split_tokens
from ...errors import error
from ...languages import to_spacy
from ...protocols import TokenPair
from ...textfiles import text_lines


def read_corpus(item: str | Path | Sequence[str], *, target: str = "") -> Iterator[TokenPair]:
    """The sentence pairs of one corpus, as tokens.

    item (str | Path | Sequence[str]): A list of two files that are parallel line by line; a `.tsv` file (gzipped or
        not) whose first two columns are source and target; a `.spacy` file or a folder of them with bitexts; or
        another file, with `source ||| target` on each line.
    target (str): Of bitexts, only those into this language; all where left out.
    RAISES (XltError): E502 and 2xx for a file that cannot be read, E350 and E358 with the line that is wrong.
    """
    if not isinstance(item, (str, Path)):
        source_path, target_path = item
        yield from _cut(read_line_pairs(source_path, target_path))
        return
    path = Path(item)
    if path.suffix == ".spacy" or path.is_dir():
        yield from _bitexts(path, to_spacy(target) if target else "")
    elif path.name.removesuffix(".gz").endswith(".tsv"):
        yield from _columns(path)
    else:
        yield from _cut(read_line_pairs(path))


def _cut(lines: Iterator[tuple[str, str]]) -> Iterator[TokenPair]:
    return ((split_tokens(source), split_tokens(target)) for source, target in lines)


def _columns(path: Path) -> Iterator[TokenPair]:
    if not path.is_file():
        raise error("E502", what="corpus", path=path)
    for number, line in text_lines(path, "utf8"):
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) < 2:
            raise error("E358", path=path, line=number, found=len(columns))
        yield split_tokens(columns[0]), split_tokens(columns[1])


def _bitexts(path: Path, target: str) -> Iterator[TokenPair]:
    # Makes `doc._.xlt` known
    from ... import bitext  # noqa: F401
    from ...readers.docbin import read_docs

    for doc in read_docs(path):
        for lang, found in doc._.xlt.items():
            for pair in found.sentences if not target or lang == target else ():
                source = [token.text for token in found.source[slice(*pair.source)]]
                yield source, [token.text for token in found.target[slice(*pair.target)]]
