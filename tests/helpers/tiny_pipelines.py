"""Pipelines that are made in a second: rules, and a recogniser trained on a few sentences."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import spacy
from spacy.language import Language
from spacy.training import Example


def ruler(lang: str, patterns: Mapping[str, str]) -> Language:
    """A pipeline that gives phrases their labels."""
    nlp = spacy.blank(lang)
    nlp.add_pipe("entity_ruler").add_patterns([{"pattern": text, "label": label} for text, label in patterns.items()])
    return nlp


def saved_ruler(path: Path, lang: str, patterns: Mapping[str, str]) -> Path:
    """The same in a folder."""
    ruler(lang, patterns).to_disk(path)
    return path


SENTENCES = [
    ("Maria lives in Lisbon.", [(0, 5, "PER"), (15, 21, "LOC")]),
    ("Lisbon is far from Maria.", [(0, 6, "LOC"), (19, 24, "PER")]),
    ("Nobody lives there.", []),
    ("Peter Smith saw Porto and Lisbon.", [(0, 11, "PER"), (16, 21, "LOC"), (26, 32, "LOC")]),
]


def recogniser(
    lang: str = "en", *, updates: int = 25, sentences: Sequence[tuple[str, list[tuple[int, int, str]]]] = SENTENCES
) -> Language:
    """A pipeline with an `ner` component; with few updates it is not sure of anything."""
    random.seed(0)
    np.random.seed(0)
    nlp = spacy.blank(lang)
    tok2vec = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": 16,
        "depth": 1,
        "embed_size": 200,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": True,
    }
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": False,
        "nO": None,
        "tok2vec": tok2vec,
    }
    nlp.add_pipe("ner", config={"model": model})
    examples = [Example.from_dict(nlp.make_doc(text), {"entities": ents}) for text, ents in sentences]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(updates):
        nlp.update(examples, sgd=optimizer)
    return nlp
