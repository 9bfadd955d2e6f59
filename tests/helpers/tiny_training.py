"""A pipeline with an encoder of random weights, and a few updates of it."""

from __future__ import annotations

from typing import Any

import numpy
import spacy
from spacy.language import Language
from spacy.training import Example
from thinc.api import Optimizer

TEXT = "Maria Silva mora em Lisboa e trabalha no Banco Central ."
ENTITIES = [(0, 11, "PER"), (20, 26, "LOC"), (41, 54, "ORG")]
SPANS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 64, "stride": 48}


def transformer_block(encoder: str, **settings: Any) -> dict[str, Any]:
    """The `model` of a transformer component."""
    return {
        "@architectures": "spacy_xlt.PeftTransformerModel.v1",
        "name": encoder,
        "get_spans": SPANS,
        **settings,
    }


def make_pipeline(encoder: str, *, dropout: bool = True, initialize: bool = True, **settings: Any) -> Language:
    """A pipeline that finds entities.

    dropout (bool): Whether the encoder drops some of its activations in training.
    settings: Of PeftTransformerModel.
    """
    if not dropout:
        off = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")
        settings["transformer_config"] = dict.fromkeys(off, 0.0)
    nlp = spacy.blank("pt")
    nlp.add_pipe("transformer", config={"model": transformer_block(encoder, **settings)})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    ner = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 16,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": listener,
    }
    nlp.add_pipe("ner", config={"model": ner})
    if initialize:
        spacy.util.fix_random_seed(0)
        nlp.initialize(lambda: make_examples(nlp))
    return nlp


def make_examples(nlp: Language) -> list[Example]:
    return [Example.from_dict(nlp.make_doc(TEXT), {"entities": ENTITIES}) for _ in range(2)]


def update(nlp: Language, *, times: int = 3, optimizer: Optimizer | None = None) -> Optimizer:
    """Train a little; the same each time."""
    if optimizer is None:
        optimizer = Optimizer(0.01, L2=0.0, use_averages=False)
    spacy.util.fix_random_seed(1)
    for _ in range(times):
        nlp.update(make_examples(nlp), sgd=optimizer)
    return optimizer


def encoder_of(nlp: Language) -> Any:
    """The PyTorch module."""
    return nlp.get_pipe("transformer").model.transformer


def output(nlp: Language) -> numpy.ndarray:
    """What the encoder makes of the text: (windows, pieces, width)."""
    return nlp(TEXT)._.trf_data.tensors[0]


def entities(nlp: Language) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in nlp(TEXT).ents]
