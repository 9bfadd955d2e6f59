"""Translations that must use given words: which of them a hypothesis has written, and which hypotheses to go on with.

Engine-neutral, in plain Python and NumPy: an engine gives token ids and log-probabilities, one `TermBeam` for each
text. The beam is shared between hypotheses that have written different amounts of the terms, as in Post & Vilar
(2018), "Fast Lexically Constrained Decoding with Dynamic Beam Allocation"; terms may come in any order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..protocols import Term

# The flag of a translation that lacks one of its terms
MISSING = "term_missing"
Ids = tuple[int, ...]


def missing_terms(text: str, terms: Sequence[Term], *, spaced: bool = True) -> list[Term]:
    """The terms that a translation lacks: those not in it letter by letter, as often as they are asked for.

    text (str): The translation.
    spaced (bool): Whether the language puts spaces between words; then a term must not be a part of a longer word.
    """
    asked = Counter(_squeezed(term.target) for term in terms)
    squeezed = _squeezed(text)
    lacking = {words for words, count in asked.items() if words and _count(squeezed, words, spaced) < count}
    return [term for term in terms if _squeezed(term.target) in lacking]


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _count(text: str, words: str, spaced: bool) -> int:
    before = r"(?<!\w)" if spaced and re.match(r"\w", words) else ""
    after = r"(?!\w)" if spaced and re.search(r"\w\Z", words) else ""
    return len(re.findall(before + re.escape(words) + after, text))


def continues_word(pieces: Sequence[str], *, mark: str = "▁") -> NDArray[np.bool_]:
    """Which pieces of a SentencePiece vocabulary make the word before them longer.

    RETURNS (bool, (n_pieces,)): True for a piece without the mark of a word's start that begins with a letter or digit.
    """
    return np.asarray([not piece.startswith(mark) and piece[:1].isalnum() for piece in pieces], bool)


@dataclass(frozen=True)
class State:
    """What a hypothesis has written of the terms.

    counts (tuple[int, ...]): How often each term was written, in whole.
    partial (frozenset[tuple[int, int]]): Terms that its last pieces begin, and how many pieces of each are there; a
        term that is there in all its pieces counts when the next piece does not go on with the word.
    """

    counts: Ids
    partial: frozenset[tuple[int, int]] = frozenset()


class Terms:
    """The terms of one text in pieces.

    pieces (Sequence[Sequence[int]]): The piece ids of each term; one that is given twice must be written twice. Terms
        without pieces don't count.
    continues (bool, (n_pieces,) | None): Which pieces of the vocabulary go on with a word (see `continues_word`). None
        for languages without spaces.
    """

    def __init__(self, pieces: Sequence[Sequence[int]], *, continues: NDArray[np.bool_] | None = None):
        asked = Counter(tuple(int(i) for i in ids) for ids in pieces if len(ids))
        self.terms: list[Ids] = list(asked)
        self.asked: Ids = tuple(asked.values())
        self._continues = continues

    @cached_property
    def start(self) -> State:
        """Nothing is written."""
        return State((0,) * len(self.terms))

    @property
    def n_pieces(self) -> int:
        """The pieces of all terms together."""
        return self.missing(self.start)

    def advance(self, state: State, piece: int) -> State:
        """What is written when this piece is written next."""
        glued = self._continues is not None and piece < len(self._continues) and bool(self._continues[piece])
        counts = self._settled(state, glued=glued)
        going_on = set()
        for term, n in state.partial:
            ids = self.terms[term]
            if n < len(ids) and ids[n] == piece and counts[term] < self.asked[term]:
                going_on.add((term, n + 1))
        for term, ids in enumerate(self.terms):
            if ids[0] == piece and counts[term] < self.asked[term]:
                going_on.add((term, 1))
        return State(counts, frozenset(going_on))

    def missing(self, state: State) -> int:
        """How many pieces are still to be written."""
        counts = self._settled(state)
        rest = sum(len(ids) * (n - count) for ids, n, count in zip(self.terms, self.asked, counts, strict=True))
        begun: dict[int, int] = {}
        for term, n in state.partial:
            if n < len(self.terms[term]) and counts[term] < self.asked[term]:
                begun[term] = max(begun.get(term, 0), n)
        # Of terms begun at once, only one is sure to be gone on with
        return rest - max(begun.values(), default=0)

    def wanted(self, state: State) -> list[int]:
        """The pieces that would write more of the terms. Where one is begun, only those that go on with it."""
        counts = self._settled(state)
        open_terms = [term for term, n in enumerate(self.asked) if counts[term] < n]
        going_on = {
            self.terms[term][n] for term, n in state.partial if term in open_terms and n < len(self.terms[term])
        }
        return sorted(going_on or {self.terms[term][0] for term in open_terms})

    def _settled(self, state: State, *, glued: bool = False) -> Ids:
        """The counts with the terms that the last pieces completed."""
        if glued:
            return state.counts
        counts = list(state.counts)
        for term in {term for term, n in state.partial if n == len(self.terms[term])}:
            counts[term] = min(counts[term] + 1, self.asked[term])
        return tuple(counts)


@dataclass(frozen=True)
class Written:
    """A hypothesis.

    ids (tuple[int, ...]): Its pieces, the end mark too where it has ended.
    score (float): Sum of their log-probabilities.
    truncated (bool): Whether it was cut off at the limit.
    """

    ids: Ids
    score: float
    truncated: bool = False

    @property
    def mean(self) -> float:
        """Mean log-probability of a piece."""
        return self.score / max(1, len(self.ids))


class TermBeam:
    """Beam search over one text, all of whose terms are in every hypothesis that ends.

    The engine keeps `size` rows for each text. In each step it computes the log-probabilities of the next piece in
    every row, looks up the best few of each row and the cells that `cells` names, and passes them all to `step`, which
    says from which row each row goes on and with what piece. At first all rows are alike and only row 0 is in use.

    terms (Terms): What must be written.
    size (int): Rows of the beam.
    end (int): The end mark.
    limit (int): The most pieces, the end mark counted; raised where the terms alone need more.
    """

    def __init__(self, terms: Terms, *, size: int, end: int, limit: int):
        self.terms = terms
        self.size = size
        self.end = end
        self.limit = max(limit, terms.n_pieces + 1)
        self.finished: list[Written] = []
        self._live: list[tuple[Written, State]] = [(Written((), 0.0), terms.start)]

    @property
    def done(self) -> bool:
        """Whether there is nothing to go on with."""
        return not self._live

    def cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What to look up besides the best: rows and pieces that write more of the terms, or end.

        RETURNS (int64, int64, each (n,)): Rows of the beam, and pieces.
        """
        found = [(row, piece) for row, (_, state) in enumerate(self._live) for piece in self.terms.wanted(state)]
        found += [(row, self.end) for row, (_, state) in enumerate(self._live) if not self.terms.missing(state)]
        rows, pieces = np.asarray(found, np.int64).reshape(-1, 2).T
        return rows, pieces

    def step(
        self, rows: NDArray[np.integer], pieces: NDArray[np.integer], log_probs: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose the hypotheses to go on with.

        rows, pieces, log_probs (each (n,)): Candidates: which piece would come next in which row, and its
            log-probability. Rows that are not in use, and what is given twice, do no harm.
        RETURNS (int64, int64, each (size,)): For each row, the row that it goes on from and the piece it gets; rows not
            in use repeat the first.
        """
        banks = self._banks(rows, pieces, log_probs, whole=True)
        if not banks and not self.finished:
            # A piece may be impossible here: better a translation without it than none
            banks = self._banks(rows, pieces, log_probs, whole=False)
        chosen: list[tuple[float, int, int, State]] = []
        # In turns, from those that have written most of the terms: each amount gets an equal share of the beam
        while len(chosen) < self.size and any(banks.values()):
            for missing in sorted(banks):
                if banks[missing] and len(chosen) < self.size:
                    chosen.append(banks[missing].pop())
        previous = self._live
        self._live = []
        parents: list[int] = []
        taken: list[int] = []
        for score, row, piece, state in chosen:
            ids = (*previous[row][0].ids, piece)
            last = len(ids) >= self.limit
            if piece == self.end or last:
                self.finished.append(Written(ids, score, piece != self.end))
            else:
                self._live.append((Written(ids, score), state))
                parents.append(row)
                taken.append(piece)
        if len(self.finished) >= self.size:
            best = self.best()[0]
            # Longer ones have no better mean, or hardly ever
            if not best.truncated and all(written.mean <= best.mean for written, _ in self._live):
                self._live = []
        fill = self.size - len(parents)
        return (
            np.asarray(parents + parents[:1] * fill if parents else [0] * self.size, np.int64),
            np.asarray(taken + taken[:1] * fill if taken else [self.end] * self.size, np.int64),
        )

    def best(self, n: int = 1) -> list[Written]:
        """The hypotheses that ended, by mean log-probability; those cut off come last."""
        return sorted(self.finished, key=lambda written: (written.truncated, -written.mean))[:n]

    def _banks(
        self,
        rows: NDArray[np.integer],
        pieces: NDArray[np.integer],
        log_probs: NDArray[np.floating],
        *,
        whole: bool,
    ) -> dict[int, list[tuple[float, int, int, State]]]:
        """Candidates by how many pieces they still lack, the most probable last.

        whole (bool): Leave out those that could no longer write all terms and the end mark.
        """
        banks: dict[int, list[tuple[float, int, int, State]]] = {}
        seen: set[tuple[int, int]] = set()
        for row, piece, log_prob in zip(rows.tolist(), pieces.tolist(), log_probs.tolist(), strict=True):
            if row >= len(self._live) or (row, piece) in seen or not np.isfinite(log_prob):
                continue
            seen.add((row, piece))
            written, state = self._live[row]
            ends = piece == self.end
            after = state if ends else self.terms.advance(state, piece)
            missing = self.terms.missing(after)
            room = self.limit - len(written.ids) - 1
            if whole and missing and (ends or missing + 1 > room):
                continue
            banks.setdefault(missing, []).append((written.score + log_prob, row, piece, after))
        for candidates in banks.values():
            candidates.sort(key=lambda candidate: candidate[0])
        return banks
