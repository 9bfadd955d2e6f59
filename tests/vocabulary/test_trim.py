"""Fewer pieces: which stay, and that texts are cut as before, with the same vectors."""

import logging
import warnings

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.errors import XltError
from spacy_xlt.vocabulary import trim
from spacy_xlt.vocabulary.counting import count_pieces
from spacy_xlt.vocabulary.pieces import Pieces
from spacy_xlt.vocabulary.trimming import kept_pieces

KINDS = ["Unigram", "WordPiece", "BPE"]
# With what no piece has, and a word that begins with pieces and has an unknown rest
SENTENCES = ["Maria mora em Lisboa.", "Mari中 works", "<s> New  York\t😀", "John Smith trabalha"]
nlp = spacy.blank("xx")


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, make_encoder):
    return make_encoder(request.param, kind="roberta" if request.param == "BPE" else "bert")


@pytest.fixture
def unigram(make_encoder):
    return make_encoder("Unigram")


def _docs(texts=SENTENCES):
    return map(nlp.make_doc, texts)


def _cut(tokenizer, text):
    """The pieces of a text, and of its words one by one as aligners and components give them."""
    backend = tokenizer.backend_tokenizer
    words = [token.text for token in nlp.make_doc(text)]
    inputs = [text], words, [f" {word}" for word in words]
    encodings = backend.encode(text), *(backend.encode(words, is_pretokenized=True) for words in inputs[1:])
    return [encoding.tokens for encoding in encodings]


def test_the_texts_are_cut_as_before_and_have_the_same_vectors(encoder, tmp_path, caplog):
    trim(str(encoder), _docs(), tmp_path / "out")
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        logging.getLogger("transformers").propagate = True
        loaded = [
            (AutoModel.from_pretrained(at), AutoTokenizer.from_pretrained(at)) for at in (encoder, tmp_path / "out")
        ]
    assert caplog.text == ""
    (before, old), (after, new) = loaded
    assert len(new) < len(old) and after.config.vocab_size == len(new) == len(after.get_input_embeddings().weight)
    for text in SENTENCES:
        assert _cut(new, text) == _cut(old, text)
        inputs = [tokenizer(text, return_tensors="pt") for tokenizer in (old, new)]
        with torch.no_grad():
            states = [m(**given).last_hidden_state for m, given in zip((before, after), inputs, strict=True)]
        assert torch.equal(*states)
    assert after.config.pad_token_id == new.pad_token_id and new.model_max_length == old.model_max_length


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_texts_are_cut_as_before(kind, data):
    old = _tokenizer(kind, data.draw(st.integers(0, 3)))
    texts = data.draw(st.lists(st.text("abc é", max_size=12), min_size=1, max_size=5))
    pieces = Pieces(old, "old")
    names, scores, merges = kept_pieces(pieces, count_pieces(pieces, _docs(texts)) > 0)
    new = pieces.with_pieces(names, scores=scores, merges=merges)
    assert [_cut(new, text) for text in texts] == [_cut(old, text) for text in texts]
    if kind != "WordPiece":
        # Other texts can still be cut into something that is known; of these WordPieces one character is missing
        assert old.unk_token not in _cut(new, data.draw(st.text("abc ", max_size=12)))[0]


def test_what_was_not_used_decides_as_well():
    # With what is left of these, an unknown character would cost less than three pieces, and "abc" would be known
    scores = {
        "<unk>": 0.0,
        "\u2581": -1.0,
        "xyz": -1.0,
        "zé": -9.0,
        "x": -9.0,
        "y": -9.0,
        "z": -9.0,
        "rare": -30.0,
    }
    unigram = Tokenizer(models.Unigram(list(scores.items()), 0))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<unk>", "a", "b", "ab", "##bc", "##b"]
    wordpiece = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    for tokenizer, texts, cut in (
        (unigram, ["xyzé", "xyz"], ["\u2581", "x", "y", "zé"]),
        (wordpiece, ["abc", "bbc"], ["<unk>"]),
    ):
        pieces = Pieces(PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>"), "old")
        kept, scores, merges = kept_pieces(pieces, count_pieces(pieces, _docs(texts)) > 0)
        new = pieces.with_pieces(kept, scores=scores, merges=merges)
        assert new.tokenize(texts[0]) == pieces.tokenizer.tokenize(texts[0]) == cut


def _tokenizer(kind, seed):
    """A tokenizer with a vocabulary drawn by chance, in which many words can be cut in several ways."""
    random = np.random.default_rng(seed)
    parts = ["".join(random.choice(list("abcé"), size)) for size in (2, 2, 2, 3, 3, 4, 4, 5) for _ in range(3)]
    parts = list(dict.fromkeys(parts))
    if kind == "Unigram":
        names = ["<unk>", "\u2581", *"abc", *parts, *(f"\u2581{part}" for part in parts)]
        tokenizer = Tokenizer(models.Unigram([(name, -float(random.integers(1, 12))) for name in names], 0))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    elif kind == "WordPiece":
        names = ["<unk>", *"abc", "##a", "##b", *parts, *(f"##{part}" for part in parts)]
        tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    else:
        chars = ["<unk>", "\u2581", *"abc"]
        merges = [(str(a), str(b)) for a, b in random.choice(list("\u2581abc"), (6, 2))]
        made = ["".join(merge) for merge in merges]
        merges += [(str(a), str(b)) for a, b in random.choice([*made, *"abc"], (12, 2))]
        merges = list(dict.fromkeys(merges))
        names = dict.fromkeys([*chars, *("".join(merge) for merge in merges)])
        tokenizer = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, merges, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def test_pieces_that_are_used_too_seldom_go(unigram, tmp_path):
    texts = ["Maria"] * 3 + ["Lisboa"]
    trim(str(unigram), _docs(texts), tmp_path / "all")
    summary = trim(str(unigram), _docs(texts), tmp_path / "some", min_count=2)
    every, some = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("all", "some"))
    assert some.tokenize("Maria") == every.tokenize("Maria")
    gone = set(every.tokenize("Lisboa")) - set(some.get_vocab())
    assert gone and all(len(piece) > 1 for piece in gone)
    assert summary["pieces_after"] == len(some) < len(every)
    assert summary["mb_after"] < summary["mb_before"]


def test_an_aligner_links_as_before(unigram, tmp_path):
    pair = "Maria mora em Lisboa .".split(), "Maria lives in Lisboa .".split()
    trim(str(unigram), _docs([" ".join(side) for side in pair]), tmp_path / "out")
    before, after = (EmbeddingAligner(model=str(at), layer=2) for at in (unigram, tmp_path / "out"))
    assert len(before.align([pair])[0]) and after.align([pair])[0].to_pharaoh() == before.align([pair])[0].to_pharaoh()


def test_the_padding_of_a_roberta_keeps_its_place(make_encoder):
    tokenizer = AutoTokenizer.from_pretrained(make_encoder("BPE", kind="roberta"))
    pieces = Pieces(tokenizer, "model")
    names, _, _ = kept_pieces(pieces, np.zeros(len(tokenizer), bool), padding=270)
    assert names[:271] == pieces.names[:271] and len(names) < len(pieces.names)


def test_trimming_again_changes_nothing(unigram, tmp_path):
    for model, output in ((unigram, "a"), (tmp_path / "a", "b")):
        trim(str(model), _docs(), tmp_path / output)
    for name in ("tokenizer.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_cannot_be_trimmed_is_an_error(unigram, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(XltError, match="E553"):
        trim(str(unigram), _docs(), tmp_path / "taken")
    with pytest.raises(XltError, match="E862.*no text"):
        trim(str(unigram), _docs([]), tmp_path / "out")
    with pytest.raises(XltError, match="E303.*no such folder"):
        trim(str(tmp_path / "nothing"), _docs(), tmp_path / "out")
    words = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(unigram)
    with pytest.raises(XltError, match="E860.*WordLevel"):
        trim(str(unigram), _docs(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_encoder_decoder_and_a_tokenizer_of_another_model_are_errors(unigram, make_encoder, tmp_path):
    from transformers import T5Config, T5Model

    AutoTokenizer.from_pretrained(unigram).save_pretrained(tmp_path / "t5")
    T5Model(T5Config(vocab_size=200, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)).save_pretrained(
        tmp_path / "t5"
    )
    with pytest.raises(XltError, match="E861.*T5Model"):
        trim(str(tmp_path / "t5"), _docs(), tmp_path / "out")
    (unigram / "tokenizer.json").write_bytes((make_encoder("BPE") / "tokenizer.json").read_bytes())
    with pytest.raises(XltError, match="E861.*more pieces than"):
        trim(str(unigram), _docs(), tmp_path / "out")
