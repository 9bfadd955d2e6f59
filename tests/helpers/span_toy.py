"""A toy language pair of three patterns and ten names, for generators of candidates."""

from __future__ import annotations

import random

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from helpers.tiny_scorer import EN, PT

PEOPLE = ["Maria", "Rui", "John", "Ann", "Peter"]
PLACES = ["Lisboa", "New York", "Rio", "Lima", "Porto"]
ENGLISH = ["{p} lives in {l} .", "in {l} I saw {p} today", "{p} and {q} left {l}"]
# In the last one, the order of the names is another
PORTUGUESE = ["{p} mora em {l} .", "em {l} vi hoje {p}", "{l} foi onde {p} e {q} ficaram"]


def make_pairs(n: int, *, seed: int) -> list[tuple[Doc, Doc]]:
    """English and Portuguese sentences that say the same, both with their entities."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(n):
        pattern = rng.randrange(len(ENGLISH))
        p, q = rng.sample(PEOPLE, 2)
        names = {"{p}": p, "{q}": q, "{l}": rng.choice(PLACES)}
        pairs.append((_doc(EN, ENGLISH[pattern], names), _doc(PT, PORTUGUESE[pattern], names)))
    return pairs


def _doc(vocab: Vocab, pattern: str, names: dict[str, str]) -> Doc:
    words: list[str] = []
    ents = []
    for word in pattern.split():
        filling = names.get(word, word).split()
        if word in names:
            ents.append((len(words), len(words) + len(filling), "LOC" if word == "{l}" else "PER"))
        words += filling
    doc = Doc(vocab, words=words)
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in ents], default="outside")
    return doc
