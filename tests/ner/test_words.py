"""Words as pieces, and windows over long documents."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import spacy
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from transformers import AutoTokenizer

from spacy_xlt.ner.xlt_ner import EncodedText, Settings, WordEncoder, make_batches

VOCAB = spacy.blank("xx").vocab


@pytest.fixture(scope="module")
def words(encoder) -> WordEncoder:
    return WordEncoder(AutoTokenizer.from_pretrained(encoder), limit=128)


def test_words_have_the_pieces_that_they_have_in_the_text(words):
    (text,) = words([Doc(VOCAB, words=["Maria", "mora", "em", "Lisboa"])])
    assert text.pieces.tolist() == words.backend.encode("Maria mora em Lisboa", add_special_tokens=False).ids
    assert len(text.heads) == 4 and text.starts[-1] == len(text.pieces)


@pytest.mark.parametrize("word", [" ", "\n", "\u200b", "\U0001f600", "\ufeff"])
def test_a_word_without_pieces_has_a_place_of_its_own(words, word):
    (text,) = words([Doc(VOCAB, words=["Maria", word, "Lisboa"])])
    assert len(text.heads) == 3 and len(set(text.heads.tolist())) == 3
    assert (np.diff(text.starts) >= 1).all()


def test_of_a_very_long_word_the_beginning_is_read(words):
    (text,) = words([Doc(VOCAB, words=["ab" * 5000, "Lisboa"])])
    assert np.diff(text.starts)[0] == 32


def test_a_piece_of_space_alone_does_not_stand_for_a_word(words):
    space = words.backend.token_to_id("\u2581")
    (text,) = words([Doc(VOCAB, words=["xyz", "Lisboa"])])
    assert text.pieces[0] == space and text.heads[0] == 1


def test_byte_level_pieces_are_those_behind_a_space(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "\u0120": 1, "\u0120a": 2, "b": 3}, merges=[("\u0120", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    encoder = WordEncoder(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="b", pad_token="b"), limit=64)
    (text,) = encoder([Doc(VOCAB, words=["a", "a"])])
    assert text.pieces.tolist() == [2, 2]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=60), window=st.integers(8, 40), share=st.floats(0, 0.5))
def test_windows_fit_and_take_each_word_once(words, sizes, window, share):
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    text = EncodedText(np.zeros(starts[-1], dtype=np.int32), starts, starts[:-1])
    encoder = copy.copy(words)
    encoder.capacity = window - 2
    windows = encoder.windows(0, text, int(share * window))
    taken = [i for w in windows for i in range(w.first, w.last)]
    assert taken == list(range(len(sizes)))
    for w in windows:
        assert starts[w.end] - starts[w.start] + 2 <= window
        assert w.start <= w.first <= w.last <= w.end


@pytest.mark.parametrize("batch_pieces", [1, 64, 4096])
def test_batches_have_each_word_at_its_piece(words, batch_pieces):
    docs = [Doc(VOCAB, words=text.split()) for text in ("Maria mora em Lisboa", "Banco", "John Smith works " * 30)]
    texts = words(docs)
    batches = list(make_batches(words, texts, Settings(window=64, batch_pieces=batch_pieces)))
    first = {int(w): int(b.ids[r, c]) for b in batches for w, r, c in zip(b.words, b.rows, b.columns, strict=True)}
    assert [first[i] for i in range(sum(map(len, docs)))] == [int(t.pieces[head]) for t in texts for head in t.heads]
    for batch in batches:
        assert batch.ids.size <= batch_pieces or len(batch.ids) == 1
        assert (batch.ids[~batch.mask] == words.pad).all()


def test_the_positions_of_roberta_begin_behind_its_padding(tmp_path):
    from helpers.tiny_ner import make_ner

    folder = make_tiny_encoder(tmp_path / "encoder", kind="roberta")
    nlp = make_ner(folder, window=256)
    doc = nlp(Doc(nlp.vocab, words=["Lisboa"] * 500))
    assert len(doc) == 500
