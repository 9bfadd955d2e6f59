"""`spacy_xlt.code_switch.v1`: sentences in which some words are those of their translation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ...docs import Replacement, missing_ranges, sentence_ranges
from ...docs import edit as replaced
from ...errors import error, warn
from ...languages import to_spacy
from ..augmenting import checked_share, example_like
from .phrases import Swap, possible_swaps
from .stored import BitextIndex, StoredPair, side_of

# After so many sentences of which none is in the bitexts, something is wrong with the setting.
_ENOUGH = 200


class CodeSwitcher:
    """Swaps words of a document for those of its translation, along the word links of a bitext.

    bitexts (str | Path): Where the bitexts are; see BitextIndex. Both sides are found: the source, and the projected
        corpus. A sentence is found by its tokens, so one whose words were changed or shortened stays as it is.
    share (float): Share of the documents that are changed.
    words (float): Share of a document's words that are swapped, where so many can be.
    unit (str): "word", one for one, or "phrase", a few words for a few others.
    max_words (int): The most words of a phrase, on either side.
    entities (bool): Whether entities are swapped too: whole ones, for the projected entity that corresponds.
    min_score (float): Only along links with at least this score, as the aligner gives it.
    langs (Sequence[str] | None): Only translations into these languages; None for any.
    keep_original (bool): Give the document as it was beside the changed one.
    RAISES (XltError): E601 for a setting that cannot be; E010 for an unknown language.
    """

    # The words of a corpus are those of its bitexts only as long as no other augmenter changed them
    before_others = True

    def __init__(
        self,
        bitexts: str | Path,
        *,
        share: float = 0.3,
        words: float = 0.3,
        unit: str = "phrase",
        max_words: int = 4,
        entities: bool = True,
        min_score: float = 0.0,
        langs: Sequence[str] | None = None,
        keep_original: bool = False,
    ):
        self.share, self.words = checked_share("share", share), checked_share("words", words)
        if unit not in ("word", "phrase"):
            raise error("E601", setting="unit", value=unit, expected='"word" or "phrase"')
        if isinstance(max_words, bool) or not isinstance(max_words, int) or max_words < 1:
            raise error("E601", setting="max_words", value=max_words, expected="a number from 1")
        self.index = BitextIndex(bitexts)
        self.max_words = 1 if unit == "word" else max_words
        self.entities = entities
        self.min_score = float(min_score)
        self.langs = None if langs is None else {to_spacy(lang) for lang in langs}
        self.keep_original = keep_original
        self.n_sought = self.n_found = 0

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example, or what it becomes.

        RAISES (XltError): E502, E503, E504, E515 and E651 where `bitexts` is not a folder of bitexts with links.
        """
        if random.random() >= self.share:
            yield example
            return
        replacements = self.replacements(example.reference)
        if self.keep_original or not replacements:
            yield example
        if replacements:
            yield example_like(nlp, example, replaced(example.reference, replacements))

    def replacements(self, doc: Doc) -> list[Replacement]:
        """Draw what is swapped in a document, with Python's `random`, which spaCy seeds.

        RETURNS (list[Replacement]): In order, without overlap.
        """
        result = []
        missing = {i for start, end in missing_ranges(doc) for i in range(start, end)}
        for start, end in sentence_ranges(doc) if doc.has_annotation("SENT_START") else [(0, len(doc))]:
            pair = self._draw_pair([doc[i].text for i in range(start, end)])
            if pair is None:
                continue
            unknown = {j for s, e in pair.there.missing for j in range(s, e)} if pair.there.annotated else set()
            for here, there in self._draw_swaps(doc, start, end, pair):
                old = range(start + here[0], start + here[1])
                # What either side does not know, the result does not know
                all_unknown = not missing.isdisjoint(old)
                result.append(
                    Replacement(
                        old.start,
                        old.stop,
                        pair.there.words[there[0] : there[1]],
                        pair.there.spaces[there[0] : there[1]],
                        [all_unknown or j in unknown for j in range(*there)],
                    )
                )
        return result

    def _draw_pair(self, words: Sequence[str]) -> StoredPair | None:
        pairs = self.index.find(words)
        self.n_sought += 1
        self.n_found += bool(pairs)
        if self.n_sought == _ENOUGH and not self.n_found:
            warn("W650", n=_ENOUGH, path=self.index.path)
        pairs = [pair for pair in pairs if self.langs is None or to_spacy(pair.lang) in self.langs]
        return random.choice(pairs) if pairs else None

    def _draw_swaps(self, doc: Doc, start: int, end: int, pair: StoredPair) -> list[Swap]:
        possible = possible_swaps(
            pair.links,
            side_of(doc, start, end),
            pair.there,
            most_words=self.max_words,
            entities=self.entities,
            min_score=self.min_score,
        )
        random.shuffle(possible)
        taken: list[Swap] = []
        used: set[int] = set()
        budget = self.words * (end - start)
        for swap in possible:
            places = range(*swap.here)
            if not used.isdisjoint(places):
                continue
            # Of a swap that is larger than what is left, so large a share: right on the average, also in short texts
            if random.random() * len(places) >= budget - len(used):
                break
            taken.append(swap)
            used.update(places)
        return sorted(taken)


def create_code_switch(
    bitexts: str | Path | None,
    share: float = 0.3,
    words: float = 0.3,
    unit: str = "phrase",
    max_words: int = 4,
    entities: bool = True,
    min_score: float = 0.0,
    langs: Sequence[str] | None = None,
    keep_original: bool = False,
) -> CodeSwitcher:
    """Registered augmenter `spacy_xlt.code_switch.v1`. See CodeSwitcher.

    RAISES (XltError): E601 for a setting that cannot be, among them no bitexts.
    """
    if bitexts is None:
        raise error("E601", setting="bitexts", value=None, expected="a folder that `spacy xlt build` wrote")
    return CodeSwitcher(
        bitexts,
        share=share,
        words=words,
        unit=unit,
        max_words=max_words,
        entities=entities,
        min_score=min_score,
        langs=langs,
        keep_original=keep_original,
    )
