"""Which words of a sentence can give way to which words of its translation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .stored import Range, Side

Links = Sequence[tuple[int, int, float]]
Spans = Sequence[tuple[str, int, int]]


class Swap(NamedTuple):
    """Token ranges `[start, end)` here and there that say the same."""

    here: Range
    there: Range


class LinkTable:
    """The links of a sentence pair, asked for by ranges of words.

    links (Links): Index here, index there, score.
    n_here, n_there (int): Words of both sides.
    """

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
        found = [j for i in range(*here) for j, _ in self.to_there[i]]
        back = [i for j in range(*there) for i in self.to_here[j]]
        return (
            bool(found) and all(there[0] <= j < there[1] for j in found) and all(here[0] <= i < here[1] for i in back)
        )

    def weakest(self, here: Range) -> float:
        """The lowest score of a link from a range of words here; they must have one."""
        return min(score for i in range(*here) for _, score in self.to_there[i])

    def phrases(self, most_words: int) -> Iterator[Swap]:
        """All pairs of ranges that are consistent, whose first and last words are linked, of a few words each.

        most_words (int): The most words on either side.
        """
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

    here, there (Side): Both sides; `here.spans` are those of the example.
    most_words (int): The most words on either side of a swap that is not an entity.
    entities (bool): Whether entities are swapped.
    min_score (float): Every link of a swap has at least this score.
    RETURNS (list[Swap]): Those may overlap; two that do not overlap here do not overlap there.
    """
    table = LinkTable(links, len(here.words), len(there.words))
    found = list(dict.fromkeys([*table.phrases(most_words), *_entity_swaps(table, here.spans, there)]))
    compared = {key for key, *_ in there.spans} | ({"ents"} if there.annotated else set())
    result = []
    for swap in found:
        around = _around(here.spans, swap.here), _around(there.spans, swap.there)
        if around[0] is None or around[1] is None or _words(here, swap.here) == _words(there, swap.there):
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
        known = entities if there.annotated else [(min(places), max(places) + 1)] if places else []
        yield from (Swap(mine, theirs) for theirs in known if table.consistent(mine, theirs))


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


def _words(side: Side, place: Range) -> list[str]:
    return side.words[place[0] : place[1]]
