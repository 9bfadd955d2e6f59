"""Encoder: the layers of each architecture, several from one pass, and words as tokenizers see them."""

import numpy as np
import pytest

from spacy_xlt.alignment.encoder import Encoder
from spacy_xlt.bundled import load
from spacy_xlt.errors import XltError

SMALL = "bundled:encoder-en-pt"


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


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "xlm-roberta-xl", "t5", "m2m_100"])
@pytest.mark.parametrize("layer", [0, 2, 3])
def test_each_architecture_gives_the_layer_of_the_whole_model(tmp_path, kind, layer):
    import torch
    from transformers import AutoModel

    torch.manual_seed(1)
    whole = AutoModel.from_config(_tiny_config(kind)).eval()
    whole.save_pretrained(tmp_path)
    _, tokenizer = load("encoder-en-pt", layers=1)
    tokenizer.save_pretrained(tmp_path)
    encoder = Encoder(str(tmp_path), layer)
    texts = [np.asarray([100, 200, 300, 400]), np.asarray([500]), np.asarray([], np.int64)]
    found = encoder.embed(texts, batch_tokens=100)
    assert [len(vectors) for vectors in found] == [4, 1, 0]
    inner = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    for text, vectors in zip(texts[:2], found, strict=False):
        with torch.no_grad():
            output = inner(input_ids=torch.tensor([[0, *text, 2]]), output_hidden_states=True)
        assert np.allclose(output.hidden_states[layer][0, 1:-1].numpy(), vectors, atol=1e-5)
    # Beyond the positions of the model
    assert np.isfinite(encoder.embed([np.arange(100, 160)], batch_tokens=64)[0]).all()


def test_several_layers_come_from_one_pass():
    encoder = Encoder(SMALL, [2, 4])
    texts = [np.asarray([100, 200, 300]), np.asarray([], np.int64), np.arange(100, 700)]
    each = [Encoder(SMALL, layer).embed(texts, batch_tokens=700) for layer in (1, 2, 4)]
    together = encoder.embed(texts, batch_tokens=700, layers=[4, 1])
    mean = encoder.embed(texts, batch_tokens=700)
    for i, text in enumerate(texts):
        assert together[i].shape == (2, len(text), 384)
        assert np.allclose(together[i], [each[2][i], each[0][i]], atol=1e-4)
        assert np.allclose(mean[i], (each[1][i] + each[2][i]) / 2, atol=1e-4)
    for layers in ([5], [-1], []):
        with pytest.raises(XltError, match="E340.*up to layer 4"):
            encoder.embed(texts, batch_tokens=700, layers=layers)


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
