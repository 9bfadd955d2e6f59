"""Bitexts as text of 80 columns, with colours where the terminal has them, and a summary of everything read."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import wasabi
from wasabi.util import supports_ansi

from ..bitext import ENTS, Bitext
from .colors import label_colors
from .columns import Piece, cut, plain, wrapped
from .data import SIDES, Row, has_lost, rows

LOW = 0.5


def has_colors() -> bool:
    """Whether what is printed comes to a terminal that shows colours, and its reader wants them."""
    return sys.stdout.isatty() and supports_ansi() and not os.environ.get("NO_COLOR")


def as_text(
    numbered: Iterable[tuple[int, Bitext]], *, limit: int, only_lost: bool = False, colors: bool = False
) -> Iterator[str]:
    """The sentences of the first documents, then a summary of all.

    numbered (Iterable[tuple[int, Bitext]]): Bitexts, each with the number of its document.
    limit (int): Documents to show; the summary is about all of them.
    only_lost (bool): Show only sentences in which a span was lost.
    colors (bool): Colour the spans. Brackets and labels say the same.
    YIELDS (str): Lines of at most 80 columns.
    """
    summary, n_shown, last = Summary(), 0, None
    for number, bitext in numbered:
        found = list(rows(bitext, doc=number))
        chosen = [row for row in found if not only_lost or has_lost(row)]
        if chosen and (number == last or n_shown < limit):
            n_shown += number != last
            last = number
            for row in chosen:
                yield from sentence(row, number=summary.n_sentences + found.index(row) + 1, colors=colors)
                yield ""
        summary.add(number, bitext, found)
    yield from summary.lines()


def sentence(row: Row, *, number: int, colors: bool = False) -> Iterator[str]:
    """One pair of sentences as lines: its number and flags, both texts with their spans in brackets, what was lost."""
    source, target = row["langs"]
    notes = [f"#{number}", f"document {row['doc'] + 1}", f"{source} → {target}"]
    notes += [] if row["score"] is None else [f"translation {row['score']:.2f}"]
    yield from wrapped([Piece("  ".join(notes + [f"⚑ {flag}" for flag in row["flags"]]), bold=colors)], "", "    ")
    for side, lang in zip(SIDES, row["langs"], strict=True):
        yield from wrapped(_pieces(row[side], colors=colors), f"  {lang:<3} ", "      ")
    for side in SIDES:
        at, words = row[side]["at"], row[side]["words"]
        for start, end, label, _, _, reason in row[side]["spans"]:
            if reason is not None:
                text = "".join(words[max(0, start - at) : max(0, end - at)]).strip()
                yield from wrapped(
                    [Piece(f"✗ lost {label or '(no label)'} “{plain(text)}”: {reason}")], "      ", "        "
                )


def _pieces(part: dict[str, Any], *, colors: bool) -> list[Piece]:
    """The words of one side: entities in `[…]`, spans of span groups in `{…}`, each closed by its label."""
    at, last = part["at"], part["at"] + len(part["words"])
    looks = label_colors({span[2] for span in part["spans"]}) if colors else {}
    opened: dict[int, list[Any]] = {}
    closed: dict[int, list[Any]] = {}
    for span in part["spans"]:
        opened.setdefault(max(at, span[0]), []).append(span)
        closed.setdefault(min(last, span[1]) - 1, []).append(span)
    pieces, inside = [], []
    for token, word in enumerate(part["words"], at):
        here = opened.get(token, [])
        inside += here
        # the innermost has the colour
        look = looks[inside[-1][2]][0] if inside and colors else None
        style = (look.foreground, look.background) if look else (None, None)
        space = " " if len(word) > 1 and word.endswith(" ") else ""
        ends = "".join(_tag(span) for span in reversed(closed.get(token, [])))
        starts = "".join("[" if span[3] == ENTS else "{" for span in here)
        text = starts + plain(word[: len(word) - len(space)]) + ends
        inside = [span for span in inside if span not in closed.get(token, [])]
        pieces.append(Piece(text, *style))
        pieces.append(Piece(space, *style) if inside else Piece(space))
    return pieces


def _tag(span: list[Any]) -> str:
    _, _, label, key, score, reason = span
    text = f"{'' if reason is None else '✗'}{plain(label) or '(no label)'}"
    return f" {text}{'' if score is None else f' {score:.2f}'}{']' if key == ENTS else '}'}"


@dataclass
class Summary:
    """Counts over bitexts."""

    n_sentences: int = 0
    docs: set[int] = field(default_factory=set)
    words: Counter[str] = field(default_factory=Counter)
    n_links: int = 0
    spans: dict[str, Counter[str]] = field(default_factory=lambda: {side: Counter() for side in SIDES})
    scores: dict[str, list[float]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, bitext: Bitext, found: Iterable[Row]) -> None:
        """Count a bitext and its rows; a span that reaches over several rows counts once."""
        self.docs.add(number)
        self.n_links += len(bitext.alignment)
        self.words["source"] += len(bitext.source)
        self.words["target"] += len(bitext.target)
        seen = set()
        for row in found:
            self.n_sentences += 1
            self.flags.update(row["flags"])
            seen |= {(side, *span) for side in SIDES for span in row[side]["spans"]}
        for side, _, _, label, _, score, reason in seen:
            self.spans[side][label] += 1
            if score is not None:
                self.scores.setdefault(label, []).append(score)
            if reason is not None:
                self.lost[label] += 1
                self.reasons[reason] += 1

    def lines(self) -> Iterator[str]:
        """Tables of at most 80 columns."""
        counts = {
            "documents": len(self.docs),
            "sentences": self.n_sentences,
            "words": f"{self.words['source']:,} → {self.words['target']:,}",
            "links": self.n_links,
            "flagged": ", ".join(f"{flag} {n:,}" for flag, n in self.flags.most_common()) or "none",
            "lost": ", ".join(f"{reason} {n:,}" for reason, n in self.reasons.most_common()) or "none",
        }
        for name, value in counts.items():
            shown = f"{value:,}" if isinstance(value, int) else plain(str(value))
            yield from wrapped([Piece(shown)], f"{name:<11}", " " * 11)
        labels = sorted({*self.spans["source"], *self.spans["target"]})
        if not labels:
            yield "no spans"
            return
        table = [[cut(plain(label) or "(no label)", 24), *self._numbers(label)] for label in labels]
        header = ["label", "source", "target", "lost", "mean score", f"below {LOW}"]
        yield from wasabi.table(table, header=header, divider=True, aligns=("l", *"rrrrr"), max_col=24).splitlines()

    def _numbers(self, label: str) -> list[str]:
        scores = self.scores.get(label, [])
        mean = f"{sum(scores) / len(scores):.3f}" if scores else "–"
        counts = [self.spans["source"][label], self.spans["target"][label], self.lost[label]]
        return [*(f"{n:,}" for n in counts), mean, f"{sum(score < LOW for score in scores):,}"]
