"""EmbeddingAligner: any token, and encoders of other shapes, with tiny random weights."""

import numpy as np
import pytest
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.embedding import METHODS, EmbeddingAligner
from spacy_xlt.alignment.encoder import Encoder, precision_on
from spacy_xlt.errors import XltError

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
STRANGE = ["", " ", "\x00", "a\x00b", "\u200b", "\ud800", "a\udfffb", "😀", "\ufeff", "e\u0301", "x" * 3000, "ﷺ", "\n"]
PAIRS = [
    (STRANGE, STRANGE[::-1]),
    (["Maria", "née", "Silva"], ["Maria", "Silva"]),
    (["a"], ["b"]),
    ([], ["a"]),
    ([""], ["\u200b"]),
    (["some", "words", "."] * 300, ["words"] * 700),
]


def _save(folder, kind):
    import transformers as t

    if kind == "canine":
        model, tokenizer = t.CanineModel(t.CanineConfig(**SIZES, num_hash_buckets=64)), t.CanineTokenizer()
    else:
        config = t.T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=3, num_heads=2)
        whole = {"byt5": t.T5EncoderModel, "byt5-both": t.T5ForConditionalGeneration}[kind]
        model, tokenizer = whole(config), t.ByT5Tokenizer()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def aligners(folder):
    return [EmbeddingAligner(folder, layer=2, method=method) for method in METHODS]


tokens = st.lists(st.text(st.characters(), max_size=4) | st.sampled_from(STRANGE), max_size=20)


@given(pairs=st.lists(st.tuples(tokens, tokens), max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_tokens_give_links_between_them(aligners, pairs):
    for aligner in aligners:
        found = aligner.align(pairs)
        assert len(found) == len(pairs)
        for alignment, (source, target) in zip(found, pairs, strict=True):
            alignment.check(len(source), len(target))
            assert np.isfinite(alignment.scores).all()
            assert len({tuple(link) for link in alignment.links.tolist()}) == len(alignment)


@pytest.mark.parametrize("kind", ["canine", "byt5", "byt5-both"])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_character_and_byte_models_take_any_tokens(tmp_path, kind, precision):
    name = _save(tmp_path, kind)
    for layer in (0, 2):
        aligner = EmbeddingAligner(name, layer=layer, method="inter", precision=precision)
        found = aligner.align(PAIRS)
        for alignment, (source, target) in zip(found, PAIRS, strict=True):
            alignment.check(len(source), len(target))
            assert np.isfinite(alignment.scores).all()
        assert [len(alignment) for alignment in found[3:5]] == [0, 0]
        assert len(found[2]) == 1


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_a_layer_of_fewer_vectors_gives_each_character_that_of_its_group(tmp_path, layer):
    import torch
    from transformers import CanineModel

    name = _save(tmp_path, "canine")
    whole = CanineModel.from_pretrained(name).eval()
    text = np.asarray([ord(char) for char in "abcdefghij"])
    found = Encoder(name, layer).embed([text], batch_tokens=64)[0]
    ids = torch.tensor([[0xE000, *text, 0xE001]])
    with torch.no_grad():
        hidden = whole(input_ids=ids, output_hidden_states=True).hidden_states[layer][0].numpy()
    places = np.arange(1, 11) * len(hidden) // 12
    assert np.allclose(found, hidden[places], atol=1e-5)


def test_a_precision_that_the_model_cannot_compute_in_is_an_error(tmp_path):
    with pytest.raises(XltError, match="E341.*BFloat16"):
        EmbeddingAligner(_save(tmp_path, "canine"), layer=1, precision="bfloat16").align([(["a"], ["b"])])


def test_pieces_that_the_model_lacks_are_an_error(folder, tmp_path):
    from transformers import AutoTokenizer, BertConfig, BertModel

    BertModel(BertConfig(**SIZES, vocab_size=10, max_position_embeddings=64)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(XltError, match="E342.*'Lisboa'.*10 pieces"):
        EmbeddingAligner(str(tmp_path), layer=1).align([(["Lisboa"], ["b"])])


def test_a_model_without_layers_of_text_is_an_error(folder, tmp_path):
    from transformers import AutoTokenizer, ViTConfig, ViTModel

    ViTModel(ViTConfig(**SIZES, image_size=16, patch_size=8)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(XltError, match="E341.*encoder of text"):
        EmbeddingAligner(str(tmp_path), layer=1).align([(["a"], ["b"])])


def test_auto_precision_depends_on_the_device_and_keeps_what_promises_simaligns_links():
    import torch

    assert precision_on(torch.device("cuda"), "auto") == "float16"
    assert precision_on(torch.device("cpu"), "auto") in ("float32", "bfloat16")
    assert precision_on(torch.device("cpu"), "float32") == "float32"
    assert EmbeddingAligner(method="inter").signature.count("precision:float32") == 1
    assert EmbeddingAligner(method="softmax").signature.count("precision:auto") == 1
    with pytest.raises(XltError, match="E301.*`precision` is 'int8'.*auto, float32"):
        EmbeddingAligner(precision="int8")


def test_bfloat16_changes_vectors_little(folder):
    texts = [np.arange(10, 60), np.arange(30, 40)]
    exact = Encoder(folder, 3).embed(texts, batch_tokens=128)
    rounded = Encoder(folder, 3, precision="bfloat16").embed(texts, batch_tokens=128)
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == np.float32 and not np.array_equal(a, b)
        assert (np.einsum("kd,kd->k", a, b) > 0.999 * np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)).all()
