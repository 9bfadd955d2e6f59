"""`spacy_xlt.code_switch.v1`: sentences in which some words are those of their translation."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..bitext import Bitext, SentencePair, is_annotation
from ..docs import Replacement, edit, missing_ranges, sentence_ranges
from ..engine import Engine, invalid_setting, setting
from ..errors import error
from ..readers.docbin import read_docs
from .augment import example_like

# Where a build stores its bitexts, in its folder
BITEXT = "bitext"

Range = tuple[int, int]
Links = Sequence[tuple[int, int, float]]
Spans = Sequence[tuple[str, int, int]]


class Side(NamedTuple):
    """One side of a sentence pair.

    Attributes:
        words: Its tokens.
        spaces: Whether white space follows each.
        spans: Key and token range `[start, end)` of entities ("ents") and spans of groups.
        missing: Tokens whose entity annotation is missing.
        annotated: Whether it has entity annotation at all.
    """

    words: list[str]
    spaces: list[bool]
    spans: list[tuple[str, int, int]]
    missing: set[int]
    annotated: bool


class Pair(NamedTuple):
    """A sentence, its translation and their word links.

    Attributes:
        there: The translation.
        links: Token index here, token index there, score.
    """

    there: Side
    links: list[tuple[int, int, float]]


class Swap(NamedTuple):
    """Token ranges `[start, end)` here and there that say the same."""

    here: Range
    there: Range


@dataclass(kw_only=True, eq=False)
class CodeSwitch(Engine):
    """Registered augmenter `spacy_xlt.code_switch.v1`: swaps words for those of their translation, along word links.

    Put it first in a chain: a sentence is found by its tokens, so one whose words were changed or shortened stays as
    it is. The bitexts are in memory.

    Args:
        bitexts: What `spacy xlt build` wrote, or a `.spacy` file of documents with stored bitexts. Both sides are
            found: the source, and the projected corpus.
        share: Share of the documents that are changed.
        words: Share of a document's words that are swapped, where so many can be.
        max_words: The most words of a phrase that is swapped, on either side; 1 for one word for another.
        entities: Whether entities are swapped too: whole ones, for the projected entity that corresponds.
        min_score: Only along links with at least this score, as the aligner gives it.

    Raises:
        XltError: E150 for an invalid setting; when called, E502, E503, E504, E515 and E651 where `bitexts` is not a
            folder of bitexts with links.
    """

    bitexts: str | Path | None
    share: float = setting(0.3, ge=0, le=1)
    words: float = setting(0.3, ge=0, le=1)
    max_words: int = setting(4, ge=1)
    entities: bool = True
    min_score: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bitexts is None:
            expected = "a folder that `spacy xlt build` wrote"
            raise invalid_setting("spacy_xlt.code_switch.v1", "bitexts", None, expected)
        self._pairs: dict[tuple[str, ...], list[Pair]] | None = None

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example, or what it becomes."""
        replacements = self.replacements(example.reference) if random.random() < self.share else []
        yield example_like(nlp, example, edit(example.reference, replacements)) if replacements else example

    def replacements(self, doc: Doc) -> list[Replacement]:
        """Draw what is swapped in a document, with Python's `random`, which spaCy seeds.

        Returns:
            In order, without overlap.
        """
        if self._pairs is None:
            self._pairs = read_pairs(str(self.bitexts))
        result = []
        for start, end in sentence_ranges(doc) if doc.has_annotation("SENT_START") else [(0, len(doc))]:
            here = side_of(doc, start, end)
            pairs = self._pairs.get(tuple(here.words))
            if not pairs:
                continue
            pair = random.choice(pairs)
            unknown = pair.there.missing if pair.there.annotated else set()
            for mine, theirs in self._draw_swaps(here, pair):
                # What either side does not know, the result does not know
                all_unknown = not here.missing.isdisjoint(range(*mine))
                missing = [all_unknown or j in unknown for j in range(*theirs)]
                words, spaces = pair.there.words[slice(*theirs)], pair.there.spaces[slice(*theirs)]
                result.append(Replacement(start + mine[0], start + mine[1], words, spaces, missing))
        return result

    def _draw_swaps(self, here: Side, pair: Pair) -> list[Swap]:
        possible = possible_swaps(
            pair.links,
            here,
            pair.there,
            most_words=self.max_words,
            entities=self.entities,
            min_score=self.min_score,
        )
        random.shuffle(possible)
        taken: list[Swap] = []
        used: set[int] = set()
        budget = self.words * len(here.words)
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


def read_pairs(path: str | Path) -> dict[tuple[str, ...], list[Pair]]:
    """The sentences of both sides of all bitexts in a folder, by their tokens.

    Args:
        path: What `spacy xlt build` wrote, or a `.spacy` file of documents with stored bitexts.

    Raises:
        XltError: E502, E503, E504 for the path; E515 without bitexts, E651 without links.
    """
    path = Path(path)
    path = path / BITEXT if (path / BITEXT).is_dir() else path
    pairs: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for doc in read_docs(path):
        for bitext in doc._.xlt.values():
            for source, target, links in _sentence_pairs(bitext):
                turned = [(j, i, score) for i, j, score in links]
                pairs[tuple(source.words)].append(Pair(target, links))
                pairs[tuple(target.words)].append(Pair(source, turned))
    if not pairs:
        raise error("E515", path=path)
    if not any(pair.links for found in pairs.values() for pair in found):
        raise error("E651", path=path)
    return dict(pairs)


def _sentence_pairs(bitext: Bitext) -> Iterator[tuple[Side, Side, list[tuple[int, int, float]]]]:
    pairs = list(bitext.sentences)
    unsplit = not (bitext.source.has_annotation("SENT_START") and bitext.target.has_annotation("SENT_START"))
    if len(pairs) > 1 and unsplit:
        # Who reads such a document sees it as one sentence
        pairs.append(SentencePair(0, len(bitext.source), 0, len(bitext.target)))
    for pair in pairs:
        links = bitext.alignment.between(pair.source, pair.target)
        rows = zip(links.links.tolist(), links.scores.tolist(), strict=True)
        scored = [(i, j, score) for (i, j), score in rows]
        yield side_of(bitext.source, *pair.source), side_of(bitext.target, *pair.target), scored


def side_of(doc: Doc, start: int, end: int) -> Side:
    """One side of a sentence pair, from the tokens `[start, end)` of a document.

    Spans that reach out of the sentence are there too, with an end outside it.
    """

    def inside(spans: Iterable[Span]) -> list[Range]:
        return [(span.start - start, span.end - start) for span in spans if span.start < end and span.end > start]

    groups = [("ents", doc.ents), *((key, group) for key, group in doc.spans.items() if is_annotation(key))]
    return Side(
        words=[doc[i].text for i in range(start, end)],
        spaces=[bool(doc[i].whitespace_) for i in range(start, end)],
        spans=[(key, *place) for key, group in groups for place in inside(group)],
        missing={i - start for s, e in missing_ranges(doc) for i in range(max(s, start), min(e, end))},
        annotated=doc.has_annotation("ENT_IOB"),
    )


class LinkTable:
    """The links of a sentence pair, asked for by ranges of words."""

    def __init__(self, links: Links, n_here: int, n_there: int):
        self.to_there: list[list[tuple[int, float]]] = [[] for _ in range(n_here)]
        self.to_here: list[list[int]] = [[] for _ in range(n_there)]
        for i, j, score in links:
            self.to_there[i].append((j, score))
            self.to_here[j].append(i)

    def consistent(self, here: Range, there: Range) -> bool:
        """Whether some link joins two ranges, and none leads from either out of the other.

        The condition of phrase-based translation (Och and Ney 2004, *The Alignment Template Approach*).
        """
        forward = [j for i in range(*here) for j, _ in self.to_there[i]]
        back = [i for j in range(*there) for i in self.to_here[j]]
        inside = all(there[0] <= j < there[1] for j in forward) and all(here[0] <= i < here[1] for i in back)
        return bool(forward) and inside

    def weakest(self, here: Range) -> float:
        """The lowest score of a link from a range of words here; they must have one."""
        return min(score for i in range(*here) for _, score in self.to_there[i])

    def phrases(self, most_words: int) -> Iterator[Swap]:
        """All consistent pairs of ranges of at most `most_words` each whose first and last words are linked."""
        for start, links in enumerate(self.to_there):
            low, high = len(self.to_here), -1
            for end in range(start + 1, min(start + most_words, len(self.to_there)) + 1) if links else ():
                places = [j for j, _ in self.to_there[end - 1]]
                low, high = min([low, *places]), max([high, *places])
                if high - low >= most_words:
                    break
                if places and self.consistent((start, end), (low, high + 1)):
                    yield Swap((start, end), (low, high + 1))


def possible_swaps(
    links: Links,
    here: Side,
    there: Side,
    *,
    most_words: int = 4,
    entities: bool = True,
    min_score: float = 0.0,
) -> list[Swap]:
    """The swaps after which every entity and every span is still whole, and right.

    Words in an entity are swapped all together, for the entity that corresponds to it, or not at all. Elsewhere, what
    is swapped lies in spans of the same groups on both sides, and never holds the end of one.

    Args:
        links: Index here, index there, score.
        here: The sentence of the example, with its spans.
        there: Its translation.
        most_words: The most words on either side of a swap that is not an entity.
        entities: Whether entities are swapped.
        min_score: The least score of a link of a swap.

    Returns:
        Those may overlap; two that do not overlap here do not overlap there.
    """
    table = LinkTable(links, len(here.words), len(there.words))
    candidates = list(dict.fromkeys([*table.phrases(most_words), *_entity_swaps(table, here.spans, there)]))
    compared = {key for key, *_ in there.spans} | ({"ents"} if there.annotated else set())
    result = []
    for swap in candidates:
        around = _around(here.spans, swap.here), _around(there.spans, swap.there)
        same_words = here.words[slice(*swap.here)] == there.words[slice(*swap.there)]
        if around[0] is None or around[1] is None or same_words:
            continue
        mine, theirs = ({k: n for k, n in keys.items() if k in compared} for keys in around if keys is not None)
        if mine == theirs and (entities or "ents" not in around[0]) and table.weakest(swap.here) >= min_score:
            result.append(swap)
    return result


def _entity_swaps(table: LinkTable, here: Spans, there: Side) -> Iterator[Swap]:
    entities = _entities(there.spans, len(there.words))
    for mine in _entities(here, len(table.to_there)):
        places = [j for i in range(*mine) for j, _ in table.to_there[i]]
        # Where the other side is not annotated, the links alone say what corresponds
        candidates = entities if there.annotated else [(min(places), max(places) + 1)] if places else []
        yield from (Swap(mine, theirs) for theirs in candidates if table.consistent(mine, theirs))


def _entities(spans: Spans, n_words: int) -> list[Range]:
    return [(start, end) for key, start, end in spans if key == "ents" and 0 <= start and end <= n_words]


def _around(spans: Spans, place: Range) -> Counter[str] | None:
    """The keys of the spans that a range lies in; None where it holds the end of one, or a part of an entity."""
    keys: Counter[str] = Counter()
    for key, start, end in spans:
        if end <= place[0] or place[1] <= start:
            continue
        if not (start <= place[0] and place[1] <= end) or (key == "ents" and (start, end) != place):
            return None
        keys[key] += 1
    return keys
