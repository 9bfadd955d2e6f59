"""Small sources for mixed corpora."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_xlt.training.readers import MixedCorpus


@pytest.fixture
def numbered(write_corpus) -> Callable[[str, int], str]:
    """A corpus of n documents, each of its own words."""

    def make(name: str, n: int) -> str:
        vocab = spacy.blank("pt").vocab
        docs = [Doc(vocab, words=["Maria", f"{name}{i}", "canta"]) for i in range(n)]
        for doc in docs:
            doc.set_ents([Span(doc, 0, 1, label="PER")], default="outside")
        return str(write_corpus(docs, f"{name}.spacy"))

    return make


def mixed(blocks: dict[str, Any], **settings: Any) -> MixedCorpus:
    return MixedCorpus(sources=blocks, **settings)


def texts(corpus: MixedCorpus, nlp: Language) -> list[str]:
    return [eg.reference[1].text for eg in corpus(nlp)]


def source(path: str | Path, /, **settings: Any) -> dict[str, Any]:
    return {"path": str(path), "lang": "xx"} | settings
