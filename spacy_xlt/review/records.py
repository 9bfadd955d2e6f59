"""Corrections: what a person said of a build's projected spans, as the page of `spacy xlt view --review` saves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..bitext import Bitext
from ..errors import error
from ..io import file_digest
from ..readers.jsonl import AnnotatedText, TokenSpan, annotated_texts
from ..readers.settings import ReadNotes
from .identity import pair_ids, source_digest, source_of

REVIEW_FORMAT = 1


@dataclass(frozen=True)
class Mark:
    """What was said of one span, in token positions of the sentence.

    before (TokenSpan | None): The span as it was projected; None for one that was added.
    after (TokenSpan | None): As the reviewer has it; None for one that is wrong.
    lost (TokenSpan | None): The lost span of the source that the reviewer placed.
    """

    before: TokenSpan | None
    after: TokenSpan | None
    lost: TokenSpan | None


@dataclass(frozen=True)
class Correction:
    """A line: the spans of a sentence and the marks they were made with.

    answer (str): "accept" for a sentence that is done: it has these spans and no others; "reject" for one to leave out;
        "ignore" for one with marks on some of its spans only.
    """

    id: str
    annotated: AnnotatedText
    marks: tuple[Mark, ...]

    @property
    def answer(self) -> str:
        return self.annotated.answer


class Corrections:
    """The corrections of a file, found by the sentence they are about.

    path (str | Path): JSON lines.
    RAISES (XltError): As `annotated_texts`; E564 also for a line that no page wrote, E567 where two lines contradict
        each other, E568 where there are no lines, E569 for a line of a newer version.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        notes = ReadNotes()
        self._by_id: dict[str, Correction] = {}
        for one in annotated_texts(self.path, notes=notes):
            found = _correction(one, self.path)
            other = self._by_id.setdefault(found.id, found)
            if (other.answer, sorted(other.annotated.spans)) != (found.answer, sorted(one.spans)):
                raise error("E567", path=self.path, first=other.annotated.line, second=one.line)
        if not self._by_id:
            raise error("E568", path=self.path, what="lines")
        self.misfits = notes.misfits
        self.digest = file_digest(self.path)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Correction]:
        return iter(self._by_id.values())

    def check_sources(self, docs: Iterable[Doc], where: str | Path) -> None:
        """Make sure that they are about a corpus, before anything is done.

        RAISES (XltError): E565 where none of them is about one of the documents.
        """
        sources = {source_of(one.id) for one in self}
        if sources.isdisjoint(map(source_digest, docs)):
            raise error("E565", path=self.path, n=len(self), where=where)

    def for_bitext(self, bitext: Bitext) -> list[tuple[int, Correction]]:
        """The corrections of a bitext, each with the number of its sentence pair."""
        pairs = enumerate(map(self._by_id.get, pair_ids(bitext)))
        return [(number, found) for number, found in pairs if found is not None]

    def left_over(self, used: Iterable[str]) -> list[int]:
        """The lines that were not used.

        used (Iterable[str]): Ids of those that fitted.
        """
        known = set(used)
        return sorted({one.annotated.line for one in self if one.id not in known} | {n for n, _ in self.misfits})


def _correction(one: AnnotatedText, path: Path) -> Correction:
    pair_id, version = one.meta.get("id"), one.meta.get("format")
    if isinstance(version, int) and version > REVIEW_FORMAT:
        raise error("E569", path=path, line=one.line, found=version, known=REVIEW_FORMAT)
    if not isinstance(pair_id, str) or version != REVIEW_FORMAT:
        reason = '"meta" has no "id" of a sentence, so that it is not from the page of `spacy xlt view --review`'
        raise error("E564", path=path, line=one.line, reason=reason)
    marks = one.meta.get("marks", [])
    try:
        found = tuple(Mark(_span(m.get("from")), _span(m.get("to")), _span(m.get("lost"))) for m in marks)
        if any(mark.after and not 0 <= mark.after[0] < mark.after[1] <= len(one.words) for mark in found):
            raise ValueError
    except (TypeError, ValueError, AttributeError) as err:
        raise error("E564", path=path, line=one.line, reason=f'"marks" is {str(marks)[:80]}') from err
    return Correction(pair_id, one, found)


def _span(data: Any) -> TokenSpan | None:
    if data is None:
        return None
    start, end, label, key = data[:4]
    if not (type(start) is type(end) is int and isinstance(label, str) and isinstance(key, str) and start < end):
        raise ValueError
    return start, end, label, key
