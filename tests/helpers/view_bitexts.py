"""Bitexts to look at: links and spans set by hand, several scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from click.testing import Result
from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab
from typer.testing import CliRunner

from helpers.paths import ASSETS
from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import ENTS_GROUP, LostSpan, SentencePair
from spacy_xlt.cli import app

VOCAB = Vocab()
ANSI = re.compile(r"\x1b\[[0-9;]*m")
Ent = tuple[int, int, str]


def view(*args: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["view", *map(str, args)])


def stored(write_corpus: Callable[..., Path], bitexts: Iterable[Bitext], name: str = "stored.spacy") -> Path:
    """A corpus of the sources, each with its bitext on it."""
    docs = []
    for one in bitexts:
        one.source._.xlt[one.target_lang] = one
        docs.append(one.source)
    return write_corpus(docs, name)


def side(words: str | Sequence[str], ents: Sequence[Ent] = (), *, scores: Sequence[float] | None = None) -> Doc:
    """A Doc of words between spaces, or of words without spaces between them, with entities and their scores."""
    spaces = None if isinstance(words, str) else [False] * len(words)
    doc = Doc(VOCAB, words=words.split() if isinstance(words, str) else list(words), spaces=spaces)
    spans = [Span(doc, *ent) for ent in ents]
    doc.set_ents(spans, default="outside")
    if scores is not None:
        doc.spans[ENTS_GROUP] = SpanGroup(doc, name=ENTS_GROUP, spans=spans, attrs={"scores": list(scores)})
    return doc


def bitext(source: Doc, target: Doc, links: str | None = None, langs: str = "en pt", **values: Any) -> Bitext:
    """A Bitext with links such as `0-0 1-2`; along the diagonal where left out."""
    if links is None:
        links = " ".join(f"{n}-{n}" for n in range(min(len(source), len(target))))
    source_lang, target_lang = langs.split()
    alignment = Alignment.from_pharaoh(links)
    scores = [round(0.99 - n % 7 / 20, 2) for n in range(len(alignment))]
    return Bitext(
        source=source,
        target=target,
        alignment=Alignment(alignment.links, scores),
        source_lang=source_lang,
        target_lang=target_lang,
        **values,
    )


def lisbon() -> Bitext:
    """A score that is low, a lost span, a flag, and span groups that are nested and cross."""
    source = side("Maria saw the old harbour of Lisbon in May .", [(0, 1, "PER"), (6, 7, "LOC"), (8, 9, "DATE")])
    source.spans["sc"] = [Span(source, 2, 7, "PLACE"), Span(source, 3, 5, "Sight"), Span(source, 6, 9, "TRIP")]
    target = side("Em maio viu o antigo porto de Lisboa .", [(1, 2, "DATE"), (7, 8, "LOC")], scores=[0.97, 0.42])
    return bitext(
        source,
        target,
        "1-2 2-3 3-4 4-5 5-6 6-7 7-0 8-1 9-8",
        lost=[LostSpan(0, 1, "PER", "no_links")],
        sentences=[SentencePair(0, 10, 0, 9, -0.31, ("length_ratio",))],
    )


def arabic() -> Bitext:
    source = side("Layla Haddad visited Cairo in 2019 .", [(0, 2, "PER"), (3, 4, "LOC")])
    target = side("زارت ليلى حداد القاهرة عام 2019 .", [(1, 3, "PER"), (3, 4, "LOC")], scores=[0.98, 0.91])
    return bitext(source, target, "0-1 1-2 2-0 3-3 4-4 5-5 6-6", "en ar")


def hebrew() -> Bitext:
    source = side("Noa lives in Haifa .", [(0, 1, "PER"), (3, 4, "LOC")])
    target = side(["נועה ", "גרה ", "ב", "חיפה", "."], [(0, 1, "PER"), (3, 4, "LOC")], scores=[0.99, 0.95])
    return bitext(source, target, None, "en he")


def chinese() -> Bitext:
    source = side("Li Ming moved to Shanghai last year .", [(0, 2, "PER"), (4, 5, "LOC")])
    target = side(["李明", "去年", "搬", "到", "了", "上海", "。"], [(0, 1, "PER"), (5, 6, "LOC")], scores=[0.96, 0.99])
    return bitext(source, target, "0-0 1-0 2-2 3-3 4-5 5-1 6-1 7-6", "en zh")


def thai() -> Bitext:
    source = side("Somchai lives in Bangkok", [(0, 1, "PER"), (3, 4, "LOC")])
    target = side(["สมชาย", "อาศัย", "อยู่", "ใน", "กรุงเทพฯ"], [(0, 1, "PER"), (4, 5, "LOC")], scores=[0.9, 0.93])
    return bitext(source, target, "0-0 1-1 2-3 3-4", "en th")


def hostile() -> Bitext:
    """Text that would run, or break the page, if it were taken for markup."""
    words = [
        "</script><script>window.ran=1</script>",
        "<img",
        "src=x",
        "onerror=window.ran=1>",
        "<!--",
        "\u2028",
        "&amp;",
    ]
    source, target = (Doc(VOCAB, words=words) for _ in "ab")
    for doc in (source, target):
        doc.set_ents([Span(doc, 0, 1, "<b onclick=window.ran=1>"), Span(doc, 5, 7, '"];window.ran=1//')])
    sentences = [SentencePair(0, len(words), 0, len(words), None, ("<script>window.ran=1</script>",))]
    return bitext(
        source, target, sentences=sentences, lost=[LostSpan(4, 5, "</style>", "<script>window.ran=1</script>")]
    )


def many(n: int) -> Iterator[Bitext]:
    """News sentences of the assets, over and over: a capital letter inside a sentence is an entity."""
    folder = ASSETS / "ntrex"
    texts = [(folder / f"newstest2019-{name}.txt").read_text("utf8").splitlines() for name in ("src.eng", "ref.por-BR")]
    pairs = list(zip(*texts, strict=True))
    for number in range(n):
        docs = []
        for text in pairs[number % len(pairs)]:
            words = text.split() or ["–"]
            ents = [(i, i + 1, "ORG") for i, word in enumerate(words) if i and word[0].isupper()]
            docs.append(side(text or "–", ents, scores=[0.9] * len(ents)))
        lost = [LostSpan(*(0, 1), "ORG", "no_links")] if number % 100 == 7 else []
        yield bitext(*docs, lost=lost)


def long_sentence(n: int = 5000) -> Bitext:
    """A sentence of that many tokens, with overlapping spans all along."""
    words = " ".join(f"word{i}" for i in range(n))
    ents = [(i, i + 3, "ORG") for i in range(0, n - 3, 10)]
    source, target = side(words, ents), side(words, ents, scores=[0.8] * len(ents))
    source.spans["sc"] = [Span(source, i, i + 8, "LONG") for i in range(0, n - 8, 6)]
    return bitext(source, target)
