"""How well two independent annotations of the same sentences can agree at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from spacy.tokens import Doc


def count_agreement(pairs: Iterable[tuple[Doc, Doc]]) -> float:
    """F1 of the numbers of entities of each type, sentence by sentence.

    Where the two sides of a bitext were annotated apart, one has entities that the other lacks. A projection gives each
    entity of the source at most one in the target, so that its F1 cannot pass this unless it loses the right ones.

    pairs (Iterable[tuple[Doc, Doc]]): A document and its translation, both with entities.
    RETURNS (float): Between 0 and 1; 0 where neither side has an entity.
    """
    matched = in_source = in_target = 0
    for source, target in pairs:
        first, second = (Counter(ent.label_ for ent in doc.ents) for doc in (source, target))
        matched += (first & second).total()
        in_source += first.total()
        in_target += second.total()
    return 2 * matched / (in_source + in_target) if in_source + in_target else 0.0
