"""A pipeline of an encoder with random weights and the heads that listen to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import fix_random_seed

SENTENCES = (
    "Maria Silva lives in Lisbon .",
    "John Smith works for Google in New York , near http://www.example.com .",
    "Maria works .",
    "Lisbon , near Lisbon , is where Maria Silva of Google works with John Smith and Maria , near New York .",
)


def examples(nlp: Language, texts: Sequence[str] = SENTENCES) -> list[Example]:
    """Documents of which each second word is an entity. Spaces part the words; "_" stands for one that is a space."""
    made = []
    for text in texts:
        words = [" " if word == "_" else word for word in text.split()]
        doc = Doc(nlp.vocab, words=words)
        places = [i for i in range(0, len(words), 2) if words[i].strip()]
        doc.set_ents([Span(doc, i, i + 1, label="PER" if i % 4 else "LOC") for i in places])
        doc.spans["sc"] = [Span(doc, i, i + 1, label="PER") for i in places]
        made.append(Example(Doc(nlp.vocab, words=words), doc))
    return made


def head(kind: str, *, pooling: str = "reduce_mean.v1", use_upper: bool = False) -> dict[str, Any]:
    """The `model` of a head."""
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "grad_factor": 0.5, "upstream": "*"}
    listener["pooling"] = {"@layers": pooling}
    if kind == "spancat":
        scorer = {"@layers": "spacy.LinearLogistic.v1", "nO": None, "nI": None}
        reducer = {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 16}
        return {"@architectures": "spacy.SpanCategorizer.v1", "tok2vec": listener, "reducer": reducer, "scorer": scorer}
    settings = {"state_type": "ner", "hidden_width": 16, "extra_state_tokens": False, "maxout_pieces": 2}
    return {
        "@architectures": "spacy.TransitionBasedParser.v2",
        **settings,
        "use_upper": use_upper,
        "tok2vec": listener,
    }


def make_pipeline(encoder: str, heads: Sequence[str] = ("ner",), **settings: Any) -> Language:
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
    for kind in heads:
        nlp.add_pipe(kind, config={"model": head(kind, **settings)})
    return nlp


def initialize(nlp: Language) -> Language:
    fix_random_seed(0)
    nlp.initialize(lambda: examples(nlp))
    return nlp


def update(nlp: Language, texts: Sequence[str] = SENTENCES, *, sgd: Any = False, **settings: Any) -> dict[str, float]:
    """RETURNS (dict[str, float]): The losses."""
    fix_random_seed(1)
    return nlp.update(examples(nlp, texts), sgd=sgd, drop=0.0, **settings)


def gradients(nlp: Language) -> dict[str, torch.Tensor]:
    """Those of the encoder and of the heads, which are then gone."""
    found = {}
    for name, weight in nlp.get_pipe("transformer").model.transformer.named_parameters():
        if weight.grad is not None:
            found[name], weight.grad = weight.grad.cpu(), None
    for name, pipe in nlp.pipeline[1:]:
        for i, node in enumerate(pipe.model.walk()):
            for param in node.grad_names:
                found[f"{name} {i} {param}"] = torch.tensor(node.ops.to_numpy(node.get_grad(param)))
                node.set_grad(param, node.get_grad(param) * 0)
    return found


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    found = nlp.get_pipe("transformer").model.transformer.named_parameters()
    encoder = {name: weight.detach().cpu().clone() for name, weight in found}
    nodes = [(name, i, node) for name, pipe in nlp.pipeline[1:] for i, node in enumerate(pipe.model.walk())]
    return encoder | {
        f"{name} {i} {param}": torch.tensor(node.ops.to_numpy(node.get_param(param)).copy())
        for name, i, node in nodes
        for param in node.param_names
    }


def found(nlp: Language) -> list[list[tuple[str, str]]]:
    """Entities or spans of the sentences."""
    docs = list(nlp.pipe([example.x.copy() for example in examples(nlp)], batch_size=3))
    return [[(span.text, span.label_) for span in (*doc.ents, *doc.spans.get("sc", ()))] for doc in docs]


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], share: float = 1e-4) -> None:
    """share (float): Of the largest number, that numbers may differ by: sums are added up in another order."""
    assert found.keys() == expected.keys() and found
    largest = max(float(tensor.abs().max()) for tensor in expected.values())
    off = {name: float((found[name] - expected[name]).abs().max()) for name in expected}
    assert {name for name, difference in off.items() if difference > share * largest} == set()
