"""Encoder: the layers of each architecture, and words as tokenizers see them."""

import numpy as np
import pytest
from helpers.tiny_encoder import make_tiny_encoder

from spacy_xlt.alignment.encoder import Encoder, precision_on, windows_of
from spacy_xlt.bundled import load
from spacy_xlt.errors import XltError


def _embed(encoder, texts, **settings):
    """The vectors of each text by itself."""
    rows = encoder.embed(texts, **settings).numpy()
    return np.split(rows, np.cumsum([len(text) for text in texts])[:-1], axis=-2)


def _tiny_config(kind):
    import transformers as t

    common = {"vocab_size": 47284, "pad_token_id": 1}
    bert = {**common, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    both = {**common, "d_model": 16, "encoder_layers": 3, "decoder_layers": 2, "encoder_ffn_dim": 32}
    both |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32}
    return {
        "bert": lambda: t.BertConfig(**bert, max_position_embeddings=20),
        "roberta": lambda: t.RobertaConfig(**bert, max_position_embeddings=20),
        "distilbert": lambda: t.DistilBertConfig(
            **common, dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=20
        ),
        "modernbert": lambda: t.ModernBertConfig(
            **bert, max_position_embeddings=20, bos_token_id=0, cls_token_id=0, eos_token_id=2, sep_token_id=2
        ),
        "xlm-roberta-xl": lambda: t.XLMRobertaXLConfig(**bert, max_position_embeddings=20),
        "t5": lambda: t.T5Config(**common, d_model=16, d_kv=8, d_ff=32, num_layers=3, num_heads=2),
        "m2m_100": lambda: t.M2M100Config(**both, max_position_embeddings=20),
    }[kind]()


@pytest.fixture(scope="module")
def tokenizer():
    return load("encoder-en-pt", layers=1)[1]


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "xlm-roberta-xl", "t5", "m2m_100"])
def test_each_architecture_gives_the_layer_of_the_whole_model(tmp_path, tokenizer, kind):
    import torch
    from transformers import AutoModel

    torch.manual_seed(1)
    whole = AutoModel.from_config(_tiny_config(kind)).eval()
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = [np.asarray([100, 200, 300, 400]), np.asarray([500]), np.asarray([], np.int64)]
    inner = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    with torch.no_grad():
        outputs = [inner(input_ids=torch.tensor([[0, *t, 2]]), output_hidden_states=True) for t in texts[:2]]
    for layer in (0, 2, 3):
        encoder = Encoder(str(tmp_path), layer)
        found = _embed(encoder, texts, batch_tokens=100)
        assert [len(vectors) for vectors in found] == [4, 1, 0]
        for output, vectors in zip(outputs, found, strict=False):
            assert np.allclose(output.hidden_states[layer][0, 1:-1].numpy(), vectors, atol=1e-5)
    # Beyond the positions of the model
    assert np.isfinite(encoder.embed([np.arange(100, 160)], batch_tokens=64).numpy()).all()


def test_byte_level_tokenizers_see_a_space_before_each_word(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    alphabet = sorted({"<s>", "<pad>", "</s>", "<unk>", "Ġ", *"abc"}, key=lambda t: (len(t) == 1, t))
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(alphabet)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ends = [(piece, alphabet.index(piece)) for piece in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends)
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "model_max_length": 20}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path)
    config = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    RobertaModel(RobertaConfig(vocab_size=len(alphabet), **config)).save_pretrained(tmp_path)
    pieces = Encoder(str(tmp_path), 1).pieces(["ab", "c"])
    assert pieces == {"ab": [alphabet.index(p) for p in ("Ġ", "a", "b")], "c": [alphabet.index(p) for p in ("Ġ", "c")]}


def test_words_of_scripts_without_spaces_have_no_piece_that_is_a_space():
    encoder = Encoder("bundled:encoder", 1)
    pieces = {
        word: encoder.tokenizer.convert_ids_to_tokens(ids) for word, ids in encoder.pieces(["半島", "…Ω"]).items()
    }
    assert encoder.tokenizer.tokenize("半島")[0] == "▁" and pieces["半島"] == ["半", "島"]
    # In other scripts words do begin with a space
    assert pieces["…Ω"][0].startswith("▁")


def test_windows_cover_a_text_once_with_context_on_both_sides():
    for length in (1, 9, 10, 11, 17, 18, 100):
        windows = list(windows_of(3, length, 10))
        kept = [i for w in windows for i in range(w.keep_from, w.keep_to)]
        assert kept == list(range(length))
        for w in windows:
            assert w.text == 3 and 0 < w.end - w.start <= 10
            assert w.start <= w.keep_from < w.keep_to <= w.end
            assert w.keep_from == 0 or w.keep_from - w.start >= 1


def test_auto_precision_depends_on_the_device():
    import torch

    assert precision_on(torch.device("cuda"), "auto") == "float16"
    assert precision_on(torch.device("cpu"), "auto") in ("float32", "bfloat16")
    assert precision_on(torch.device("cpu"), "float32") == "float32"


def test_bfloat16_changes_vectors_little(tmp_path):
    folder = str(make_tiny_encoder(tmp_path / "tiny"))
    texts = [np.arange(10, 60), np.arange(30, 40)]
    exact = _embed(Encoder(folder, 3), texts, batch_tokens=128)
    rounded = _embed(Encoder(folder, 3, precision="bfloat16"), texts, batch_tokens=128)
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == np.float32 and not np.array_equal(a, b)
        assert (np.einsum("kd,kd->k", a, b) > 0.999 * np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)).all()


def test_a_model_without_a_vector_for_each_piece_is_an_error(tmp_path, tokenizer):
    import transformers as t

    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    t.ViTModel(t.ViTConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(XltError, match="E341.*encoder of text"):
        Encoder(str(tmp_path), 2)


def test_pieces_that_the_model_lacks_are_an_error(tmp_path, tokenizer):
    import transformers as t

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    t.BertModel(t.BertConfig(**sizes, vocab_size=10, max_position_embeddings=64)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(XltError, match="E342.*'Lisboa'.*10 pieces"):
        Encoder(str(tmp_path), 1).pieces(["Lisboa"])


def test_the_choice_of_attention_kernels_holds_only_while_the_model_runs(tmp_path, monkeypatch):
    import torch

    from spacy_xlt.alignment import encoder as encoders

    switch, seen = torch.backends.cuda.cudnn_sdp_enabled, []
    context, forward = encoders.without_cudnn_attention, Encoder.forward
    monkeypatch.setattr(encoders, "without_cudnn_attention", lambda device: context(torch.device("cuda")))
    monkeypatch.setattr(Encoder, "forward", lambda *args, **rest: seen.append(switch()) or forward(*args, **rest))
    before = switch()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        Encoder(str(make_tiny_encoder(tmp_path)), 1).embed([np.arange(10, 20)], batch_tokens=64)
        assert seen == [False] and switch()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
