"""Callbacks: the same training as thinc's Adam in one step for all weights, frozen weights, seeds, chains."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import spacy
import torch
from helpers import tiny_heads
from helpers.tiny_encoder import make_tiny_encoder
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import registry
from thinc.api import fix_random_seed
from thinc.optimizers import Adam, RAdam

from spacy_xlt.errors import XltError
from spacy_xlt.training.callbacks import ChainedCallbacks, FreezeEncoder, FusedOptimizer, FusedStep

SETTINGS = {"L2": 0.01, "use_averages": False, "eps": 1e-8, "grad_clip": 1.0}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def examples(nlp: Language) -> list[Example]:
    docs = []
    for words in (["Maria", "Silva", "lives", "in", "Lisbon", "."], ["John", "Smith", "works", "for", "Google"]):
        doc = Doc(nlp.vocab, words=words)
        doc.set_ents([Span(doc, 0, 2, label="PER"), Span(doc, 4, 5, label="LOC")])
        docs.append(Example(Doc(nlp.vocab, words=words), doc))
    return docs


def make_pipeline(encoder: str, *, fused: bool) -> Language:
    fix_random_seed(0)
    nlp = tiny_heads.make_pipeline(encoder)
    if fused:
        FusedOptimizer()(nlp)
    nlp.initialize(lambda: examples(nlp))
    FreezeEncoder(embeddings=True, layers=1)(nlp)
    return nlp


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in encoder_of(nlp).named_parameters()}


def encoder_of(nlp: Language) -> torch.nn.Module:
    return nlp.get_pipe("transformer").model.transformer


def train(nlp: Language, optimizer, updates: int = 5) -> None:
    fix_random_seed(1)
    for _ in range(updates):
        nlp.update(examples(nlp), sgd=optimizer, drop=0.0)


@pytest.mark.parametrize("grad_clip", [0.0, 0.05, 1.0])
def test_a_training_is_that_of_thinc_s_adam(encoder, grad_clip):
    settings = {**SETTINGS, "grad_clip": grad_clip}
    stock, fused = (make_pipeline(encoder, fused=fused) for fused in (False, True))
    before = weights(stock)
    for nlp in (stock, fused):
        train(nlp, Adam(0.001, **settings))
    expected, found = weights(stock), weights(fused)
    moved = {name for name in before if not torch.equal(before[name], found[name])}
    assert moved == {name for name in before if not torch.equal(before[name], expected[name])}
    assert moved
    # A hundredth of one step: some gradients are nothing but rounding.
    assert all((found[name] - expected[name]).abs().max() < 1e-5 for name in moved)


def test_the_learning_rate_is_read_at_each_update(encoder):
    nlp = make_pipeline(encoder, fused=True)
    optimizer = Adam(0.001, **SETTINGS)
    train(nlp, optimizer, 1)
    before = weights(nlp)
    optimizer.learn_rate = 0.0
    train(nlp, optimizer, 2)
    assert all(torch.equal(before[name], weight) for name, weight in weights(nlp).items())
    optimizer.learn_rate = 0.001
    train(nlp, optimizer, 1)
    assert not all(torch.equal(before[name], weight) for name, weight in weights(nlp).items())


def test_gradients_add_up_until_the_update(encoder):
    nlp = make_pipeline(encoder, fused=True)
    fix_random_seed(1)
    nlp.update(examples(nlp), sgd=False, drop=0.0)
    weight = next(weight for weight in encoder_of(nlp).parameters() if weight.grad is not None)
    once = weight.grad.clone()
    fix_random_seed(1)
    nlp.update(examples(nlp), sgd=False, drop=0.0)
    assert torch.allclose(weight.grad, 2 * once, rtol=1e-3, atol=1e-6)
    nlp.get_pipe("transformer").finish_update(Adam(0.001, **SETTINGS))
    assert weight.grad is None


@pytest.mark.parametrize("make", [lambda: Adam(0.001, use_averages=True), lambda: RAdam(0.001, use_averages=False)])
def test_what_pytorch_cannot_do_is_left_to_thinc(encoder, make):
    stock, fused = (make_pipeline(encoder, fused=fused) for fused in (False, True))
    for nlp in (stock, fused):
        train(nlp, make(), 2)
    expected, found = weights(stock), weights(fused)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_trained_pipeline_keeps_nothing_of_it(encoder, tmp_path: Path):
    nlp = make_pipeline(encoder, fused=True)
    train(nlp, Adam(0.001, **SETTINGS))
    nlp.to_disk(tmp_path / "trained")
    loaded = spacy.load(tmp_path / "trained")
    assert "spacy_xlt" not in (tmp_path / "trained" / "config.cfg").read_text(encoding="utf8")
    shims = [shim for node in loaded.get_pipe("transformer").model.walk() for shim in node.shims]
    assert shims
    assert not any(isinstance(shim.finish_update, FusedStep) for shim in shims)
    assert all(torch.equal(a, b) for a, b in zip(weights(nlp).values(), weights(loaded).values(), strict=True))


def test_a_copy_trains_its_own_weights(encoder):
    nlp = make_pipeline(encoder, fused=True)
    train(nlp, Adam(0.001, **SETTINGS), 1)
    (shim,) = nlp.get_pipe("transformer").model.layers[0].shims
    copied = copy.deepcopy(shim)
    assert copied.finish_update.shim is copied


def test_a_pipeline_without_the_component_is_an_error():
    with pytest.raises(XltError, match="XLT-E603"):
        FusedOptimizer()(spacy.blank("en"))


def test_chained_callbacks_are_called_in_order():
    said: list[str] = []
    chain = ChainedCallbacks(
        callbacks={"a": lambda nlp: said.append("a"), "b": lambda nlp: said.append("b") or nlp, "c": None}
    )
    nlp = spacy.blank("en")
    assert chain(nlp) is nlp
    assert said == ["a", "b"]


@pytest.mark.parametrize("kind", ["xlm-roberta", "distilbert", "deberta-v2"])
def test_what_is_frozen_stays_and_the_rest_is_trained(kind, tmp_path):
    nlp = tiny_heads.make_pipeline(str(make_tiny_encoder(tmp_path, kind=kind)))
    nlp.initialize(lambda: examples(nlp))
    FreezeEncoder(embeddings=True, layers=1)(nlp)
    before = weights(nlp)
    train(nlp, Adam(0.001, **SETTINGS), 3)
    changed = {name for name, weight in weights(nlp).items() if not torch.equal(weight, before[name])}
    assert changed and not any("embeddings." in name.replace("rel_embeddings", "") for name in changed)
    assert {name.split("layer.")[1][0] for name in changed if "layer." in name} == {"1", "2"}


def test_more_layers_than_there_are_cannot_be_frozen(encoder):
    nlp = make_pipeline(encoder, fused=False)
    with pytest.raises(XltError, match="E604.*`layers` is 4.* has 3 layers"):
        FreezeEncoder(layers=4)(nlp)
    with pytest.raises(XltError, match="E150.*`layers` of FreezeEncoder is -1"):
        FreezeEncoder(layers=-1)


@pytest.mark.parametrize("name", ["batched_pooling", "heads_on_cpu"])
def test_removed_callbacks_do_nothing_and_warn(name):
    block = {"@callbacks": f"spacy_xlt.{name}.v1"}
    with pytest.warns(DeprecationWarning, match=f"{name}.*Take it out"):
        callback = registry.resolve({"callback": block})["callback"]
    nlp = spacy.blank("en")
    assert callback(nlp) is nlp
