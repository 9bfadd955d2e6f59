"""MixedCorpus: how often each of its sources is read in an epoch."""

from __future__ import annotations

from collections import Counter

import pytest
import spacy
from helpers.mixed_sources import source, texts
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language
from spacy_xlt.training.mixed import create_mixed_corpus, epoch_parts


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("pt")
    nlp.add_pipe("ner")
    return nlp


def test_an_epoch_has_every_document_once_and_another_order_each_time(nlp, numbered):
    corpus = create_mixed_corpus({"a": source(numbered("a", 30)), "b": source(numbered("b", 7))})
    first, second = texts(corpus, nlp), texts(corpus, nlp)
    assert Counter(first) == Counter(second) == Counter([f"a{i}" for i in range(30)] + [f"b{i}" for i in range(7)])
    assert first != second
    assert first[:7] != [f"b{i}" for i in range(7)]


def test_a_weight_repeats_a_source_and_a_part_of_one_goes_on_in_the_next_epoch(nlp, numbered):
    sources = {"a": source(numbered("a", 12), weight=0.25), "few": source(numbered("few", 4), weight=3)}
    corpus = create_mixed_corpus(sources)
    epochs = [texts(corpus, nlp) for _ in range(4)]
    assert corpus.epoch_sizes == {"a": 3, "few": 12}
    assert all(Counter(epoch)["few0"] == 3 for epoch in epochs)
    read = [text for epoch in epochs for text in epoch if text.startswith("a")]
    assert sorted(read) == sorted(f"a{i}" for i in range(12))


@pytest.mark.parametrize("temperature", [None, 2.0])
def test_a_share_is_a_part_of_the_epoch_whatever_the_sizes(nlp, numbered, temperature):
    sources = {
        "few": source(numbered("few", 4), share=0.5),
        "large": source(numbered("large", 90)),
        "small": source(numbered("small", 10)),
        "some": source(numbered("some", 40), share=0.1),
    }
    corpus = create_mixed_corpus(sources, temperature=temperature)
    epochs = [texts(corpus, nlp) for _ in range(2)]
    # The others keep their length of 100: 40% of 250
    large, small = (90, 10) if temperature is None else (75, 25)
    assert corpus.epoch_sizes == {"few": 125, "large": large, "small": small, "some": 25}
    for epoch in epochs:
        read = Counter(text.rstrip("0123456789") for text in epoch)
        assert read == corpus.epoch_sizes
    assert {Counter(epochs[0])[f"few{i}"] for i in range(4)} == {31, 32}
    # What one epoch leaves of it comes in the next
    assert len({text for epoch in epochs for text in epoch if text.startswith("some")}) == 40


def test_a_source_with_a_tiny_share_gives_one_document(nlp, numbered):
    corpus = create_mixed_corpus({"a": source(numbered("a", 3)), "b": source(numbered("b", 9), share=0.001)})
    assert len(texts(corpus, nlp)) == 4 and corpus.epoch_sizes == {"a": 3, "b": 1}


def test_temperature_evens_the_sources_out_in_an_epoch_of_the_same_length(nlp, numbered):
    sources = {"large": source(numbered("large", 90)), "small": source(numbered("small", 10))}
    corpus = create_mixed_corpus(sources, temperature=2.0)
    read = Counter(text.rstrip("0123456789") for text in texts(corpus, nlp))
    # 90 ** .5 : 10 ** .5 is 3 : 1
    assert read == {"large": 75, "small": 25}


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.floats(0.01, 50)), min_size=1, max_size=6),
    st.none() | st.floats(0.1, 100),
)
def test_the_parts_of_an_epoch_add_up_to_its_length(sources, temperature):
    sizes, weights = [n for n, _ in sources], [weight for _, weight in sources]
    parts = epoch_parts(sizes, weights, temperature=temperature)
    assert sum(parts) == max(1, round(sum(n * weight for n, weight in sources)))
    assert all(part >= 0 for part in parts)
    if temperature is None:
        assert all(abs(part - n * weight) <= 1 for part, (n, weight) in zip(parts, sources, strict=True))
