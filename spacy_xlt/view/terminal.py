"""Bitexts as text of 80 columns, with colours where the terminal has them, and a summary of everything read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from typing import Any

import wasabi
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..bitext import ENTS, Bitext
from ..printing import plain
from ..span_links import get_links
from .colors import label_colors
from .data import SIDES, Row, ShownLink, has_lost, rows

LOW_SCORE = 0.5
WIDTH = 80
_LABEL_WIDTH = 24
# Sentence pairs of a bitext that is printed
_IN_SHORT = 5


def has_colors() -> bool:
    """Whether what is printed comes to a terminal that shows colours, and its reader wants them."""
    console = Console()
    return console.is_terminal and console.color_system is not None and not console.no_color


def as_text(
    numbered: Iterable[tuple[int, Bitext]], *, limit: int, only_lost: bool = False, colors: bool = False
) -> Iterator[str]:
    """The sentences of the first documents, then a summary of all.

    Args:
        numbered: Bitexts, each with the number of its document.
        limit: Documents to show; the summary is about all of them.
        only_lost: Show only sentences in which a span was lost.

    Yields:
        Lines of at most 80 columns.
    """
    summary, n_shown, last = Summary(), 0, None
    for number, bitext in numbered:
        made = list(rows(bitext, doc=number))
        chosen = [(n, row) for n, row in enumerate(made) if not only_lost or has_lost(row)]
        if chosen and (number == last or n_shown < limit):
            n_shown += number != last
            last = number
            for n, row in chosen:
                yield from sentence(row, number=summary.n_sentences + n + 1, colors=colors)
                yield ""
        summary.add(number, bitext, made)
    yield from summary.lines()


def in_a_line(bitext: Bitext) -> str:
    """The first sentence pair of a bitext, both sides cut off where they are long."""
    first = next(rows(bitext))
    sides = [_side(first[side]) for side in SIDES]
    for side in sides:
        side.truncate(WIDTH, overflow="ellipsis")
    more = f" (and {len(bitext.sentences) - 1} more)" if len(bitext.sentences) > 1 else ""
    langs = plain(f"{bitext.source_lang} → {bitext.target_lang}")
    return f"<Bitext {langs}: {sides[0].plain.strip()} → {sides[1].plain.strip()}{more}>"


def in_short(bitext: Bitext) -> str:
    """The first sentence pairs of a bitext, and how many more there are."""
    lines: list[str] = []
    for number, row in enumerate(islice(rows(bitext), _IN_SHORT), 1):
        lines += sentence(row, number=number)
    more = len(bitext.sentences) - _IN_SHORT
    return "\n".join([*lines, f"and {more} more sentences"] if more > 0 else lines)


def hanging(prefix: str, text: Text, *, indent: int, colors: bool = False) -> Iterator[str]:
    """Lines of 80 columns: the first begins with a prefix, the others with as many spaces as `indent`."""
    console = Console(
        file=StringIO(), width=WIDTH, force_terminal=colors, color_system="256" if colors else None, highlight=False,
        legacy_windows=False, _environ={},
    )  # fmt: skip
    grid = Table.grid()
    grid.add_column(width=indent)
    grid.add_column(overflow="fold")
    grid.add_row(prefix, text)
    with console.capture() as capture:
        console.print(grid if indent else text)
    for line in capture.get().rstrip("\n").split("\n"):
        yield line.rstrip()


def sentence(row: Row, *, number: int, colors: bool = False) -> Iterator[str]:
    """One pair of sentences as lines: its number and flags, both texts with their spans in brackets, what was lost."""
    source, target = row["langs"]
    notes = [f"#{number}", f"document {row['doc'] + 1}", plain(f"{source} → {target}")]
    notes += [] if row["score"] is None else [f"translation {row['score']:.2f}"]
    notes += [f"⚑ {plain(flag)}" for flag in row["flags"]]
    yield from hanging("", Text("  ".join(notes), style="bold"), indent=0, colors=colors)
    for side, lang in zip(SIDES, row["langs"], strict=True):
        yield from hanging(f"  {plain(lang)[:3]:<3} ", _side(row[side]), indent=6, colors=colors)
    for side in SIDES:
        at, words = row[side]["at"], row[side]["words"]
        for start, end, label, _, _, reason in row[side]["spans"]:
            if reason is not None:
                text = plain("".join(words[max(0, start - at) : max(0, end - at)]).strip())
                lost = Text(f"lost {_named(label)} “{text}”: {plain(reason)}")
                yield from hanging("      ✗ ", lost, indent=8, colors=colors)
    for side, lang in zip(SIDES, row["langs"], strict=True):
        for arc in row[side].get("arcs", ()):
            mark = " " if arc[6] is None else "✗"
            yield from hanging(f"  {plain(lang)[:3]:<3} {mark} ", _link(arc), indent=8, colors=colors)


def _side(part: dict[str, Any]) -> Text:
    """The words of one side: entities in `[…]`, spans of span groups in `{…}`, each closed by its label."""
    at, last = part["at"], part["at"] + len(part["words"])
    looks = label_colors({span[2] for span in part["spans"]})
    opened: dict[int, list[Any]] = {}
    closed: dict[int, list[Any]] = {}
    for span in part["spans"]:
        opened.setdefault(max(at, span[0]), []).append(span)
        closed.setdefault(min(last, span[1]) - 1, []).append(span)
    text, inside = Text(), []
    for token, word in enumerate(part["words"], at):
        starting, ending = opened.get(token, []), closed.get(token, [])
        inside += starting
        # the innermost has the colour
        look = looks[inside[-1][2]][0] if inside else None
        style = f"{look.foreground} on {look.background}" if look else ""
        space = " " if len(word) > 1 and word.endswith(" ") else ""
        text.append("".join("[" if span[3] == ENTS else "{" for span in starting), style)
        text.append(plain(word[: len(word) - len(space)]) + "".join(map(_tag, reversed(ending))), style)
        inside = [span for span in inside if span not in ending]
        text.append(space, style if inside else "")
    return text


def _link(arc: ShownLink) -> Text:
    """A link between spans: the words of its ends, which may be in another sentence, and its label."""
    label, score, reason, head, child = arc[4:]
    number = "" if score in (None, 1.0) else f" {score:.2f}"
    lost = "" if reason is None else f": lost, {plain(reason)}"
    return Text(f"“{plain(head)}” → {_named(label)}{number} → “{plain(child)}”{lost}")


def _named(label: str) -> str:
    """A label as it stands at each of its spans: not longer than a line."""
    return plain(label if len(label) <= WIDTH else f"{label[:WIDTH]}…") or "(no label)"


def _tag(span: list[Any]) -> str:
    _, _, label, key, score, reason = span
    text = f"{'' if reason is None else '✗'}{_named(label)}"
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
    span_links: Counter[str] = field(default_factory=Counter)
    lost_links: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    def add(self, number: int, bitext: Bitext, made: Iterable[Row]) -> None:
        """Count a bitext and its rows; a span that reaches over several rows counts once."""
        self.docs.add(number)
        self.n_links += len(bitext.alignment)
        self.words["source"] += len(bitext.source)
        self.words["target"] += len(bitext.target)
        for side, doc in zip(SIDES, (bitext.source, bitext.target), strict=True):
            self.span_links[side] += sum(1 for _ in get_links(doc).labels())
        self.lost_links.update(link.reason for link in bitext.lost_links)
        seen = set()
        for row in made:
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
        if self.span_links.total():
            counts["span links"] = f"{self.span_links['source']:,} → {self.span_links['target']:,}"
            lost = ", ".join(f"{reason} {n:,}" for reason, n in self.lost_links.most_common())
            counts["lost links"] = lost or "none"
        for name, value in counts.items():
            shown = f"{value:,}" if isinstance(value, int) else plain(str(value))
            yield from hanging(f"{name:<11}", Text(shown), indent=11)
        labels = sorted({*self.spans["source"], *self.spans["target"]})
        if not labels:
            yield "no spans"
            return
        table = [[_cut(plain(label) or "(no label)"), *self._numbers(label)] for label in labels]
        header = ["label", "source", "target", "lost", "mean score", f"below {LOW_SCORE}"]
        made = wasabi.table(table, header=header, divider=True, aligns=("l", *"rrrrr"), max_col=_LABEL_WIDTH)
        yield from made.splitlines()

    def _numbers(self, label: str) -> list[str]:
        scores = self.scores.get(label, [])
        mean = f"{sum(scores) / len(scores):.3f}" if scores else "–"
        counts = [self.spans["source"][label], self.spans["target"][label], self.lost[label]]
        return [*(f"{n:,}" for n in counts), mean, f"{sum(score < LOW_SCORE for score in scores):,}"]


def _cut(label: str) -> str:
    text = Text(label)
    text.truncate(_LABEL_WIDTH, overflow="ellipsis")
    return text.plain
