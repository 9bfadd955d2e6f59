"""Translators and bitexts small enough to predict by hand, for the projectors that ask a translator."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
import spacy
from spacy.tokens import Doc, Span

from spacy_xlt import Alignment, Bitext
from spacy_xlt.errors import error
from spacy_xlt.protocols import Translation

EN, PT = spacy.blank("en").vocab, spacy.blank("pt").vocab


class Copier:
    """Translates every text into itself, after replacing what a table says; knows English and Portuguese only.

    A text is the more probable the more of its characters stand at the same place in the source.
    """

    signature = "copier-1"

    def __init__(self, **table: str):
        self.table = table
        self.seen: list[str] = []

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        self._check(source, target)
        self.seen += texts
        results = []
        for text in texts:
            for old, new in self.table.items():
                text = re.sub(rf"\b{old}\b", new, text)
            results.append(Translation(text, -0.1))
        return results

    def score(self, sources, targets, *, source, target):
        self._check(source, target)
        own = [t.text for t in self.translate(sources, source=source, target=target)]
        return np.asarray(
            [
                -2.0 * sum(a != b for a, b in zip(x.ljust(99), y.ljust(99), strict=False))
                for x, y in zip(own, targets, strict=True)
            ],
            np.float32,
        )

    def force(self, sources, targets, *, source, target):
        """Pieces are words and marks; the copy of the source is probable, anything else is not."""
        own = [pieces(t.text)[0] for t in self.translate(sources, source=source, target=target)]
        results = []
        for expected, text in zip(own, targets, strict=True):
            found, spans = pieces(text)
            wanted = [*expected, "</s>"]
            log_probs = [-0.1 if wanted[i : i + 1] == [p] else -6.0 for i, p in enumerate([*found, "</s>"])]
            results.append((np.asarray(log_probs, np.float32), spans))
        return results

    def _check(self, source: str, target: str) -> None:
        if {source, target} != {"en", "pt"}:
            raise error("E201", engine="Copier", source=source, target=target, known="en to pt, pt to en")


class Dice:
    """Gives every piece a log-probability that depends on the source and all pieces before it, and on nothing else."""

    signature = "dice-1"

    def force(self, sources, targets, *, source, target):
        results = []
        for x, text in zip(sources, targets, strict=True):
            found, spans = pieces(text)
            prefixes = ["\0".join([x, *found[: i + 1]]) for i in range(len(found))] + ["\0".join([x, *found, "</s>"])]
            draws = [hashlib.md5(prefix.encode()).digest()[0] / 32 for prefix in prefixes]
            results.append((-np.asarray(draws, np.float32), spans))
        return results


def pieces(text: str) -> tuple[list[str], np.ndarray]:
    """Words and marks of a text, and their characters."""
    found = list(re.finditer(r"\w+|[^\w\s]", text))
    return [m.group() for m in found], np.asarray([m.span() for m in found], np.int32).reshape(-1, 2)


def make_bitext(source: str, target: str, links: str | list | None = None, *ents, groups=None) -> Bitext:
    """A bitext of words between spaces, with entities (start, end, label) and span groups on the source.

    links: Pharaoh links or pairs; the diagonal where left out.
    """
    words, others = source.split(), target.split()
    doc = Doc(EN, words=words)
    doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
    for key, spans in (groups or {}).items():
        doc.spans[key] = [Span(doc, *span) for span in spans]
    if links is None:
        links = [(i, i) for i in range(min(len(words), len(others)))]
    alignment = Alignment.from_pharaoh(links) if isinstance(links, str) else Alignment(links)
    return Bitext(doc, Doc(PT, words=others), alignment)


def found(bitext: Bitext) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in bitext.target.ents]


def places(bitext: Bitext) -> list[tuple[int, int, str]]:
    return [(ent.start, ent.end, ent.label_) for ent in bitext.target.ents]
