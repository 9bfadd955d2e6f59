"""Examples of a report: found again in the build folder, and written as HTML that needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import spacy

from ..bitext import ENTS, USER_DATA_KEY, Bitext
from ..docs import select_docs
from ..errors import XltError, warn
from ..readers.docbin import read_bin
from ..view.data import SIDES, direction, rows
from .figures import Example

# Words shown of a long sentence.
WINDOW = 60
START, END, LABEL, KEY, SCORE, REASON = range(6)


def read_examples(folder: Path, examples: Mapping[str, Sequence[Example]]) -> dict[tuple[str, int, str, int], Any]:
    """The sentence pairs of examples: each file is read once, and of it the documents that are wanted.

    folder (Path): The folder of a build's bitexts.
    RETURNS (dict): By shard, document, language and pair, what `viewing.data.rows` says of the pair.
    """
    places = {tuple(example[-5:-1]) for kept in examples.values() for example in kept}
    vocab = spacy.blank("xx").vocab
    found = {}
    for shard in sorted({place[0] for place in places}):
        wanted = sorted(place[1:] for place in places if place[0] == shard)
        numbers = sorted({number for number, _, _ in wanted})
        file = folder / f"{shard}.spacy"
        try:
            docs = dict(zip(numbers, select_docs(read_bin(file), numbers).get_docs(vocab), strict=True))
            made: dict[tuple[int, str], list[Any]] = {}
            for number, lang, pair in wanted:
                if (number, lang) not in made:
                    # what a bitext is stored under need not be the language that it names itself
                    stored = docs[number].user_data[USER_DATA_KEY].values()
                    bitexts = (Bitext.from_stored(docs[number], data) for data in stored if data["target_lang"] == lang)
                    made[number, lang] = list(rows(next(bitexts), doc=number))
                found[shard, number, lang, pair] = made[number, lang][pair]
        except (XltError, OSError, LookupError, StopIteration, ValueError, TypeError) as err:
            # A person may have moved the bitexts elsewhere: the figures still stand
            warn("W582", path=file, reason=f"{type(err).__name__}: {err}")
    return found


def as_html(example: Example, row: Mapping[str, Any], *, link: str | None, labels: Mapping[str, int]) -> str:
    """One example as an `<article>`.

    link (str | None): Address of a page that shows the sentence with its links.
    labels (Mapping[str, int]): Numbers of the labels' colours.
    """
    shard, number, _, pair, _ = example[-5:]
    name = f"bitext/{shard}.spacy, document {number + 1}, sentence {pair + 1}"
    where = escape(name) if link is None else f'<a href="{escape(link)}">{escape(name)}</a>'
    flags = "".join(f' <span class="flag">⚑ {escape(flag)}</span>' for flag in row["flags"])
    sides = []
    for side, lang in zip(SIDES, row["langs"], strict=True):
        attributes = f'dir="{direction(lang)}"' + ("" if lang == "xx" else f' lang="{escape(lang)}"')
        sides.append(f'<p class="side {side}" {attributes}>{side_html(row[side], labels)}</p>')
    notes = "".join(f"<li>{note}</li>" for side in SIDES for note in _notes(row[side]))
    return (
        f'<article class="example" tabindex="-1"><p class="where">{where}{flags}</p>{"".join(sides)}'
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + "</article>"
    )


def side_html(part: Mapping[str, Any], labels: Mapping[str, int]) -> str:
    """A sentence with its spans marked; of spans that overlap the lost one, else the first. Long ones are cut."""
    at, words = part["at"], part["words"]
    if not words:
        return '<em class="empty">(empty)</em>'
    shown = _without_overlaps(part["spans"])
    middle = next((span[START] for span in shown if span[REASON] is not None), shown[0][START] if shown else at) - at
    first = max(0, min(middle - WINDOW // 3, len(words) - WINDOW))
    last = min(len(words), first + WINDOW)
    starts = {max(span[START], at + first): span for span in shown if span[END] > at + first}
    pieces = ["… "] if first else []
    n = first
    while n < last:
        span = starts.get(at + n)
        end = n + 1 if span is None else min(last, span[END] - at)
        text = "".join(words[n:end])
        pieces.append(escape(text) if span is None else _mark(text, span, labels))
        n = end
    return "".join(pieces) + (" …" if last < len(words) else "")


def _mark(text: str, span: Sequence[Any], labels: Mapping[str, int]) -> str:
    bare, lost = text.rstrip(" "), span[REASON] is not None
    score = "" if span[SCORE] is None else f" {span[SCORE]:.2f}"
    tag = f"{'✗ ' if lost else ''}{span[LABEL]}{score}"
    kind = "lost" if lost else "kept"
    words = f"<s>{escape(bare)}</s>" if lost else escape(bare)
    number = labels.get(span[LABEL], 0)
    return f'<mark class="{kind} label-{number}">{words}<b>{escape(tag)}</b></mark>{text[len(bare) :]}'


def _notes(part: Mapping[str, Any]) -> list[str]:
    notes = []
    for span in part["spans"]:
        if span[REASON] is None:
            continue
        start = max(0, span[START] - part["at"])
        text = "".join(part["words"][start : max(0, span[END] - part["at"])]).strip()
        notes.append(f"✗ {escape(span[LABEL])} “<bdi>{escape(text)}</bdi>”: {escape(span[REASON])}")
    return notes


def _without_overlaps(spans: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    chosen: list[Sequence[Any]] = []
    for span in sorted(spans, key=lambda span: (span[REASON] is None, span[KEY] != ENTS, span[START], -span[END])):
        if all(span[END] <= other[START] or other[END] <= span[START] for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda span: span[START])
