"""Texts in pieces: places of pieces, parts of long texts, windows of long pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.soft import windows_of
from spacy_xlt.errors import XltError
from spacy_xlt.translation.bergamot.files import bundled_models, find_models
from spacy_xlt.translation.neural import Hypothesis, join_parts
from spacy_xlt.translation.subwords import (
    Pieces,
    SentencePieceCodec,
    join_tokens,
    split_pieces,
    word_spans,
)

relaxed = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def codec() -> SentencePieceCodec:
    return SentencePieceCodec(find_models(bundled_models())["en", "pt"].source_vocab)


def test_places_count_characters_of_the_text_as_given(codec: SentencePieceCodec) -> None:
    text = "Olá  mundo ﬁm ½ 😀 a\u200bb Ａ"
    places = {text[start:end] for start, end in codec.encode([text])[0].spans.tolist()}
    assert {"Olá", "mundo", "ﬁm", "½", "😀", "a", "\u200bb", "Ａ"} <= places


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_spans_are_in_order_inside_the_text_without_outer_space(codec: SentencePieceCodec, text: str) -> None:
    (pieces,) = codec.encode([text])
    starts, ends = pieces.spans[:, 0], pieces.spans[:, 1]
    assert (starts <= ends).all() and (starts[1:] >= starts[:-1]).all()
    assert not len(pieces) or (starts[0] >= 0 and ends.max() <= len(text))
    for start, end in pieces.spans.tolist():
        assert text[start:end] == text[start:end].strip()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcdefg", min_size=1, max_size=8), min_size=1, max_size=8))
def test_pieces_put_together_again_are_the_text_and_their_places_cover_its_words(
    codec: SentencePieceCodec, words: list[str]
) -> None:
    text = " ".join(words)
    decoded, spans = codec.decode(codec.encode([text])[0].ids.tolist())
    assert decoded == text
    covered = {i for start, end in spans.tolist() for i in range(start, end)}
    assert covered == {i for i, c in enumerate(text) if c != " "}


@relaxed
@given(st.text(alphabet="ab é.,-'▁ \t…ﬁ½😀漢\u200b", max_size=30))
def test_places_that_are_simply_counted_are_those_that_sentencepiece_gives(
    codec: SentencePieceCodec, text: str
) -> None:
    (item,) = codec._processor.encode([text], return_type="offset_mapping")
    (pieces,) = codec.encode([text])
    assert pieces.ids.tolist() == item["ids"]
    assert pieces.spans.tolist() == word_spans(item["offsets"], text).tolist()


@relaxed
@given(st.lists(st.integers(1, 31_999), min_size=1, max_size=12), st.booleans())
def test_any_pieces_put_together_are_what_sentencepiece_makes_of_them(
    codec: SentencePieceCodec, ids: list[int], ended: bool
) -> None:
    ids += [codec.eos] if ended else []
    expected = codec._processor.decode(ids, return_type="offset_mapping")
    text, spans = codec.decode(ids)
    assert text == expected["text"]
    assert spans.tolist() == word_spans(expected["offsets"], text).tolist()


def test_what_is_not_a_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.spm"
    path.write_bytes(b"not a model" * 20)
    with pytest.raises(XltError, match="E211.*vocab.spm"):
        SentencePieceCodec(path)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab .,。", max_size=60), st.integers(2, 12))
def test_parts_are_the_pieces_in_order_and_short_enough(text: str, limit: int) -> None:
    places = [i for i, c in enumerate(text) if c != " "]
    spans = np.asarray([[i, i + 1] for i in places], np.int32).reshape(-1, 2)
    parts = split_pieces(Pieces(np.asarray(places, np.int64), spans), text, limit=limit)
    assert [i for part in parts for i in part.ids.tolist()] == places
    assert all(0 < len(part) <= limit for part in parts)


def test_parts_end_with_sentences_where_they_can(codec: SentencePieceCodec) -> None:
    text = "One thing, then another. " * 6
    (pieces,) = codec.encode([text])
    parts = split_pieces(pieces, text, limit=20)
    assert len(parts) > 1
    assert all(text[part.spans[-1, 0] : part.spans[-1, 1]].endswith(".") for part in parts)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(2, 50))
def test_windows_cover_each_target_piece_once_inside_the_pair(n_source: int, n_target: int, limit: int) -> None:
    windows = windows_of(7, n_source, n_target, limit=limit)
    assert [i for w in windows for i in range(n_target)[w.target]] == list(range(n_target))
    assert {i for w in windows for i in range(n_source)[w.source]} == set(range(n_source)) or n_target < n_source
    assert all(0 <= w.source.start <= w.source.stop <= n_source and w.pair == 7 for w in windows)
    assert all(w.length <= limit + 2 for w in windows)


def test_tokens_are_joined_as_their_language_writes_them() -> None:
    (text,), (spans,) = join_tokens(["a  cat"], "en")
    assert text == "a cat" and spans.tolist() == [[0, 1], [2, 5]]
    (text,), (spans,) = join_tokens([["猫", "です"]], "ja")
    assert text == "猫です" and spans.tolist() == [[0, 1], [1, 3]]


def test_parts_are_joined_with_their_scores_flags_and_alignments(codec: SentencePieceCodec) -> None:
    text = "One cat. Two dogs."
    (pieces,) = codec.encode([text])
    cut = next(i for i, (start, _) in enumerate(pieces.spans.tolist()) if start >= 9)
    parts = [pieces[:cut], pieces[cut:]]
    hypotheses = [
        Hypothesis(part.ids, -float(i + 1), bool(i), np.eye(len(part), len(part) + 1, dtype=np.float32))
        for i, part in enumerate(parts)
    ]
    joined = join_parts(parts, hypotheses, codec)
    assert joined.text == text and joined.flags == ("truncated",) and joined.score == -3 / len(pieces)
    assert joined.alignment is not None
    np.testing.assert_array_equal(joined.alignment.weights, np.eye(len(pieces)))
    assert joined.alignment.target_spans.tolist() == pieces.spans.tolist()
    assert join_parts(parts, hypotheses, codec, spaced=False).text == text.replace(". ", ".")
    assert join_parts([], [], codec).score is None
