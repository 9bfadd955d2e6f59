"""The pieces of another language: which vector each of them gets."""

import json
from collections import Counter

import numpy as np
import pytest
from helpers.tiny_tokenizers import SPECIAL, make_tokenizer
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment
from spacy_xlt.vocabulary import transfer
from spacy_xlt.vocabulary.pieces import Pieces
from spacy_xlt.vocabulary.training import train_pieces

KEY = "embeddings.word_embeddings.weight"
PAIRS = [
    (("Maria lives in Lisbon".split(), "Mariam tinggal Lisabon".split()), Alignment([(0, 0), (1, 1), (3, 2)])),
    (("John works in York".split(), "Jon tinggal di Yok".split()), Alignment([(0, 0), (1, 1), (2, 2), (3, 3)])),
]


def _save(folder, tokenizer, **marks):
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", **marks}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def malay(tmp_path):
    """A tokenizer of whole words, a part and a few characters."""
    names = ["Mariam", "tinggal", "Lisabon", "Jon", "di", "Yok", "##ok", "Y", "New", "Q"]
    ids = {name: i for i, name in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *names])}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    marks = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return _save(tmp_path / "malay", tokenizer, **marks)


def test_each_piece_gets_its_vector_in_one_of_four_ways(make_encoder, malay, tmp_path):
    folder = make_encoder("Unigram")
    summary = transfer(str(folder), PAIRS, tmp_path / "out", tokenizer=malay)
    before, after = (load_file(at / "model.safetensors")[KEY].astype(float) for at in (folder, tmp_path / "out"))
    old, new = (AutoTokenizer.from_pretrained(at) for at in (folder, tmp_path / "out"))
    ids = new.get_vocab()
    expected = {
        # What they do, or how they are written
        "[PAD]": before[old.pad_token_id],
        "[CLS]": before[old.bos_token_id],
        "[SEP]": before[old.eos_token_id],
        "[UNK]": before[old.unk_token_id],
        "New": before[old.convert_tokens_to_ids("▁New")],
        # One link, and one of two
        "Lisabon": _mean_of_word(old, before, "Lisbon"),
        "tinggal": (_mean_of_word(old, before, "lives") + _mean_of_word(old, before, "works")) / 2,
        # Parts without a link, and nothing at all
        "##ok": before[old.convert_tokens_to_ids(["o", "k"])].mean(axis=0),
        "Q": before.mean(axis=0),
    }
    for piece, vector in expected.items():
        assert np.allclose(after[ids[piece]], vector, atol=1e-6), piece
    assert sum(summary[way] for way in ("kept", "linked", "cut", "mean")) == len(after) == len(new)
    assert (new.model_max_length, new.model_input_names) == (old.model_max_length, old.model_input_names)
    model = AutoModel.from_pretrained(tmp_path / "out")
    assert model.config.pad_token_id == new.pad_token_id == ids["[PAD]"]


def _mean_of_word(tokenizer, vectors, word):
    pieces = [piece for piece in tokenizer.tokenize(word) if piece != "▁"]
    return vectors[tokenizer.convert_tokens_to_ids(pieces)].mean(axis=0)


def test_a_tokenizer_from_the_texts_and_the_models_own_links(make_encoder, tmp_path):
    folder = make_encoder("WordPiece")
    pairs = [(pair, None) for pair, _ in PAIRS] * 2
    for name in ("a", "b"):
        summary = transfer(str(folder), pairs, tmp_path / name, n_pieces=40)
    for name in ("model.safetensors", "tokenizer.json", "config.json", "vocabulary.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert summary["linked"] and len(tokenizer) == summary["pieces_after"] <= 40
    ids = tokenizer("tinggal di Yok").input_ids
    assert tokenizer.unk_token_id not in ids and len(ids) < len("tinggaldiYok")
    assert (ids[0], ids[-1]) == (tokenizer.convert_tokens_to_ids("<s>"), tokenizer.convert_tokens_to_ids("</s>"))
    assert EmbeddingAligner(model=str(tmp_path / "a"), layer=2).align([PAIRS[0][0]])


@pytest.mark.parametrize("kind", ["Unigram", "WordPiece", "BPE"])
def test_the_same_pieces_keep_their_vectors_whatever_the_kind_of_the_tokenizer(kind, make_encoder, tmp_path):
    folder = make_encoder("BPE", kind="roberta")
    given = _save(tmp_path / "given", make_tokenizer(kind))
    transfer(str(folder), PAIRS, tmp_path / "out", tokenizer=given)
    before, after = (load_file(at / "model.safetensors")[KEY] for at in (folder, tmp_path / "out"))
    old, new = (Pieces(AutoTokenizer.from_pretrained(at), "") for at in (folder, tmp_path / "out"))
    shared = {old.plain(name): i for name, i in old.ids.items()}
    same = [(shared[new.plain(name)], i) for name, i in new.ids.items() if new.plain(name) in shared]
    assert len(same) > 30 and all(np.array_equal(before[a], after[b]) for a, b in same)
    # A RoBERTa counts positions from its padding
    assert new.tokenizer.pad_token_id == old.tokenizer.pad_token_id == 1


def test_the_padding_is_moved_to_where_a_roberta_has_it(make_encoder, malay, tmp_path):
    folder = make_encoder("BPE", kind="roberta")
    transfer(str(folder), PAIRS, tmp_path / "out", tokenizer=malay)
    new = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert new.pad_token_id == 1 and new.cls_token_id == 0
    assert AutoModel.from_pretrained(tmp_path / "out").embeddings.padding_idx == 1
    before, after = (load_file(at / "model.safetensors")[KEY] for at in (folder, tmp_path / "out"))
    assert np.array_equal(before[1], after[1]) and np.array_equal(before[0], after[0])


def test_trained_pieces_are_the_same_each_time_and_write_every_word(make_encoder):
    like = Pieces(AutoTokenizer.from_pretrained(make_encoder("BPE")), "like")
    words = Counter("banana bandana ananas banal , anan. അമ്മ".split() * 3)
    made = [train_pieces(like, words, 40) for _ in range(2)]
    assert made[0].backend_tokenizer.to_str() == made[1].backend_tokenizer.to_str()
    assert (
        made[0].unk_token_id not in made[0](list(words), add_special_tokens=False, is_split_into_words=True).input_ids
    )
    assert len(made[0].tokenize("banana")) < 4 and "anan." not in made[0].get_vocab()
    assert set(SPECIAL) <= set(made[0].get_vocab())


def test_what_cannot_be_transferred_is_an_error(make_encoder, malay, tmp_path):
    folder = str(make_encoder("Unigram"))
    with pytest.raises(XltError, match="E862.*link"):
        transfer(folder, [(PAIRS[0][0], Alignment())], tmp_path / "out")
    with pytest.raises(XltError, match="E860.*no tokenizer.json"):
        transfer(folder, PAIRS, tmp_path / "out", tokenizer=tmp_path)
    state = json.loads((malay / "tokenizer_config.json").read_text())
    (malay / "tokenizer_config.json").write_text(json.dumps({**state, "pad_token": None}))
    with pytest.raises(XltError, match="E860.*pad_token"):
        transfer(folder, PAIRS, tmp_path / "out", tokenizer=malay)
    assert not (tmp_path / "out").exists()
