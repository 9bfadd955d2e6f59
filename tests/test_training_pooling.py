"""`spacy_xlt.batched_pooling.v1`: what spacy-transformers makes of each document, made of a batch."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy
import pytest
import spacy
import torch
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_heads import (
    SENTENCES,
    assert_close,
    examples,
    found,
    gradients,
    initialize,
    make_pipeline,
    update,
    weights,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy_transformers.data_classes import FullTransformerBatch
from spacy_transformers.layers import transformer_model
from spacy_transformers.span_getters import configure_get_sent_spans, configure_strided_spans
from spacy_xlt.training.pooling import create_batched_pooling, encode, pool
from thinc.api import Model, Ragged
from thinc.optimizers import Adam

from spacy_xlt.errors import XltError

WORDS = SENTENCES[-1].split()
WITH_EMPTY = ["", SENTENCES[0], "", SENTENCES[1], ""]
# The tiny tokenizer has a piece for spaces, which others have not.
SPACES = [SENTENCES[0], "_ _", SENTENCES[1]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def make_pair(encoder: str, heads=("ner",), **settings) -> tuple[Language, Language]:
    """A stock pipeline, and the same with the callback."""
    stock, batched = (make_pipeline(encoder, heads, **settings) for _ in range(2))
    create_batched_pooling()(batched)
    return initialize(stock), initialize(batched)


@pytest.fixture(scope="module")
def pair(encoder) -> tuple[Language, Language]:
    return make_pair(encoder, ("ner", "spancat"))


@pytest.fixture
def splits(monkeypatch) -> list[FullTransformerBatch]:
    """The batches that were split by document."""
    seen = []
    stock = FullTransformerBatch.split_by_doc
    monkeypatch.setattr(FullTransformerBatch, "split_by_doc", lambda full: seen.append(full) or stock(full))
    return seen


def windows(nlp: Language, window: int, stride: int) -> None:
    nlp.get_pipe("transformer").model.attrs["get_spans"] = configure_strided_spans(window, stride)


def assert_same_update(pair: tuple[Language, Language], texts, **settings) -> None:
    expected, losses = (update(nlp, texts, **settings) for nlp in pair)
    assert losses == pytest.approx(expected, rel=1e-5)
    assert_close(gradients(pair[1]), gradients(pair[0]))


@pytest.mark.parametrize("texts", [SENTENCES, WITH_EMPTY, ["Maria"]])
@pytest.mark.parametrize("window", [5, 64])
def test_an_update_is_the_same_and_splits_nothing(pair, splits, texts, window):
    for nlp in pair:
        windows(nlp, window, window - 2)
    assert_same_update(pair, texts)
    assert len(splits) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, len(WORDS)), min_size=1, max_size=6), window=st.integers(2, 12), data=st.data())
def test_any_documents_and_windows_give_the_same_update(pair, sizes, window, data):
    stride = data.draw(st.integers(1, window))
    for nlp in pair:
        windows(nlp, window, stride)
    texts = [" ".join(WORDS[i : i + size]) for i, size in enumerate(sizes)]
    if any(texts):
        assert_same_update(pair, texts)


@pytest.mark.parametrize("pooling", ["reduce_max.v1", "reduce_last.v1", "reduce_sum.v1"])
def test_any_pooling(encoder, splits, pooling):
    pair = make_pair(encoder, pooling=pooling)
    assert_same_update(pair, SENTENCES)
    assert len(splits) == 1


@pytest.fixture
def no_pieces_for_spaces(monkeypatch):
    stock = transformer_model.get_alignment_via_offset_mapping

    def align(spans, offset_mapping):
        aligned = stock(spans, offset_mapping)
        spaces = numpy.array([token.is_space for doc in dict.fromkeys(span.doc for span in spans) for token in doc])
        pieces = aligned.dataXd[numpy.repeat(~spaces, aligned.lengths)]
        return Ragged(pieces, numpy.where(spaces, 0, aligned.lengths).astype("i"))

    monkeypatch.setattr(transformer_model, "get_alignment_via_offset_mapping", align)


def test_documents_without_a_piece_are_left_to_spacy_transformers(pair, splits, no_pieces_for_spaces):
    for nlp in pair:
        windows(nlp, 64, 48)
    assert_same_update(pair, SPACES)
    assert len(splits) == 2
    assert_pooled_exactly_alike(pair, SPACES)


def test_tokens_without_a_piece(pair, splits, no_pieces_for_spaces):
    for nlp in pair:
        windows(nlp, 5, 3)
    texts = ["_ Maria _ Silva _ _ _ _ _", SENTENCES[0], "_ John"]
    assert_same_update(pair, texts)
    assert len(splits) == 1
    assert_pooled_exactly_alike(pair, texts)


def test_documents_not_covered_by_their_windows_are_left_to_spacy_transformers(pair, splits):
    for nlp in pair:
        nlp.get_pipe("transformer").model.attrs["get_spans"] = lambda docs: [[doc[:-1]] for doc in docs]
    docs = [[example.x for example in examples(nlp, SENTENCES)] for nlp in pair]
    expected, found = (
        nlp.get_pipe("transformer").model.begin_update(some)[0] for nlp, some in zip(pair, docs, strict=True)
    )
    assert isinstance(found.doc_data, list)
    assert [len(data.align.lengths) for data in found.doc_data] == [len(d.align.lengths) for d in expected.doc_data]


def test_sentences_as_windows(pair):
    for nlp in pair:
        nlp.get_pipe("transformer").model.attrs["get_spans"] = configure_get_sent_spans()
    losses = []
    for nlp in pair:
        batch = examples(nlp)
        for example in batch:
            for token in example.x:
                token.is_sent_start = token.i % 4 == 0
        losses.append(nlp.update(batch, sgd=False, drop=0.0))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert_close(gradients(pair[1]), gradients(pair[0]))


def test_a_frozen_encoder(pair):
    for nlp in pair:
        windows(nlp, 5, 3)
    assert_same_update(pair, WITH_EMPTY, exclude=["transformer"], annotates=["transformer"])


def test_what_is_found_is_the_same(encoder):
    pair = make_pair(encoder, ("ner", "spancat"))
    for nlp in pair:
        windows(nlp, 5, 3)
        for _ in range(20):
            update(nlp, sgd=Adam(0.01, use_averages=False))
    assert any(found(pair[0]))
    assert found(pair[1]) == found(pair[0])


def pooling_of(nlp: Language) -> Model:
    return next(node for node in nlp.get_pipe("ner").model.walk() if node.name == "trfs2arrays")


@pytest.mark.parametrize("texts", [SENTENCES, WITH_EMPTY, SPACES])
def test_outputs_of_documents_are_pooled_exactly_alike(pair, texts):
    assert_pooled_exactly_alike(pair, texts)


def assert_pooled_exactly_alike(pair, texts):
    nlp = pair[1]
    docs = [example.x for example in examples(nlp, texts)]
    # Not in one batch, and in another order.
    data = [nlp.get_pipe("transformer")(doc)._.trf_data for doc in docs][::-1]
    expected, found = (pooling_of(nlp).predict(data) for nlp in pair)
    assert [len(vectors) for vectors in found] == [len(doc) for doc in docs[::-1]]
    assert all((a == b).all() for a, b in zip(found, expected, strict=True) if len(a))


def test_two_heads_add_up_in_each_of_several_updates(encoder):
    pair = make_pair(encoder, ("ner", "spancat"))
    for nlp in pair:
        for _ in range(3):
            update(nlp, sgd=Adam(0.001, use_averages=False))
    assert_close(weights(pair[1]), weights(pair[0]))


def test_memory_of_a_batch_is_free_without_the_garbage_collector(pair):
    import gc
    import weakref

    nlp = pair[1]
    windows(nlp, 64, 48)
    model = nlp.get_pipe("transformer").model
    gc.disable()
    try:
        full, backprop = model.begin_update([example.x for example in examples(nlp)])
        kept = weakref.ref(full.doc_data)
        del full, backprop
        assert kept() is None
    finally:
        gc.enable()


def test_the_trained_pipeline_keeps_nothing_of_it(encoder, tmp_path: Path):
    nlp = make_pair(encoder)[1]
    update(nlp, sgd=Adam(0.001, use_averages=False))
    nlp.to_disk(tmp_path / "trained")
    loaded = spacy.load(tmp_path / "trained")
    assert "spacy_xlt" not in (tmp_path / "trained" / "config.cfg").read_text(encoding="utf8")
    assert pooling_of(loaded)._func is not pool and pooling_of(nlp)._func is pool
    assert found(loaded) == found(nlp)
    assert all(torch.equal(a, b) for a, b in zip(weights(nlp).values(), weights(loaded).values(), strict=True))


def test_a_copy_of_a_head_is_pooled_alike(encoder):
    nlp = make_pair(encoder)[1]
    assert all(node._func is pool for node in copy.deepcopy(pooling_of(nlp)).walk() if node.name == "trfs2arrays")


def test_where_one_listener_has_another_layer_gradients_stay_those_of_documents(encoder, splits):
    stock, batched = (make_pipeline(encoder, ("ner", "spancat")) for _ in range(2))
    listener = pooling_of(batched)
    listener._func = lambda model, X, is_train, forward=listener._func: forward(model, X, is_train)
    create_batched_pooling()(batched)
    assert batched.get_pipe("transformer").model._func is not encode
    assert_same_update((initialize(stock), initialize(batched)), SENTENCES)


def test_a_pipeline_without_the_component_is_an_error():
    with pytest.raises(XltError, match="XLT-E603"):
        create_batched_pooling()(spacy.blank("en"))
