"""A pipeline of `xlt_ner` on an encoder with random weights, and examples that it learns by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Optimizer

Annotated = tuple[str, list[tuple[int, int, str]]]
SENTENCES: list[Annotated] = [
    ("Maria lives in Lisbon .", [(0, 1, "PER"), (3, 4, "LOC")]),
    ("Lisbon is far .", [(0, 1, "LOC")]),
    ("Maria Silva sings .", [(0, 2, "PER")]),
    ("The Bank of Lisbon is in New York .", [(1, 4, "ORG"), (6, 8, "LOC")]),
    ("Nobody is there .", []),
]


def make_doc(nlp: Language, text: str, ents: Sequence[tuple[int, int, str]] | None = None) -> Doc:
    """A document of words between spaces; without `ents` its annotation is missing."""
    doc = Doc(nlp.vocab, words=text.split())
    if ents is not None:
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
    return doc


def make_examples(nlp: Language, sentences: Sequence[Annotated] = SENTENCES) -> list[Example]:
    return [Example(make_doc(nlp, text), make_doc(nlp, text, ents)) for text, ents in sentences]


def make_ner(
    encoder: Path, *, examples: Sequence[Annotated] = SENTENCES, init: Any = None, **settings: Any
) -> Language:
    """An initialized pipeline. Its encoder drops nothing, so that two trainings can be compared."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner", config=settings)
    nlp.config["initialize"]["components"]["xlt_ner"] = {"encoder": str(encoder), **(init or {})}
    nlp.initialize(lambda: make_examples(nlp, examples))
    drop_nothing(nlp.get_pipe("xlt_ner").model.transformer)
    return nlp


def drop_nothing(encoder: Any) -> None:
    for module in encoder.modules():
        if hasattr(module, "p"):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0


def make_optimizer(rate: float = 0.005, **settings: Any) -> Optimizer:
    return Optimizer(rate, **{"L2": 0.01, "grad_clip": 1.0, "use_averages": False, **settings})


def train(nlp: Language, *, times: int = 60, examples: Sequence[Example] | None = None, sgd: Any = None) -> Language:
    spacy.util.fix_random_seed(0)
    sgd = sgd or make_optimizer()
    examples = make_examples(nlp) if examples is None else examples
    for _ in range(times):
        nlp.update(examples, sgd=sgd, drop=0.0)
    return nlp


def copy_of(nlp: Language, **settings: Any) -> Language:
    """The same pipeline, by way of bytes."""
    other = spacy.blank("en")
    other.add_pipe("xlt_ner", config=settings)
    return other.from_bytes(nlp.to_bytes())


def found(nlp: Language, text: str) -> list[tuple[str, str]]:
    doc = nlp(Doc(nlp.vocab, words=text.split()))
    return [(ent.text, ent.label_) for ent in doc.ents]
