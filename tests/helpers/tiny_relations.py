"""A pipeline of `xlt_relations` on an encoder with random weights, and examples that it learns by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from helpers.tiny_ner import drop_nothing, make_optimizer
from spacy_xlt.span_links import End, Link, SpanLinks, set_links

# Text, entities, and links between them by their numbers; None for a text whose links are not annotated
Annotated = tuple[str, list[tuple[int, int, str]], list[tuple[int, int, str]] | None]
SENTENCES: list[Annotated] = [
    ("Maria lives in Lisbon .", [(0, 1, "PER"), (3, 4, "LOC")], [(0, 1, "lives")]),
    ("In Lisbon lives Maria .", [(1, 2, "LOC"), (3, 4, "PER")], [(1, 0, "lives")]),
    ("Maria left Lisbon .", [(0, 1, "PER"), (2, 3, "LOC")], []),
    ("Maria knows John Smith .", [(0, 1, "PER"), (2, 4, "PER")], [(0, 1, "knows"), (1, 0, "knows")]),
    ("Nobody is there .", [], []),
]


def make_doc(nlp: Language, sentence: Annotated, *, with_links: bool = True, complete: bool = True) -> Doc:
    text, ents, links = sentence
    doc = Doc(nlp.vocab, words=text.split())
    doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
    if with_links and links is not None:
        found = [Link(End("ents", head), End("ents", child), label) for head, child, label in links]
        set_links(doc, SpanLinks(found, complete=complete))
    return doc


def make_examples(nlp: Language, sentences: Sequence[Annotated] = SENTENCES) -> list[Example]:
    return [Example(make_doc(nlp, each, with_links=False), make_doc(nlp, each)) for each in sentences]


def make_relations(
    encoder: Path, *, examples: Sequence[Annotated] = SENTENCES, init: Any = None, **settings: Any
) -> Language:
    """An initialized pipeline, whose encoder drops nothing."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_relations", config=settings)
    nlp.config["initialize"]["components"]["xlt_relations"] = {"encoder": str(encoder), **(init or {})}
    spacy.util.fix_random_seed(0)
    nlp.initialize(lambda: make_examples(nlp, examples))
    drop_nothing(nlp.get_pipe("xlt_relations").model.transformer)
    return nlp


def train(nlp: Language, *, times: int = 60, examples: Sequence[Example] | None = None) -> Language:
    sgd = make_optimizer(0.001)
    examples = make_examples(nlp) if examples is None else examples
    for _ in range(times):
        nlp.update(examples, sgd=sgd, drop=0.0)
    return nlp


def found(nlp: Language, sentence: Annotated) -> list[tuple[int, int, str]]:
    doc = nlp(make_doc(nlp, sentence, with_links=False))
    return sorted((link.head.number, link.child.number, link.label) for link in doc._.xlt_links.links)
