"""Corrections: what a person said of a build's projected spans, as the review page or an annotation tool saves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..bitext import Bitext
from ..docs import tokens_digest
from ..errors import error
from ..io import file_digest
from ..languages import MULTI, vocab_of
from ..readers.forms import TokenLink, TokenSpan
from ..readers.jsonl import ACCEPT, IGNORE, AnnotatedText, annotated_texts
from ..readers.settings import ENTS, ReadNotes, ReadSettings
from .apply import apply_corrections

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
        links: All links between these spans; None where nothing is said of links.
    """

    id: str
    line: int
    answer: str
    spans: tuple[TokenSpan, ...]
    marks: tuple[Mark, ...]
    links: tuple[TokenLink, ...] | None = None


class Corrections:
    """The corrections of a file, by the sentence they are about.

    A sentence that `spacy xlt shards export` wrote for a tool is corrected where its spans or links differ or where the
    tool says that it was accepted or rejected; others are as they were exported, and nothing is said of them.

    Args:
        path: JSON lines, or an array of them in a file .json: of the page, of Prodigy, doccano or Label Studio.

    Attributes:
        n_as_exported: Lines of which nothing is said.

    Raises:
        XltError: As `annotated_texts`; E564 also for a line without the id of a sentence, E567 where two lines
            contradict each other, E568 where there are no lines, E569 for a line of a newer version, E573 for a text
            that was changed, for spans that do not fit its words and for entities that overlap.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        notes = ReadNotes()
        self._by_id: dict[str, Correction] = {}
        self.n_as_exported = 0
        for line in annotated_texts(self.path, notes=notes):
            if _is_as_exported(line):
                self.n_as_exported += 1
                continue
            new = _correction(line, self.path)
            old = self._by_id.setdefault(new.id, new)
            if _content(old) != _content(new):
                raise error("E567", path=self.path, first=old.line, second=new.line)
        for number, reason in notes.misfits:
            raise error("E573", path=self.path, line=number, reason=reason)
        if not self._by_id and not self.n_as_exported:
            raise error("E568", path=self.path, what="lines")
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
        if self._by_id and {source_of(pair_id) for pair_id in self._by_id}.isdisjoint(map(tokens_digest, docs)):
            raise error("E565", path=self.path, n=len(self), where=where)

    def apply(self, bitext: Bitext) -> list[str]:
        """Apply those that are about the sentences of a bitext, in place; see `apply_corrections`.

        Returns:
            Their ids.
        """
        corrections = [(n, self._by_id[key]) for n, key in enumerate(pair_ids(bitext)) if key in self._by_id]
        apply_corrections(bitext, corrections)
        return [correction.id for _, correction in corrections]

    def left_over(self, used: Iterable[str]) -> list[int]:
        """The lines that were not used: all but those of the ids that fitted."""
        unused = self._by_id.keys() - set(used)
        return sorted(self._by_id[pair_id].line for pair_id in unused)


def _correction(line: AnnotatedText, path: Path) -> Correction:
    pair_id, version = line.meta.get("id"), line.meta.get("format")
    if isinstance(version, int) and version > REVIEW_FORMAT:
        raise error("E569", path=path, line=line.line, found=version, known=REVIEW_FORMAT)
    if not isinstance(pair_id, str) or version != REVIEW_FORMAT:
        reason = (
            '"meta" has no "id" of a sentence, so that it is neither from the page of `spacy xlt view --review` nor '
            "from `spacy xlt shards export`"
        )
        raise error("E564", path=path, line=line.line, reason=reason)
    lang = line.meta.get("lang")
    if isinstance(lang, str) and tokens_digest(_sentence(line), lang) != pair_id.split("-")[-1]:
        raise error("E573", path=path, line=line.line, reason=f"the text is not that of the sentence {pair_id}")
    if line.answer == ACCEPT and not line.annotated:
        raise error("E564", path=path, line=line.line, reason='"spans" is missing, and the answer is "accept"')
    values = line.meta.get("marks", [])
    try:
        marks = tuple(Mark(_span(m.get("from")), _span(m.get("to")), _span(m.get("lost"))) for m in values)
        if any(mark.after and not 0 <= mark.after[0] < mark.after[1] <= len(line.words) for mark in marks):
            raise ValueError
    except (TypeError, ValueError, AttributeError) as err:
        raise error("E564", path=path, line=line.line, reason=f'"marks" is {str(values)[:80]}') from err
    spans = [span for said in line.spans for span in _in_groups(line, said)]
    if overlapping := _overlapping(spans):
        first, second = (" ".join(line.words[slice(*span[:2])]) for span in overlapping)
        reason = f"the entities {first!r} and {second!r} have words in common, which no document can have"
        raise error("E573", path=path, line=line.line, reason=reason)
    if line.given is not None:
        marks = tuple(_moves(line.given, spans))
    links = None if line.links is None else tuple(_links(line, spans, marks))
    return Correction(pair_id, line.line, line.answer, tuple(dict.fromkeys(spans)), marks, links)


def _overlapping(spans: Iterable[TokenSpan]) -> tuple[TokenSpan, TokenSpan] | None:
    """Two entities that have words in common; None where there are none."""
    ents = sorted({span for span in spans if span[3] == ENTS})
    return next(((first, second) for first, second in pairwise(ents) if second[0] < first[1]), None)


def _content(correction: Correction) -> tuple[Any, ...]:
    """What two corrections of a sentence have to have in common."""
    links = None if correction.links is None else sorted(correction.links)
    return correction.answer, sorted(correction.spans), links


def _is_as_exported(line: AnnotatedText) -> bool:
    """Whether nobody has said anything of a sentence that was exported."""
    if line.given is None:
        return False
    if line.answer == IGNORE or not line.annotated:
        return True
    if line.answered or {span[:3] for span in line.spans} != {span[:3] for span in line.given}:
        return False
    links, given = (
        {(head[:3], child[:3], label) for head, child, label in of or ()} for of in (line.links, line.given_links)
    )
    return line.links is None or links == given


def _in_groups(line: AnnotatedText, span: TokenSpan) -> list[TokenSpan]:
    """A span in the groups that it was exported from, as most tools know nothing of groups.

    One that was not there is in the groups of those with its label.
    """
    start, end, label, key = span
    if line.given is None or key != ENTS:
        return [span]
    same_place = [key for *place, key in line.given if tuple(place) == (start, end, label)]
    same_label = [key for _, _, other, key in line.given if other == label]
    keys = same_place or same_label or [str(line.meta.get("key", ENTS))]
    return [(start, end, label, key) for key in dict.fromkeys(keys)]


def _moves(given: Sequence[TokenSpan], spans: Sequence[TokenSpan]) -> Iterator[Mark]:
    """Spans that were moved or got another label in a tool, which does not say which span a new one was before.

    It is one that is no more, of the same group, with the same place or with the same label and words in common.
    """
    gone = [span for span in given if span not in spans]
    for after in spans:
        if after in given:
            continue

        def shared(before: TokenSpan, after: TokenSpan = after) -> int:
            words = min(before[1], after[1]) - max(before[0], after[0])
            is_same = before[3] == after[3] and (before[:2] == after[:2] or before[2] == after[2])
            return words if is_same else 0

        before = max(gone, key=shared, default=None)
        if before and shared(before) > 0:
            gone.remove(before)
            yield Mark(before, after, None)


def _links(line: AnnotatedText, spans: Sequence[TokenSpan], marks: Sequence[Mark]) -> Iterator[TokenLink]:
    """The links between the spans of a line, in the groups that they were exported from."""
    moved = {mark.before: mark.after for mark in marks if mark.before and mark.after}
    given = line.given_links or ()
    for head, child, label in line.links or ():
        options = [(a, b, label) for a in _in_groups(line, head) for b in _in_groups(line, child)]
        for a, b, _ in [option for option in options if option in given] or options[:1]:
            ends = moved.get(a, a), moved.get(b, b)
            if ends[0] in spans and ends[1] in spans:
                yield ends[0], ends[1], label


def _sentence(line: AnnotatedText) -> Doc:
    return Doc(vocab_of(MULTI), words=line.words, spaces=line.spaces)


def _span(data: Any) -> TokenSpan | None:
    if data is None:
        return None
    start, end, label, key = data[:4]
    if not (type(start) is type(end) is int and isinstance(label, str) and isinstance(key, str) and start < end):
        raise ValueError
    return start, end, label, key
