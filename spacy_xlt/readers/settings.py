"""How a corpus is read, and what was met while it was read."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import error, warn
from ..languages import MULTI
from ..textfiles import check_encoding

AUTO, SPACY, JSONL, PRODIGY, BRAT, LINES = "auto", "spacy", "jsonl", "prodigy", "brat", "lines"
MARKED, TACRED, SQUAD, TEXTS, PUBTATOR = "marked", "tacred", "squad", "texts", "pubtator"
# Default columns of the formats, counted from 1 (negative: from the end): token, tag.
COLUMNS = {"iob2": (2, 3), "conll": (1, -1), "tsv": (1, 2)}
FORMATS = (SPACY, *COLUMNS, JSONL, PRODIGY, BRAT, LINES, MARKED, TACRED, SQUAD, TEXTS, PUBTATOR)
# Which formats a setting is for
_USED_BY = {
    "token_col": tuple(COLUMNS),
    "tag_col": tuple(COLUMNS),
    "n_sents": tuple(COLUMNS),
    "encoding": FORMATS[1:],
    "labels": FORMATS[1:],
    "spans_key": FORMATS[1:],
}
# What is said once a file, by kind
_SAID = {
    "widened": "W535",
    "overlapping": "W536",
    "in pieces": "W537",
    "empty": "W538",
    "no text": "W540",
    "header": "W541",
    "comment": "W542",
    "range": "W543",
    "prefix": "W544",
    "some prefix": "W545",
    "cut": "W546",
    "all missing": "W551",
    "tags elsewhere": "W552",
    "sharing": "W547",
    "trimmed": "W539",
    "other tokens": "W565",
    "other unit": "W564",
    "unit unclear": "W566",
    "not annotated": "W563",
    "reserved": "W549",
    "ids": "W548",
}
# What entities are called where span groups go by their keys, and how our own span groups begin
ENTS, RESERVED = "ents", "xlt_"
# How many lines a message names
_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How a corpus is read. A `.spacy` file is taken as it is: only `format` and `lang` are for it.

    Attributes:
        format: "auto" for what each file's name says, else "spacy", "iob2", "conll", "tsv", "jsonl", "brat",
            "prodigy": JSON lines of which those with a span that does not begin and end with tokens are left out;
            "lines": plain text, a document on each line; "marked": `<e1>…</e1>`, as SemEval and RELX have relations;
            "tacred" and "squad": JSON of these data sets; "texts": a text and its label in two columns; "pubtator".
        lang: Language code of the text, whose vocabulary the documents get; its tokenizer cuts text that has no tokens.
        encoding: Of files of text.
        token_col: Column of the token, counted from 1; negative from the end. The format's own where left out.
        tag_col: Column of the entity tag, likewise.
        n_sents: Sentences a document, in columns, unless the file begins a new document first.
        labels: Labels to keep; all where left out.
        spans_key: Also put all entities into this span group; they may overlap there.

    Raises:
        XltError: E510 for a format or an encoding that does not exist, for a column 0, for `n_sents` below 1 and for a
            `spans_key` of ours.
    """

    format: str = AUTO
    lang: str = MULTI
    encoding: str = "utf8"
    token_col: int | None = None
    tag_col: int | None = None
    n_sents: int = 1
    labels: frozenset[str] | None = None
    spans_key: str = ""

    def __post_init__(self) -> None:
        if self.format not in (AUTO, *FORMATS):
            raise error("E510", setting="--format", value=self.format, expected=", ".join((AUTO, *FORMATS)))
        for setting, column in (("--token-col", self.token_col), ("--tag-col", self.tag_col)):
            if column == 0:
                raise error(
                    "E510", setting=setting, value=column, expected="a column counted from 1, or from -1 at the end"
                )
        if self.n_sents < 1:
            raise error("E510", setting="--n-sents", value=self.n_sents, expected="a number from 1")
        if self.spans_key == ENTS or self.spans_key.startswith(RESERVED):
            expected = f"a name of your own: {ENTS!r} is what entities are called, and {RESERVED}… are ours"
            raise error("E510", setting="--spans-key", value=self.spans_key, expected=expected)
        check_encoding(self.encoding)

    def check_used(self, path: Path, formats: Iterable[str]) -> None:
        """Make sure that what is set has an effect on files of these formats.

        Raises:
            XltError: E541 for a setting that is for none of them.
        """
        present, default = set(formats), ReadSettings()
        for name, used_by in _USED_BY.items():
            if getattr(self, name) != getattr(default, name) and present.isdisjoint(used_by):
                option = "--" + name.replace("_", "-")
                raise error("E541", setting=option, path=path, formats=", ".join(used_by))

    def keeps(self, label: str) -> bool:
        """Whether spans with this label are kept."""
        return self.labels is None or label in self.labels


@dataclass
class ReadNotes:
    """What was met while a corpus was read, counted, for one warning at the end.

    Attributes:
        counts: By kind: those of `_SAID`, and "repaired" (entities that begin with an I- tag: the rule in IOB1, a slip
            in IOB2).
        first: The first of a kind, shortened.
        labels: Spans, by label.
        dropped: Spans left out by `labels`, by label.
        answers: JSON lines with another answer than "accept", by answer.
        misfits: JSON lines left out because their spans or tokens do not fit the text: number and reason.
        unusable: Relations, events and the like that are left out, by what is wrong with them: their number, and the
            first one.
        left_out: Texts of a folder of brat's that cannot be read, and why; None where that is an error.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    misfits: list[tuple[int, str]] = field(default_factory=list)
    unusable: dict[str, tuple[int, str]] = field(default_factory=dict)
    left_out: dict[str, str] | None = None

    def add(self, kind: str, example: str = "") -> None:
        """Count one more of a kind."""
        self.counts[kind] += 1
        if kind not in self.first:
            self.first[kind] = repr(shortened(example))

    def leave_out(self, where: str, wrong: str, value: object = "") -> None:
        """Count a relation or the like that is left out.

        Args:
            where: Such as "line 3".
            wrong: What is wrong with it, such as "an end that is not there:".
            value: What stands there.
        """
        said = f"{where}: {wrong} {textwrap.shorten(str(value)[:1000], 80)}".replace("  ", " ").rstrip()
        n, first = self.unusable.get(wrong, (0, said))
        self.unusable[wrong] = n + 1, first

    def update(self, other: ReadNotes) -> None:
        """Add what was met in another file."""
        self.counts.update(other.counts)
        self.first = {**other.first, **self.first}
        self.labels.update(other.labels)
        self.dropped.update(other.dropped)
        self.answers.update(other.answers)
        self.misfits += other.misfits
        for wrong, (n, first) in other.unusable.items():
            before, first = self.unusable.get(wrong, (0, first))
            self.unusable[wrong] = before + n, first
        if other.left_out:
            self.left_out = {**(self.left_out or {}), **other.left_out}

    def check_labels(self, path: str | Path, settings: ReadSettings) -> None:
        """Warn of labels to keep that a corpus does not have.

        Raises:
            XltError: E522 where it has others, and none of them.
        """
        absent = sorted((settings.labels or frozenset()) - self.labels.keys())
        if absent:
            known = ", ".join(sorted(self.labels.keys() | self.dropped.keys())) or "none"
            if not self.labels and self.dropped:
                raise error("E522", path=path, labels=", ".join(absent), known=known)
            warn("W522", path=path, labels=", ".join(absent), known=known)

    def warn(self, path: str | Path, settings: ReadSettings) -> None:
        """Warn of what is not as it was annotated in a file, once a kind."""
        all_in_group = f"The span group {settings.spans_key!r} has them all."
        hint = all_in_group if settings.spans_key else "Set --spans-key to have them all."
        for kind, code in _SAID.items():
            if n := self.counts[kind]:
                warn(code, path=path, n=n, first=self.first[kind], hint=hint, stacklevel=4)
        if self.unusable:
            said = (first + (f" and {n - 1} more" if n > 1 else "") for n, first in self.unusable.values())
            total = sum(n for n, _ in self.unusable.values())
            warn("W567", path=path, n=total, first="; ".join(said), stacklevel=4)
        if self.answers:
            answers = ", ".join(f"{n} {answer!r}" for answer, n in sorted(self.answers.items()))
            warn("W568", path=path, answers=answers, stacklevel=4)
        if self.left_out:
            name, reason = next(iter(self.left_out.items()))
            n, total = len(self.left_out), self.counts["texts"]
            warn("W584", n=n, total=total, path=path, first=name, reason=reason, stacklevel=4)
        if self.misfits:
            numbers, reason = [number for number, _ in self.misfits], self.misfits[0][1]
            if len({reason for _, reason in self.misfits}) > 1:
                reason = f"in the first one {reason}"
            warn("W562", n=len(numbers), path=path, lines=lines_named(numbers), reason=reason, stacklevel=4)


def shortened(text: str) -> str:
    """A text for a message."""
    return textwrap.shorten(text[:1000], 60) or text[:60]


def lines_named(numbers: Sequence[int]) -> str:
    """`line 3, 7, 9 and 4 more`; "" for none."""
    if not numbers:
        return ""
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return "line " + ", ".join(map(str, numbers[:_NAMED])) + more
