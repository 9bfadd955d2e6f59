"""Bitexts whose projection is known: names put into real sentence pairs, on both sides."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import spacy
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from helpers.paths import ASSETS
from spacy_xlt import Alignment, Bitext

FILES = {"pt": "por-BR", "de": "deu", "ru": "rus", "zh": "zho-CN"}
# Japanese and Thai are not in assets/
OWN = {
    "ja": "政府は来年度の予算案について野党と話し合いを続けると発表した。",
    "th": "รัฐบาลประกาศว่าจะหารือเรื่องงบประมาณปีหน้ากับฝ่ายค้านต่อไป",
}
# Each name and what it is in the other language, and a part of it
NAMES = {
    "pt": [("University of Lisbon", "Universidade de Lisboa"), ("Maria Silva", "Maria Silva"), ("Germany", "Alemanha")],
    "de": [
        ("University of Lisbon", "Universität Lissabon"),
        ("Maria Silva", "Maria Silva"),
        ("Germany", "Deutschland"),
    ],
    "ru": [("University of Lisbon", "университет Лиссабона"), ("Maria Silva", "Мария Силва"), ("Germany", "Германия")],
    "zh": [("University of Lisbon", "里斯本大学"), ("Maria Silva", "玛丽亚·席尔瓦"), ("Germany", "德国")],
    "ja": [("University of Lisbon", "リスボン大学"), ("Maria Silva", "マリア・シルヴァ"), ("Germany", "ドイツ")],
    "th": [("University of Lisbon", "มหาวิทยาลัยลิสบอน"), ("Maria Silva", "มาเรีย ซิลวา"), ("Germany", "เยอรมนี")],
}
PARTS = {
    "pt": ("Lisbon", "Lisboa"),
    "de": ("Lisbon", "Lissabon"),
    "ru": ("Lisbon", "Лиссабона"),
    "zh": ("Lisbon", "里斯本"),
    "ja": ("Lisbon", "リスボン"),
    "th": ("Lisbon", "ลิสบอน"),
}
# What stands behind a name on the target, in one token with it where words are cut at spaces
GLUE = ("", ",", ".", "!", "”", "…")


# The key of the span group with the names
KEY = "gold"


class GoldBitext(NamedTuple):
    """A bitext with spans in a group, the target tokens of each, and the words that a model is to say for it."""

    bitext: Bitext
    places: list[tuple[int, int]]
    says: dict[tuple[str, int, int, str], str]


class _Unit(NamedTuple):
    """A word or a character of a sentence, or the n-th mention of a name in it."""

    text: str
    name: int | None = None
    n: int = 0


def gold_bitext(seed: int, lang: str, cut: Callable[[str], Doc] | None = None, *, links: bool = False) -> GoldBitext:
    """A sentence of NTREX and its translation with names in them: several times, one in another, punctuation glued.

    Args:
        seed: Which names are where.
        lang: The target language.
        cut: Cuts a target without spaces into tokens; into characters where left out.
        links: Whether the names are linked, and the other words in their order.
    """
    draw = random.Random(f"{lang} {seed}")
    source, target = _sentences(lang)[seed % len(_sentences(lang))]
    gap = " " if " " in target else ""
    choices = [*NAMES[lang], PARTS[lang]]
    names = draw.choices(range(len(choices)), k=draw.randint(1, 5))
    first = _with_names(source.split(), names, [name for name, _ in choices], draw)
    glue = GLUE if gap else ("",)
    second = _with_names(target.split() if gap else _letters(target), names, [name for _, name in choices], draw, glue)
    source_doc = Doc(_vocab("en"), words=" ".join(unit.text for unit in first).split())
    text = gap.join(unit.text for unit in second)
    vocab = _vocab(lang)
    doc = (
        cut(text)
        if cut
        else Doc(vocab, words=text.split() if gap else list(text), spaces=None if gap else [False] * len(text))
    )
    in_source, in_target = _characters(first, " "), _characters(second, gap)
    spans: list[tuple[tuple[int, int], tuple[int, int], str]] = []
    for (name, n), start in in_source.items():
        there = in_target[name, n]
        pairs = [choices[name]]
        if name == 0 and draw.random() < 0.7:
            pairs.append(PARTS[lang])
        # A second mention may be no span
        if name == 0 or n == 0 or draw.random() < 0.8:
            for word, other in pairs:
                a, b = start + choices[name][0].index(word), there + choices[name][1].index(other)
                spans.append(((a, a + len(word)), (b, b + len(other)), other))
    ranges = [_tokens(source_doc, *span) for span, _, _ in spans]
    places = [_tokens(doc, *place) for _, place, _ in spans]
    source_doc.spans[KEY] = [Span(source_doc, *tokens, label="X") for tokens in ranges]
    says = {(source_doc.text.strip(), *span, " ".join(doc.text.split())): words for span, _, words in spans}
    alignment = Alignment(_links(ranges, places, len(source_doc), len(doc))) if links else Alignment()
    return GoldBitext(Bitext(source_doc, doc, alignment, "en", lang), places, says)


def _with_names(
    words: Sequence[str], names: Sequence[int], texts: Sequence[str], draw: random.Random, glue: Sequence[str] = ("",)
) -> list[_Unit]:
    """Words with names between them, in any order, and what is glued to these."""
    units = [_Unit(word) for word in words]
    order = draw.sample(list(names), len(names))
    counts: Counter[int] = Counter()
    gaps = sorted(draw.sample(range(0, len(words), 2), len(names)))
    for shift, (gap, name) in enumerate(zip(gaps, order, strict=True)):
        units.insert(gap + shift, _Unit(texts[name] + draw.choice(glue), name, counts[name]))
        counts[name] += 1
    return units


def _letters(text: str) -> list[str]:
    """Characters with the marks that stand on them."""
    letters: list[str] = []
    for char in text:
        if letters and unicodedata.category(char) == "Mn":
            letters[-1] += char
        else:
            letters.append(char)
    return letters


def _characters(units: Sequence[_Unit], gap: str) -> dict[tuple[int, int], int]:
    """Where each mention of a name begins."""
    places, length = {}, 0
    for unit in units:
        if unit.name is not None:
            places[unit.name, unit.n] = length
        length += len(unit.text) + len(gap)
    return places


def _tokens(doc: Doc, start: int, end: int) -> tuple[int, int]:
    """The tokens that some characters are in."""
    inside = [token.i for token in doc if token.idx < end and token.idx + len(token) > start]
    return inside[0], inside[-1] + 1


def _links(
    ranges: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]], n_source: int, n_target: int
) -> list[tuple[int, int]]:
    """Each token of a name to all of the other, of one in another to that, and the other words in order."""
    pairs = sorted(zip(ranges, places, strict=True), key=lambda pair: pair[0][0] - pair[0][1])
    owners: list[dict[int, int]] = [{}, {}]
    for n, pair in enumerate(pairs):
        for owner, tokens in zip(owners, pair, strict=True):
            owner.update(dict.fromkeys(range(*tokens), n))
    links = {(i, j) for i, n in owners[0].items() for j, m in owners[1].items() if n == m}
    rest = [
        [i for i in range(n) if not any(start <= i < end for start, end in taken)]
        for n, taken in ((n_source, ranges), (n_target, places))
    ]
    return sorted(links | {(i, rest[1][k * len(rest[1]) // len(rest[0])]) for k, i in enumerate(rest[0])})


@cache
def _sentences(lang: str) -> list[tuple[str, str]]:
    """Pairs of sentences without the names."""
    sources = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()
    if lang in OWN:
        targets = [OWN[lang]] * len(sources)
    else:
        targets = (ASSETS / "ntrex" / f"newstest2019-ref.{FILES[lang]}.txt").read_text(encoding="utf8").splitlines()
    pairs = [(" ".join(a.split()), " ".join(b.split())) for a, b in zip(sources, targets, strict=True)]
    names = [name for pair in (*NAMES[lang], PARTS[lang]) for name in pair]
    # Short ones are enough, and some characters in a Chinese sentence are Latin words with spaces
    return [
        (a, b if lang in FILES and lang != "zh" else "".join(b.split()))
        for a, b in pairs
        if 12 <= len(a.split()) <= 30 and len(b.split()) >= (12 if lang in ("pt", "de", "ru") else 1)
        if not any(name in a or name in b for name in names)
    ]


@cache
def _vocab(lang: str) -> Vocab:
    return spacy.blank(lang if lang in ("en", *FILES) and lang != "ru" else "xx").vocab
