"""A pipeline of an encoder with random weights and a head that listens to it."""

from __future__ import annotations

import spacy
from spacy.language import Language


def make_pipeline(encoder: str) -> Language:
    """Not initialized yet. The encoder drops nothing, so that two trainings can be compared."""
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": encoder,
        "tokenizer_config": {"use_fast": True},
        "transformer_config": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
        "mixed_precision": False,
    }
    nlp.add_pipe("transformer", config={"model": model})
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 0.5, "upstream": "*"}
    head = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "hidden_width": 16,
        "extra_state_tokens": False,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": {**listener, "pooling": {"@layers": "reduce_mean.v1"}},
    }
    nlp.add_pipe("ner", config={"model": head})
    return nlp
