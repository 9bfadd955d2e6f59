"""From texts to the parts that a model translates, and from their translations to those of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...protocols import Term, Translation
from ...tokens import has_text
from ..bergamot.splitting import split_pieces
from ..bergamot.vocab import Pieces
from ..terms import MISSING, Written, missing_terms
from .direction import Direction


@dataclass(frozen=True)
class _Part:
    """A part of a text with what its translation must begin with and hold."""

    owner: int
    pieces: Pieces
    prefix: list[int]
    terms: list[list[int]]


@dataclass(frozen=True)
class _Joined:
    """The translation of the first parts of a text."""

    text: str
    score: float
    n_pieces: int
    truncated: bool


class Job:
    """Texts to translate at once.

    direction (Direction): What translates.
    texts (Sequence[str]): The texts.
    terms, prefixes: As the engine's `translate` takes them.
    spaced (bool): Whether the target language puts spaces between words.
    max_pieces (int): The most pieces of a part.
    """

    def __init__(
        self,
        direction: Direction,
        texts: Sequence[str],
        *,
        terms: Sequence[Sequence[Term]] | None,
        prefixes: Sequence[str] | None,
        spaced: bool,
        max_pieces: int,
    ):
        self._direction = direction
        self._texts = texts
        self._terms = [[]] * len(texts) if terms is None else list(terms)
        self._prefixes = [""] * len(texts) if prefixes is None else list(prefixes)
        self._spaced = spaced
        self._max_pieces = max_pieces

    def run(self, *, beam_size: int, max_length_factor: float) -> list[list[Translation]]:
        """RETURNS (list[list[Translation]]): For each text at least one and at most `beam_size`, the best first."""
        parts = self._parts()
        found = self._direction.search(
            [part.pieces for part in parts],
            prefixes=[part.prefix for part in parts],
            terms=[part.terms for part in parts],
            spaced=self._spaced,
            beam_size=beam_size,
            max_length_factor=max_length_factor,
        )
        grouped: list[list[list[_Joined]]] = [[] for _ in self._texts]
        for part, hypotheses in zip(parts, found, strict=True):
            grouped[part.owner].append([self._read(part, written) for written in hypotheses])
        return [self._translations(i, groups, beam_size) for i, groups in enumerate(grouped)]

    def _parts(self) -> list[_Part]:
        target = self._direction.loaded.target
        given_prefixes = target.encode(self._prefixes)
        parts = []
        for i, pieces in enumerate(self._direction.loaded.source.encode(self._texts)):
            cut = split_pieces(pieces, self._texts[i], limit=self._max_pieces) if has_text(self._texts[i]) else []
            terms: list[list[list[int]]] = [[] for _ in cut]
            for term in self._terms[i]:
                ids = target.words_inside(term.target, spaced=self._spaced)
                if cut and ids:
                    terms[_place_of(term, self._texts[i], cut)].append(ids)
            for k, part in enumerate(cut):
                parts.append(_Part(i, part, given_prefixes[i].ids.tolist() if k == 0 else [], terms[k]))
        return parts

    def _read(self, part: _Part, written: Written) -> _Joined:
        text = self._direction.loaded.target.decode([*part.prefix, *written.ids])
        return _Joined(text, written.score, len(written.ids), written.truncated)

    def _translations(self, i: int, groups: list[list[_Joined]], n: int) -> list[Translation]:
        if not groups:
            return [Translation("", flags=(MISSING,) if self._terms[i] else ())]
        joined = [_Joined("", 0.0, 0, False)]
        for group in groups:
            every = [self._join(left, right) for left in joined for right in group]
            # Of a single part, the search has found the order
            joined = (every if len(groups) == 1 else sorted(every, key=_goodness))[: max(1, n)]
        different: dict[str, _Joined] = {}
        for one in joined:
            different.setdefault(one.text, one)
        result = []
        for one in different.values():
            flags = ["truncated"] if one.truncated else []
            if missing_terms(one.text, self._terms[i], spaced=self._spaced):
                flags.append(MISSING)
            result.append(Translation(one.text, one.score / max(1, one.n_pieces), tuple(sorted(flags))))
        return result

    def _join(self, left: _Joined, right: _Joined) -> _Joined:
        gap = " " if self._spaced and left.text and right.text else ""
        return _Joined(
            left.text + gap + right.text,
            left.score + right.score,
            left.n_pieces + right.n_pieces,
            left.truncated or right.truncated,
        )


def _goodness(joined: _Joined) -> tuple[bool, float]:
    """What to sort by: whole ones first, then by mean log-probability."""
    return joined.truncated, -joined.score / max(1, joined.n_pieces)


def _place_of(term: Term, text: str, parts: Sequence[Pieces]) -> int:
    """The part of a text that a term belongs to: where its source stands, else the first."""
    at = text.find(term.source) if term.source else -1
    return next((k for k, part in enumerate(parts) if at < int(part.spans[-1, 1])), 0)
