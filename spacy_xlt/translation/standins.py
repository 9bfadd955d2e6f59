"""Getting strings through a translator as they are: stand-ins that models copy, and repair by attention.

Models lose or change what they have no pieces for, such as "@" or backticks. A short web address or a made-up code in
its place goes through nearly always, and is replaced in the translation (`benchmarks/placeholders.py` measures it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..languages import UNSEGMENTED
from ..protocols import SoftAlignment, Term, Translation
from .placeholders import WORD
from .terms import missing_terms

TERM = "term"
# Tried one after the other, for what the one before lost; `{}` becomes a letter or a letter with a number.
STYLES = ("www.{}.com", "XZ{}", "http://{}.com")
_LETTERS = "xyzkqvwj"
# What a translator can do without at the ends of a text: a string after or before one of these stands for itself.
_BEFORE_TRAILING = frozenset(".!?:;…—–-|>»。！？：")
_AFTER_LEADING = frozenset(":|—–-»：")


class Fixed(NamedTuple):
    """A stretch of a source text whose form in the translation is given.

    start, end (int): Where it stands in the text, in characters.
    form (str): What must stand in the translation.
    kind (str): A kind of placeholder, whose form is the text itself, or "term".
    """

    start: int
    end: int
    form: str
    kind: str


class _Edit(NamedTuple):
    """Characters `[start, end)` of one text that correspond to `[to_start, to_end)` of another."""

    start: int
    end: int
    to_start: int
    to_end: int


@dataclass(frozen=True)
class Attempt:
    """What is given to the translator for a text, and how to get from its answer to the translation.

    text (str): The whole source text.
    fixed (tuple[Fixed, ...]): What is given, in order.
    start, end (int): The part of the text that is translated; what is before and after it is taken over.
    sent (str): What the translator gets.
    standins (dict[str, Fixed]): What in it stands for what.
    edits (tuple[_Edit, ...]): From `sent` to `text`.
    """

    text: str
    fixed: tuple[Fixed, ...]
    start: int
    end: int
    sent: str
    standins: dict[str, Fixed]
    edits: tuple[_Edit, ...]

    def finish(self, translation: Translation) -> Translation | None:
        """The translation with everything put back; None where a stand-in is not in it exactly once, or nothing is."""
        # A translation memory knows the whole text and not its changed form
        if self.sent != self.text and not translation.text.strip():
            return None
        places = []
        for standin, fixed in self.standins.items():
            found = list(
                re.finditer(
                    rf"(?<!{WORD})(?<![./]){re.escape(standin)}(?!{WORD}|[./]{WORD})", translation.text, re.IGNORECASE
                )
            )
            if len(found) != 1:
                return None
            places.append((found[0].start(), found[0].end(), fixed.form))
        prefix, suffix = self.text[: self.start], self.text[self.end :]
        text, edits = _replaced(translation.text, sorted(places), offset=len(prefix))
        soft = translation.alignment
        if soft is not None:
            spans = _moved(soft.source_spans, self.edits, self.start), _moved(soft.target_spans, edits, len(prefix))
            soft = SoftAlignment(soft.weights, *spans)
            shift = len(prefix) + len(text) - self.end
            for item in self.fixed:
                if item.end <= self.start:
                    soft = _linked(soft, (item.start, item.end), (item.start, item.end))
                elif item.start >= self.end:
                    soft = _linked(soft, (item.start, item.end), (item.start + shift, item.end + shift))
        return replace(translation, text=f"{prefix}{text}{suffix}", alignment=soft)


def attempt(text: str, fixed: Sequence[Fixed], *, style: str | None, with_terms: bool) -> Attempt:
    """Prepare a text for the translator.

    fixed (Sequence[Fixed]): In order, not overlapping.
    style (str | None): One of `STYLES`; None to send the text as it is.
    with_terms (bool): Whether terms get stand-ins too.
    """
    start, end = (0, len(text)) if style is None else _core(text, fixed)
    sent, edits, standins = "", [], {}
    at = start
    if style is not None:
        names = _names(text, style)
        for item in fixed:
            if item.start < start or item.end > end or (item.kind == TERM and not with_terms):
                continue
            standin = next(names)
            sent += text[at : item.start]
            edits.append(_Edit(len(sent), len(sent) + len(standin), item.start, item.end))
            sent += standin
            standins[standin] = item
            at = item.end
    return Attempt(text, tuple(fixed), start, end, sent + text[at:end], standins, tuple(edits))


def _names(text: str, style: str) -> Iterator[str]:
    """Stand-ins that the text does not have, without end."""
    lowered, number = text.lower(), 0
    while True:
        letter, turn = _LETTERS[number % len(_LETTERS)], number // len(_LETTERS)
        name = style.format(number + 1 if style.startswith("XZ") else f"{letter}{turn or ''}")
        number += 1
        if name.lower() not in lowered:
            yield name


def _core(text: str, fixed: Sequence[Fixed]) -> tuple[int, int]:
    """The text without placeholders at its ends that stand for themselves, such as an address after a full stop."""
    start, end = 0, len(text)
    rest, at = "", 0
    for item in fixed:
        rest += text[at : item.start] + (item.form if item.kind == TERM else "")
        at = item.end
    if not any(char.isalnum() for char in rest + text[at:]):
        return end, end
    for item in reversed(fixed):
        before = text[start : item.start].rstrip()
        if item.kind == TERM or text[item.end : end].strip() or (before and before[-1] not in _BEFORE_TRAILING):
            break
        end = start + len(before)
    for item in fixed:
        after = text[item.end : end].lstrip()
        if item.kind == TERM or item.end > end or text[start : item.start].strip():
            break
        if after and after[0] not in _AFTER_LEADING:
            break
        start = end - len(after.lstrip("".join(_AFTER_LEADING) + " "))
    return start, max(start, end)


def _replaced(text: str, places: Sequence[tuple[int, int, str]], *, offset: int) -> tuple[str, list[_Edit]]:
    """Put strings in the places of others. RETURNS: The text, and edits from the old text to the new one's places."""
    out, at, edits = "", 0, []
    for start, end, form in places:
        out += text[at:start]
        edits.append(_Edit(start, end, offset + len(out), offset + len(out) + len(form)))
        out += form
        at = end
    return out + text[at:], edits


def _moved(spans: NDArray[np.int32], edits: Sequence[_Edit], base: int) -> NDArray[np.int32]:
    """Where the pieces of a text lie in the other text: those inside a replaced stretch take all of what is there now.

    base (int): How far the text has moved before the first edit.
    """

    def place(position: int, *, is_end: bool) -> int:
        # The end of an empty piece goes where its start goes
        shift = base
        for edit in edits:
            if position < edit.start or (is_end and position == edit.start):
                break
            if position < edit.end or (is_end and position == edit.end):
                return edit.to_end if is_end else edit.to_start
            shift = edit.to_end - edit.end
        return position + shift

    new = [(place(start, is_end=False), place(end, is_end=start < end)) for start, end in spans.tolist()]
    return np.asarray(new, np.int32).reshape(-1, 2)


def _linked(soft: SoftAlignment, source: tuple[int, int], target: tuple[int, int]) -> SoftAlignment:
    """The alignment with one more piece on each side, which look at each other alone."""
    n_source, n_target = soft.weights.shape
    weights = np.zeros((n_source + 1, n_target + 1), np.float32)
    weights[:-1, :-1] = soft.weights
    weights[-1, -1] = 1.0
    return SoftAlignment(
        weights,
        np.concatenate([soft.source_spans, np.asarray([source], np.int32)]),
        np.concatenate([soft.target_spans, np.asarray([target], np.int32)]),
    )


def untranslated(text: str, fixed: Sequence[Fixed]) -> Translation:
    """The translation of a text that has nothing to translate in it."""
    empty = np.zeros((0, 2), np.int32)
    soft = SoftAlignment(np.zeros((0, 0), np.float32), empty, empty)
    for item in fixed:
        soft = _linked(soft, (item.start, item.end), (item.start, item.end))
    return Translation(text, alignment=soft)


def missing(text: str, source: str, fixed: Sequence[Fixed], *, target_lang: str) -> list[Fixed]:
    """What a translation lacks: placeholders that it does not have exactly as often as the source, and lost terms."""
    lost = [
        item
        for item in fixed
        if item.kind != TERM and _occurrences(item.form, text) != max(1, _occurrences(item.form, source))
    ]
    terms = [item for item in fixed if item.kind == TERM]
    if terms:
        asked = {Term(item.form, f"{item.start}"): item for item in terms}
        lost += [asked[term] for term in missing_terms(text, list(asked), spaced=target_lang not in UNSEGMENTED)]
    return lost


def _occurrences(form: str, text: str) -> int:
    if form not in text:
        return 0
    return len(re.findall(f"{f'(?<!{WORD})' if form[0].isalnum() else ''}{re.escape(form)}(?!{WORD})", text))


def repair(translation: Translation, lost: Sequence[Fixed]) -> Translation:
    """Write lost strings where the translator looked at them, if it gave its attention with the translation.

    RETURNS (Translation): With those in it for which there is a place of their own.
    """
    soft = translation.alignment
    if soft is None or not soft.weights.size:
        return translation
    owners = [_looking_at(soft, item) for item in lost]
    places: list[tuple[int, int, str]] = []
    for item, pieces in zip(lost, owners, strict=True):
        if pieces is None:
            continue
        start, end = int(soft.target_spans[pieces[0], 0]), int(soft.target_spans[pieces[-1], 1])
        start += len(translation.text[start:end]) - len(translation.text[start:end].lstrip())
        if start < end and all(end <= s or e <= start for s, e, _ in places):
            places.append((start, end, item.form))
    text, edits = _replaced(translation.text, sorted(places), offset=0)
    soft = SoftAlignment(soft.weights, soft.source_spans, _moved(soft.target_spans, edits, 0))
    return replace(translation, text=text, alignment=soft)


def _looking_at(soft: SoftAlignment, item: Fixed) -> NDArray[np.int64] | None:
    """The longest run of target pieces that look mostly at a stretch of the source; a gap of one piece is bridged."""
    inside = (soft.source_spans[:, 0] < item.end) & (soft.source_spans[:, 1] > item.start)
    looking = np.flatnonzero(soft.weights[inside].sum(axis=0) > 0.5)
    if not len(looking):
        return None
    runs = np.split(looking, np.flatnonzero(np.diff(looking) > 2) + 1)
    return max(runs, key=len)
