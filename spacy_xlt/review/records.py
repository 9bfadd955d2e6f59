"""Corrections: what a person said of a build's projected spans, as the page of `spacy xlt view --review` saves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..bitext import Bitext
from ..docs import tokens_digest
from ..errors import error
from ..io import file_digest
from ..readers.jsonl import ACCEPT, AnnotatedText, TokenSpan, annotated_texts
from ..readers.settings import ReadNotes, ReadSettings
from .apply import apply_correction

REVIEW_FORMAT = 1


def pair_ids(bitext: Bitext) -> list[str]:
    """An id for each sentence pair: digest of the source document, number of the pair, digest of its target.

    Two builds agree on it where document, language and the tokens of the translation are the same.
    """
    source, target, lang = tokens_digest(bitext.source), bitext.target, bitext.target_lang
    pairs = enumerate(bitext.sentences)
    return [f"{source}-{n}-{tokens_digest(target[pair.target_start : pair.target_end], lang)}" for n, pair in pairs]


def source_of(pair_id: str) -> str:
    """The digest of the source document that is part of an id."""
    return pair_id.split("-")[0]


def page_digest(ids: Sequence[str]) -> str:
    """A digest of the sentence pairs that a page shows."""
    return tokens_digest((), *ids)


@dataclass(frozen=True)
class Mark:
    """What was said of one span, in token positions of the sentence.

    Attributes:
        before: The span as it was projected; None for one that was added.
        after: As the reviewer has it; None for one that is wrong.
        lost: The lost span of the source that the reviewer placed.
    """

    before: TokenSpan | None
    after: TokenSpan | None
    lost: TokenSpan | None


@dataclass(frozen=True)
class Correction:
    """A line: the spans of a sentence and the marks they were made with.

    Attributes:
        id: Of the sentence pair.
        line: Its number in the file.
        answer: "accept" for a sentence that is done: it has these spans and no others; "reject" for one to leave out;
            "ignore" for one with marks on some of its spans only.
        spans: All spans of the sentence.
        marks: What was said of some of them.
    """

    id: str
    line: int
    answer: str
    spans: tuple[TokenSpan, ...]
    marks: tuple[Mark, ...]


class Corrections:
    """The corrections of a file, by the sentence they are about.

    Args:
        path: JSON lines.

    Raises:
        XltError: As `annotated_texts`; E564 also for a line that no page wrote, E567 where two lines contradict each
            other, E568 where there are no lines, E569 for a line of a newer version.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        notes = ReadNotes()
        self._by_id: dict[str, Correction] = {}
        for line in annotated_texts(self.path, notes=notes):
            new = _correction(line, self.path)
            old = self._by_id.setdefault(new.id, new)
            if (old.answer, sorted(old.spans)) != (new.answer, sorted(new.spans)):
                raise error("E567", path=self.path, first=old.line, second=new.line)
        if not self._by_id:
            raise error("E568", path=self.path, what="lines")
        self._misfits = [number for number, _ in notes.misfits]
        notes.misfits.clear()  # they are counted with those that fit no sentence
        notes.warn(self.path, ReadSettings())
        self.digest = file_digest(self.path)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Correction]:
        return iter(self._by_id.values())

    def check_sources(self, docs: Iterable[Doc], where: str | Path) -> None:
        """Make sure that they are about the documents of a corpus, which the message calls `where`.

        Raises:
            XltError: E565 where none of them is about one of the documents.
        """
        if {source_of(pair_id) for pair_id in self._by_id}.isdisjoint(map(tokens_digest, docs)):
            raise error("E565", path=self.path, n=len(self), where=where)

    def apply(self, bitext: Bitext) -> list[str]:
        """Apply those that are about the sentences of a bitext, in place; see `apply_correction`.

        Returns:
            Their ids.
        """
        corrections = [(n, self._by_id[key]) for n, key in enumerate(pair_ids(bitext)) if key in self._by_id]
        for number, correction in corrections:
            apply_correction(bitext, number, correction)
        return [correction.id for _, correction in corrections]

    def left_over(self, used: Iterable[str]) -> list[int]:
        """The lines that were not used: all but those of the ids that fitted."""
        unused = self._by_id.keys() - set(used)
        return sorted({self._by_id[pair_id].line for pair_id in unused} | set(self._misfits))


def _correction(line: AnnotatedText, path: Path) -> Correction:
    pair_id, version = line.meta.get("id"), line.meta.get("format")
    if isinstance(version, int) and version > REVIEW_FORMAT:
        raise error("E569", path=path, line=line.line, found=version, known=REVIEW_FORMAT)
    if not isinstance(pair_id, str) or version != REVIEW_FORMAT:
        reason = '"meta" has no "id" of a sentence, so that it is not from the page of `spacy xlt view --review`'
        raise error("E564", path=path, line=line.line, reason=reason)
    if line.answer == ACCEPT and not line.annotated:
        raise error("E564", path=path, line=line.line, reason='"spans" is missing, and the answer is "accept"')
    values = line.meta.get("marks", [])
    try:
        marks = tuple(Mark(_span(m.get("from")), _span(m.get("to")), _span(m.get("lost"))) for m in values)
        if any(mark.after and not 0 <= mark.after[0] < mark.after[1] <= len(line.words) for mark in marks):
            raise ValueError
    except (TypeError, ValueError, AttributeError) as err:
        raise error("E564", path=path, line=line.line, reason=f'"marks" is {str(values)[:80]}') from err
    return Correction(pair_id, line.line, line.answer, tuple(line.spans), marks)


def _span(data: Any) -> TokenSpan | None:
    if data is None:
        return None
    start, end, label, key = data[:4]
    if not (type(start) is type(end) is int and isinstance(label, str) and isinstance(key, str) and start < end):
        raise ValueError
    return start, end, label, key
