"""Translations that use given terms.

A term whose source words are known goes where the translation looks at them, which the guided attention head says: the
words there are replaced by the term, and the better of two ways on is taken, what was written before and what the model
writes now. It is the idea of Song et al. 2020, "Alignment-Enhanced Transformer for Constraining NMT with Pre-Specified
Translations". Terms that may stand anywhere, or whose place is not found, are left to `terms.TermBeam`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...languages import UNSEGMENTED
from ...protocols import Term, Translation
from ..terms import MISSING, Terms, missing_terms
from .decode import Hypothesis, Padded
from .direction import Direction
from .joining import join_parts
from .term_beam import term_search
from .vocab import Pieces

# A term's place must look at its source words with so much of the attention; words around it that do with more than
# half belong to it
_FOUND, _PART = 0.3, 0.5
# The least rows of a beam that is shared between hypotheses with more and with less of the terms
_BEAM = 8


@dataclass(frozen=True)
class PartTerm:
    """A term of a part of a text.

    term (Term): As it was given.
    ids (int64, (n,)): Its pieces; those for unknown characters are left out, to be put back in the text.
    spelled (bool): Whether those are all of its pieces.
    looked (int64, (n,)): Which source pieces of the part it translates; none where it may stand anywhere.
    """

    term: Term
    ids: NDArray[np.int64]
    spelled: bool
    looked: NDArray[np.int64]


def terms_of_parts(
    direction: Direction, text: str, parts: Sequence[Pieces], terms: Sequence[Term]
) -> list[list[PartTerm]]:
    """To which part of a text each of its terms belongs: the part with its source words, else the first.

    The second term with the same source words belongs to the second place where they stand, and so on.
    """
    of_parts: list[list[PartTerm]] = [[] for _ in parts]
    used: Counter[str] = Counter()
    vocab, spaced = direction.target_vocab, direction.folder.source not in UNSEGMENTED
    for term in terms:
        words = " ".join(term.target.split())
        if not words or not parts:
            continue
        place = _occurrence(text, term.source, used[term.source], spaced=spaced)
        used[term.source] += 1
        looked = [np.flatnonzero((p.spans[:, 0] < place[1]) & (p.spans[:, 1] > place[0])) for p in parts]
        i = int(np.argmax([len(pieces) for pieces in looked]))
        ids = vocab.encode([words])[0].ids
        known = ids[ids != vocab.unk]
        of_parts[i].append(PartTerm(term, known, len(known) == len(ids), looked[i]))
    return of_parts


def _occurrence(text: str, words: str, number: int, *, spaced: bool) -> tuple[int, int]:
    """Where in a text words stand for the `number`th time (from 0), in characters; (0, 0) where they don't."""
    pattern = r"\s+".join(re.escape(word) for word in words.split())
    if not pattern:
        return 0, 0
    if spaced:
        pattern = rf"(?<!\w){pattern}(?!\w)"
    found = list(re.finditer(pattern, text)) or list(re.finditer(pattern, text, re.IGNORECASE))
    return found[number].span() if number < len(found) else (0, 0)


def translate_with_terms(
    direction: Direction,
    texts: Sequence[str],
    cut: Sequence[Sequence[Pieces]],
    terms: Sequence[Sequence[Term]],
    *,
    batch_tokens: int,
    **settings: Any,
) -> list[Translation]:
    """Translate texts with the terms of each. Those without terms are translated as ever.

    cut (Sequence[Sequence[Pieces]]): The parts of each text.
    settings: As `Direction.search` takes them.
    """
    wanted = [terms_of_parts(direction, *item) for item in zip(texts, cut, terms, strict=True)]
    parts = [part for of_text in cut for part in of_text]
    of_parts = [of_part for of_text in wanted for of_part in of_text]
    search = _TermSearch(direction, parts, of_parts, batch_tokens, settings)
    search.run()
    translations = []
    start = 0
    for of_text, own in zip(cut, terms, strict=True):
        here = slice(start, start + len(of_text))
        start = here.stop
        decoded = [with_terms(direction, *item) for item in zip(of_parts[here], search.found[here], strict=True)]
        translation = join_parts(of_text, search.found[here], decoded, spaced=direction.spaced)
        if missing_terms(translation.text, own, spaced=direction.spaced):
            translation = replace(translation, flags=tuple(sorted({*translation.flags, MISSING})))
        translations.append(translation)
    return translations


@dataclass
class _TermSearch:
    """The search for the translations of parts of texts, each with its own terms.

    settings (dict): As `Direction.search` takes them.
    found (list[Hypothesis]): The best so far of each part.
    """

    direction: Direction
    parts: Sequence[Pieces]
    wanted: Sequence[Sequence[PartTerm]]
    batch_tokens: int
    settings: dict[str, Any]
    found: list[Hypothesis] = field(default_factory=list)

    def run(self) -> None:
        """Translate freely, then put one missing term after the other into its place, then let the beam find places."""
        own = [_concatenate([term.ids for term in terms]) for terms in self.wanted]
        found = self._search(self.parts, own if any(self.wanted) else None)
        self.found = found
        # So many pieces of each stay as they are
        fixed = [0] * len(found)
        pending = [i for i in range(len(found)) if self._missing(i, found[i])]
        anywhere = []
        while pending:
            rows, prefixes = [], []
            for i in pending:
                place = self._next_place(i, first=fixed[i])
                if place is None:
                    anywhere.append(i)
                    continue
                start, stop, term = place
                fixed[i] = start + len(term.ids)
                prefix = np.concatenate([found[i].ids[:start], term.ids])
                kept = np.concatenate([prefix, found[i].ids[stop:]])
                rows += [i, i]
                # The model cannot go on well from a term that it cannot read in whole
                prefixes += [prefix if term.spelled else kept, kept]
            new = self._search([self.parts[i] for i in rows], [own[i] for i in rows], prefixes)
            for i, free, whole in zip(rows[::2], new[::2], new[1::2], strict=True):
                found[i] = min(free, whole, key=partial(self._badness, i))
            pending = [i for i in rows[::2] if self._missing(i, found[i])]
        self._place_anywhere(anywhere, own)

    def _search(
        self,
        parts: Sequence[Pieces],
        terms: Sequence[NDArray[np.int64]] | None,
        prefixes: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[Hypothesis]:
        found = self.direction.search(
            parts, batch_tokens=self.batch_tokens, terms=terms, prefixes=prefixes, **self.settings
        )
        return [best for best, *_ in found]

    def _badness(self, i: int, hypothesis: Hypothesis) -> tuple[int, bool, float]:
        # Not the mean of the pieces, which is better for translations that say a thing twice
        return len(self._missing(i, hypothesis)), hypothesis.truncated, -hypothesis.score

    def _missing(self, i: int, hypothesis: Hypothesis) -> list[PartTerm]:
        """The terms that are not in a translation of a part."""
        terms = self.wanted[i]
        if not terms:
            return []
        text, _ = with_terms(self.direction, terms, hypothesis)
        lacking = missing_terms(text, [term.term for term in terms], spaced=self.direction.spaced)
        return [term for term in terms if term.term in lacking]

    def _next_place(self, i: int, *, first: int) -> tuple[int, int, PartTerm] | None:
        """Which pieces of a part's translation, from `first` on, to replace by which missing term, the leftmost first.

        RETURNS (tuple[int, int, PartTerm] | None): Start and end of the pieces, and the term; None for no place.
        """
        hypothesis, vocab = self.found[i], self.direction.target_vocab
        ids = hypothesis.ids[hypothesis.ids != vocab.eos]
        starts = [j for j in range(len(ids)) if not j or not self.direction.spaced or not vocab.inside[ids[j]]]
        words = [(a, b) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True) if a >= first]
        places = []
        for term in self._missing(i, hypothesis):
            if not len(term.looked) or not len(term.ids) or not words:
                continue
            looked = hypothesis.weights[:, term.looked].sum(axis=1)
            strength = [float(looked[a:b].mean()) for a, b in words]
            left = right = int(np.argmax(strength))
            if strength[left] < _FOUND:
                continue
            while left and strength[left - 1] > _PART:
                left -= 1
            while right + 1 < len(words) and strength[right + 1] > _PART:
                right += 1
            places.append((words[left][0], words[right][1], term))
        return min(places, key=lambda place: place[:2], default=None)

    def _place_anywhere(self, chosen: Sequence[int], own: Sequence[NDArray[np.int64]]) -> None:
        """Translate parts again, by a beam that finds places for all of their terms."""
        direction = self.direction
        size = max(_BEAM, self.settings["beam_size"])

        def run(batch: list[int]) -> list[Hypothesis]:
            rows = [chosen[i] for i in batch]
            padded = Padded.pad([self.parts[i].ids for i in rows], direction.source_vocab.eos)
            settings = {**self.settings, "beam_size": size}
            options = direction.options(padded, **settings, terms=[own[i] for i in rows])
            continues = direction.target_vocab.inside if direction.spaced else None
            terms = [Terms([term.ids.tolist() for term in self.wanted[i]], continues=continues) for i in rows]
            return term_search(direction.model, padded, options, terms)

        lengths = [(len(self.parts[i]) + 1) * size for i in chosen]
        results = direction.batched(run, lengths, batch_tokens=self.batch_tokens)
        for i, hypothesis in zip(chosen, results, strict=True):
            self.found[i] = min(self.found[i], hypothesis, key=partial(self._badness, i))


def _concatenate(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def with_terms(
    direction: Direction, terms: Sequence[PartTerm], hypothesis: Hypothesis
) -> tuple[str, NDArray[np.int32]]:
    """The text of a hypothesis. Terms that the vocabulary cannot spell are put where those pieces of theirs stand
    that it has.

    RETURNS (str, and int32, (n, 2)): The text, and start and end of each piece in it.
    """
    ids, eos = hypothesis.ids, direction.target_vocab.eos
    text, spans = direction.decode(hypothesis)
    spans = spans.copy()
    after = 0
    for term in terms:
        words = " ".join(term.term.target.split())
        n = len(term.ids)
        if not n or not missing_terms(text, [term.term], spaced=direction.spaced):
            continue
        at = next((j for j in range(after, len(ids) - n + 1) if (ids[j : j + n] == term.ids).all()), None)
        if at is None:
            continue
        before = int(spans[at - 1, 1]) if at else 0
        last = at + n == len(ids) or ids[at + n] == eos
        end = len(text) if last else int(spans[at + n, 0])
        gap = " " if direction.spaced and before else ""
        rest = " " if direction.spaced and not last and direction.target_vocab.starts_word(int(ids[at + n])) else ""
        spans[at + n :] += before + len(gap) + len(words) + len(rest) - end
        spans[at : at + n] = before + len(gap), before + len(gap) + len(words)
        text = f"{text[:before]}{gap}{words}{rest}{text[end:]}"
        after = at + n
    return text, spans
