"""What PeftTransformerModel says of settings that cannot be, and of encoders that do not have what is asked of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import spacy
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_training import encoder_of, make_pipeline
from spacy.tokens import Doc
from spacy_xlt.training.batching import WordPieceBatcher
from spacy_xlt.training.corpus import create_corpus
from spacy_xlt.training.peft.settings import PeftSettings

from spacy_xlt.errors import XltError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def slow_encoder(encoder, tmp_path_factory) -> str:
    """The same encoder with a tokenizer that exists in Python alone."""
    from transformers import ProphetNetTokenizer

    folder = tmp_path_factory.mktemp("slow")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(Path(encoder, name), folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "maria", "lisboa", "hello", "."]
    Path(folder, "words.txt").write_text("\n".join(words), encoding="utf8")
    ProphetNetTokenizer(str(folder / "words.txt")).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rank", 0),
        ("alpha", 0),
        ("dropout", 1.0),
        ("layers", 0),
        ("freeze_layers", -1),
        ("mixed_precision", "float8"),
        ("target_modules", []),
        ("peft", "prompt"),
    ],
)
def test_a_setting_that_cannot_be_is_named(setting, value):
    with pytest.raises(XltError, match=rf"E601.*`{setting}` is {re.escape(repr(value))}"):
        PeftSettings(**{"method" if setting == "peft" else setting: value})


def test_without_peft_only_adapters_are_missing(encoder, monkeypatch):
    monkeypatch.setattr("spacy_xlt.training.peft.settings.find_spec", lambda name: None)
    make_pipeline(encoder, freeze_embeddings=True, layers=1)
    with pytest.raises(XltError, match=r"E631.*'lora'.*pip install 'spacy-xlt\[peft\]'"):
        make_pipeline(encoder, peft="lora", initialize=False)


def test_names_that_are_no_modules_are_told_with_those_that_are(encoder):
    with pytest.raises(XltError, match="E632.*q_lin, v_lin.*dense, key, query, value"):
        make_pipeline(encoder, peft="lora", target_modules=["query", "q_lin", "v_lin"])


def test_where_no_default_fits_the_modules_are_told(encoder, monkeypatch):
    monkeypatch.setattr("spacy_xlt.training.peft.adapters._KEYS", frozenset())
    monkeypatch.setattr("spacy_xlt.training.peft.adapters._VALUES", frozenset())
    monkeypatch.setattr("spacy_xlt.training.peft.adapters._FEED_FORWARD", frozenset())
    with pytest.raises(XltError, match="E633.*'ia3'.*dense, key, query, value"):
        make_pipeline(encoder, peft="ia3")


def test_an_architecture_with_other_names_gets_adapters_in_all_of_its_layers(tmp_path):
    folder = make_tiny_encoder(tmp_path / "encoder", kind="bert")
    nlp = make_pipeline(str(folder), peft="lora", initialize=False)
    import spacy_xlt.training.peft.adapters as adapters

    encoder_names = {"query", "key", "value", "dense"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapters, "_QUERIES", frozenset())
        patch.setattr(adapters, "_VALUES", frozenset())
        nlp.initialize()
    named = [name for name, weight in encoder_of(nlp).named_parameters() if weight.requires_grad]
    assert {name.partition(".lora_")[0].rpartition(".")[2] for name in named} == encoder_names
    assert not any(name.startswith("pooler") for name in named)


@pytest.mark.parametrize(("setting", "method"), [("layers", None), ("freeze_layers", None), ("freeze_layers", "lora")])
def test_more_layers_than_there_are(encoder, setting, method):
    with pytest.raises(XltError, match=f"E604.*`{setting}` is 4.* has 3 layers"):
        make_pipeline(encoder, peft=method, **{setting: 4})


def test_an_encoder_that_is_not_there():
    with pytest.raises(XltError, match="E634.*no/such/encoder.*`name`"):
        make_pipeline("no/such/encoder")


def test_an_encoder_that_cannot_checkpoint(encoder, monkeypatch):
    monkeypatch.setattr("transformers.BertModel.supports_gradient_checkpointing", False)
    with pytest.raises(XltError, match="E635.*gradient_checkpointing.*BertModel"):
        make_pipeline(encoder, gradient_checkpointing=True)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_encoder_without_a_fast_tokenizer_is_refused_where_offsets_are_needed(slow_encoder, make_doc, write_corpus):
    doc = make_doc("Maria canta .", (0, 1, "PER"))
    nlp = spacy.blank("pt")
    with pytest.raises(XltError, match="E630.*ProphetNetTokenizer.*`name`"):
        make_pipeline(slow_encoder)
    with pytest.raises(XltError, match="E630.*ProphetNetTokenizer.*`encoder`"):
        list(create_corpus(write_corpus([doc]), slow_encoder)(nlp))
    examples = [spacy.training.Example(Doc(nlp.vocab, words=["Maria"]), Doc(nlp.vocab, words=["Maria"]))]
    with pytest.raises(XltError, match="E630.*ProphetNetTokenizer.*`encoder`"):
        list(WordPieceBatcher(encoder=slow_encoder)(examples))


def test_a_fast_tokenizer_that_is_switched_off_is_refused(tmp_path):
    from transformers import BertTokenizerFast

    folder = make_tiny_encoder(tmp_path / "encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "maria", "."]
    Path(tmp_path, "vocab.txt").write_text("\n".join(words), encoding="utf8")
    BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(folder)
    make_pipeline(str(folder))
    with pytest.raises(XltError, match="E630.*BertTokenizer,.*use_fast"):
        make_pipeline(str(folder), tokenizer_config={"use_fast": False})
