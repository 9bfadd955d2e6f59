"""Near-duplicates of evaluation sentences."""

from __future__ import annotations

from itertools import islice

import pytest
from helpers.paths import ASSETS
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.readers import read_corpus
from spacy_xlt.training.duplicates import NearDuplicates, _letters, _shingles


def test_different_sentences_of_real_corpora_are_no_near_duplicates():
    path = ASSETS / "uner" / "Portuguese-Bosque" / "pt_bosque-ud-test.iob2"
    bosque = [doc.text for doc in islice(read_corpus(path, lang="pt"), 600)]
    index = NearDuplicates(bosque[:300], threshold=0.6)
    assert len(index) == len({_letters(text) for text in bosque[:300]})
    assert not [text for text in bosque[300:] if index.similarity(text)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("abcde ", min_size=15, max_size=60), min_size=1, max_size=12),
    st.text("abcde ", min_size=15, max_size=60),
    st.floats(0.2, 1),
)
def test_the_search_finds_what_comparing_all_pairs_finds(sentences, text, threshold):
    def jaccard(other: str) -> float:
        first, second = _shingles(_letters(text)), _shingles(_letters(other))
        return len(first & second) / len(first | second)

    index = NearDuplicates([*sentences, text[3:]], threshold=threshold)
    long_enough = [other for other in [*sentences, text[3:]] if len(_letters(other)) >= 20]
    best = max((jaccard(other) for other in long_enough), default=0.0) if len(_letters(text)) >= 20 else 0.0
    found = index.similarity(text)
    if _letters(text) and any(_letters(other) == _letters(text) for other in [*sentences, text[3:]]):
        assert found == 1
    elif best >= threshold and threshold < 1:
        assert found == pytest.approx(best, abs=1e-3)
    else:
        assert found == 0
