"""A small build in two languages that has what makes builds hard: copies, losses, empty targets, unknown annotation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_xlt.bitext import Alignment, Bitext, SentencePair
from spacy_xlt.languages import blank

DOCS_PER_SHARD = 4
N_DOCS = 14
# Documents whose target in Portuguese loses a sentence, loses all of them, has no annotation, is partly unknown
CUT, EMPTY, UNKNOWN, PARTLY, COPY, ONLY_PT, GROUPED = range(1, 8)


def _doc(lang: str, text: str, sents: Sequence[int] = ()) -> Doc:
    words = text.split()
    starts = [i == 0 or i in sents for i in range(len(words))] if sents else None
    return Doc(blank(lang).vocab, words=words, sent_starts=starts)


def _with_bitexts(source: Doc, *, langs: Sequence[str] = ("pt", "es"), linked: int) -> Doc:
    # What follows the words that are linked is translated by nothing that resembles it
    links = [(i, i) for i in range(linked)]
    sents = [sent.start for sent in source.sents] if source.has_annotation("SENT_START") else []
    edges = [*(sents or [0]), len(source)]
    pairs = [SentencePair(a, b, a, b, -0.25) for a, b in zip(edges, edges[1:], strict=False)]
    for lang in langs:
        target = _doc(
            lang, " ".join(f"{token.text if token.i < linked else 'other'}-{lang}" for token in source), sents
        )
        source._.xlt[lang] = Bitext(source, target, Alignment(links, [0.5] * len(links)), sentences=pairs)
    return source


def make_docs() -> list[Doc]:
    """The input, in which every source document stores its translations."""
    docs = []
    for i in range(N_DOCS):
        doc = _doc("en", f"Maria saw Rio {i} .")
        doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "LOC")], default="outside")
        docs.append(doc)
    docs[CUT] = _doc("en", "Maria sleeps . In Rio .", [3])
    docs[CUT].set_ents([Span(docs[CUT], 0, 1, "PER"), Span(docs[CUT], 4, 5, "LOC")], default="outside")
    docs[EMPTY] = _doc("en", "In Rio")
    docs[EMPTY].set_ents([Span(docs[EMPTY], 1, 2, "LOC")], default="outside")
    docs[UNKNOWN] = _doc("en", "Nobody looked here")
    docs[PARTLY] = _doc("en", "Maria and perhaps others")
    docs[PARTLY].set_ents([Span(docs[PARTLY], 0, 1, "PER")], missing=[docs[PARTLY][2:4]], default="outside")
    docs[COPY] = _doc("en", "Maria saw Rio 0 .")
    docs[COPY].set_ents([Span(docs[COPY], 0, 1, "PER"), Span(docs[COPY], 2, 3, "LOC")], default="outside")
    docs[GROUPED].spans["sc"] = SpanGroup(docs[GROUPED], name="sc", spans=[Span(docs[GROUPED], 0, 3, "FACT")])
    linked = {CUT: 3, EMPTY: 0}
    for i, doc in enumerate(docs):
        _with_bitexts(doc, langs=["pt"] if i == ONLY_PT else ["pt", "es"], linked=linked.get(i, len(doc)))
    return docs


@pytest.fixture(scope="session")
def build_shards(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Build the input in shards of a size, once for each size: the folder, to be read only."""
    from spacy_xlt.build.builder import build as build_corpus

    root = tmp_path_factory.mktemp("shards")
    DocBin(docs=make_docs(), store_user_data=True).to_disk(root / "corpus.spacy")

    def build(size: int = DOCS_PER_SHARD) -> Path:
        if not (root / str(size)).exists():
            nlp = spacy.blank("en")
            nlp.add_pipe("xlt_projector", config={"on_lost": "drop"})
            build_corpus(nlp, root / "corpus.spacy", root / str(size), docs_per_shard=size)
        return root / str(size)

    return build


@pytest.fixture
def built_shards(build_shards: Callable[[int], Path], tmp_path: Path) -> Path:
    """A build of the input, to be spoilt."""
    return Path(shutil.copytree(build_shards(DOCS_PER_SHARD), tmp_path / "built"))


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of all files in a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
