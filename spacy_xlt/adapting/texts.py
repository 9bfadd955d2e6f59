"""What objectives learn from: sentences of text files, and sentence pairs of parallel files or of a build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..bitext import Bitext
from ..docs import sentence_ranges
from ..engine import Engine, invalid_setting, setting
from ..errors import XltError, error
from ..languages import MULTI, blank
from ..links import Alignment
from ..protocols import Tokens
from ..readers import read_corpus
from ..readers.docbin import read_docs
from ..readers.files import text_format
from ..readers.lines import read_parallel

Item = TypeVar("Item")
# Where a build stores its bitexts, in its folder
_BITEXT = "bitext"


class Pair(NamedTuple):
    """A sentence and its translation.

    Attributes:
        source_lang: spaCy's code; so is `target_lang`.
        links: Word links, where they are known.
    """

    source: Tokens
    target: Tokens
    source_lang: str = MULTI
    target_lang: str = MULTI
    links: Alignment | None = None


@dataclass(kw_only=True, eq=False)
class Sentences(Engine):
    """Registered source of sentences `spacy_xlt.Sentences.v1`: text in one or more languages.

    Args:
        paths: A file by language code: plain text with one sentence a line, or whatever `spacy xlt convert` reads.
        limit: The most sentences of each file.

    Raises:
        XltError: E150 for an invalid setting, E010 for an unknown language; when read E502, E503 and others of
            `spacy xlt convert`.
    """

    paths: Mapping[str, str]
    limit: int | None = setting(None, ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_files("Sentences", "paths", self.paths)

    def __iter__(self) -> Iterator[tuple[Tokens, str]]:
        """Yield the tokens of each sentence, and its language."""
        for lang, path in self.paths.items():
            found = _sentences(path, lang)
            yield from ((tokens, lang) for tokens in islice(_some(found, path), self.limit))


@dataclass(kw_only=True, eq=False)
class ParallelLines(Engine):
    """Registered source of sentence pairs `spacy_xlt.ParallelLines.v1`: files that say the same line by line.

    Args:
        source: The file of source sentences.
        targets: The file of their translations, by language code.
        source_lang: Language of `source`.
        links: A file of Pharaoh links of the tokens, by language code as in `targets`, for those that have one.
        tokenize: Whether to cut lines into tokens with spaCy's tokenizers, rather than at spaces.
        limit: The most pairs of each language.
        encoding: Of the files.

    Raises:
        XltError: E150 for an invalid setting, E010 for an unknown language; when read E502, E234, E513, and E531 for
            links that do not fit.
    """

    source: str
    targets: Mapping[str, str]
    source_lang: str = "en"
    links: Mapping[str, str] = field(default_factory=dict)
    tokenize: bool = True
    limit: int | None = setting(None, ge=1)
    encoding: str = "utf8"

    def __post_init__(self) -> None:
        super().__post_init__()
        blank(self.source_lang)
        _check_files("ParallelLines", "targets", self.targets)
        if not self.links.keys() <= self.targets.keys():
            expected = f"files for languages of `targets` ({', '.join(self.targets)})"
            raise invalid_setting("spacy_xlt.ParallelLines.v1", "links", dict(self.links), expected)

    def __iter__(self) -> Iterator[Pair]:
        """Yield the pairs, all of a language in a row."""
        from ..alignment.api import pair_tokenizer

        for lang, path in self.targets.items():
            cut = pair_tokenizer(self.source_lang, lang) if self.tokenize else pair_tokenizer()
            links = [self.links[lang]] if lang in self.links else []
            rows = read_parallel([Path(file) for file in (self.source, path, *links)], encoding=self.encoding)
            for number, (first, second, *pharaoh) in enumerate(islice(_some(rows, path), self.limit), start=1):
                source, target = cut(first, second)
                where = {"path": links[0], "line": number} if links else {}
                alignment = _read_links(pharaoh[0], source, target, **where) if pharaoh else None
                yield Pair(source, target, self.source_lang, lang, alignment)


@dataclass(kw_only=True, eq=False)
class StoredBitexts(Engine):
    """Registered source of sentence pairs `spacy_xlt.StoredBitexts.v1`: what `spacy xlt build` wrote, with its links.

    Args:
        path: The folder of the build, or a `.spacy` file of documents with stored bitexts.

    Raises:
        XltError: When read, E502, E503 and E504 for the path, E515 without bitexts.
    """

    path: str

    def __iter__(self) -> Iterator[Pair]:
        """Yield the sentence pairs of all bitexts."""
        folder = Path(self.path)
        folder = folder / _BITEXT if (folder / _BITEXT).is_dir() else folder
        found = False
        for doc in read_docs(folder):
            for bitext in doc._.xlt.values():
                found = True
                yield from _pairs_of(bitext)
        if not found:
            raise error("E515", path=folder)


def check_source(owner: str, name: str, value: Any, *, wrong: tuple[type, ...] = ()) -> None:
    """Make sure that a setting is a source of sentences or of sentence pairs.

    Args:
        owner: The objective, for the error.
        name: The setting: "pairs" or "sentences".
        value: Its value.
        wrong: Sources of the other kind.

    Raises:
        XltError: E150 where it is none.
    """
    if isinstance(value, (str, Mapping, *wrong)) or not isinstance(value, Iterable):
        known = "ParallelLines" if name == "pairs" else "Sentences"
        raise invalid_setting(owner, name, value, f'a block with "@misc", such as spacy_xlt.{known}.v1')


def _read_links(text: str, source: Tokens, target: Tokens, **where: Any) -> Alignment:
    try:
        return Alignment.from_pharaoh(text).check(len(source), len(target))
    except XltError as err:
        raise error("E531", **where, reason=err.message) from err


def _check_files(owner: str, name: str, files: Mapping[str, Any]) -> None:
    if not files or not all(isinstance(path, (str, Path)) for path in files.values()):
        raise invalid_setting(f"spacy_xlt.{owner}.v1", name, dict(files), "a file for each of some language codes")
    for lang in files:
        blank(lang)


def _some(items: Iterable[Item], path: str | Path) -> Iterator[Item]:
    """The items; E503 where there are none."""
    stream = iter(items)
    try:
        first = next(stream)
    except StopIteration:
        raise error("E503", path=path) from None
    yield first
    yield from stream


def _sentences(path: str | Path, lang: str) -> Iterator[Tokens]:
    for doc in read_corpus(path, lang=lang, format=text_format(Path(path))):
        for start, end in sentence_ranges(doc) if doc.has_annotation("SENT_START") else [(0, len(doc))]:
            yield [token.text for token in doc[start:end] if not token.is_space]


def _pairs_of(bitext: Bitext) -> Iterator[Pair]:
    for pair in bitext.sentences:
        source, target = bitext.source[slice(*pair.source)], bitext.target[slice(*pair.target)]
        links = bitext.alignment.between(pair.source, pair.target)
        first, second = ([token.text for token in side] for side in (source, target))
        yield Pair(first, second, bitext.source_lang, bitext.target_lang, links)
