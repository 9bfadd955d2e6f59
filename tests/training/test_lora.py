"""PeftTransformerModel: few weights are trained, and what is saved is an ordinary transformer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy
import pytest
import spacy
import torch
from helpers.mixed_sources import mixed, source
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_training import encoder_of, entities, make_examples, make_pipeline, output, update
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_model_from_config
from thinc.api import Config

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.training import lora
from spacy_xlt.training.callbacks import FreezeEncoder, encoder_layers
from spacy_xlt.training.lora import merge_lora, plain_config
from spacy_xlt.training.windows import WordPieceBatcher

KINDS = ("bert", "xlm-roberta", "distilbert", "deberta-v2")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("encoders")
    return {kind: str(make_tiny_encoder(folder / kind, kind=kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def encoder(encoders) -> str:
    return encoders["bert"]


def state(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder_of(nlp).state_dict().items()}


def trained(before: dict[str, torch.Tensor], nlp: Language) -> set[str]:
    """Names of the weights that are no longer what they were."""
    return {name for name, value in encoder_of(nlp).state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_pipeline_is_an_ordinary_one_with_the_same_output(encoders, kind, tmp_path):
    nlp = make_pipeline(encoders[kind], peft="lora")
    untrained = output(nlp)
    update(nlp, times=20)
    assert not numpy.allclose(output(nlp), untrained, atol=1e-3)
    merge_lora(nlp).to_disk(tmp_path / "saved")
    saved = spacy.load(tmp_path / "saved")
    assert numpy.allclose(output(nlp), output(saved), atol=1e-5)
    assert entities(saved) == entities(nlp)
    block = Config().from_disk(tmp_path / "saved" / "config.cfg")["components"]["transformer"]["model"]
    assert block["@architectures"] == "spacy-transformers.TransformerModel.v3"
    assert "spacy_xlt" not in str(block) and "peft" not in block
    # The pipeline in memory still is what it was
    assert nlp.config["components"]["transformer"]["model"]["peft"] == "lora"
    assert merge_lora(saved) is saved


def test_only_the_matrices_are_trained(encoder):
    nlp = make_pipeline(encoder, peft="lora")
    before = state(nlp)
    update(nlp)
    own = {name for name, weight in encoder_of(nlp).named_parameters() if weight.requires_grad}
    changed = trained(before, nlp)
    assert changed and changed <= own
    assert all(weight.grad is None for name, weight in encoder_of(nlp).named_parameters() if name not in own)
    assert sum(before[name].numel() for name in own) < sum(value.numel() for value in before.values()) / 5


def test_saving_does_not_change_what_is_trained(encoder, tmp_path):
    saved, other = (make_pipeline(encoder, peft="lora") for _ in range(2))
    optimizers = update(saved), update(other)
    before = state(saved)
    merge_lora(saved).to_disk(tmp_path / "checkpoint")
    saved.to_bytes()
    assert not trained(before, saved)
    update(saved, optimizer=optimizers[0]), update(other, optimizer=optimizers[1])
    assert not trained(state(other), saved)


def test_what_was_saved_is_trained_further(encoder, tmp_path):
    nlp = make_pipeline(encoder, peft="lora")
    update(nlp)
    merge_lora(nlp).to_disk(tmp_path / "saved")
    plain = spacy.load(tmp_path / "saved")
    before = state(plain)
    plain.resume_training()
    update(plain)
    assert "embeddings.word_embeddings.weight" in trained(before, plain)
    # Read back by a pipeline with adapters: new ones, on the merged weights.
    nlp.from_disk(tmp_path / "saved")
    assert numpy.allclose(output(nlp), output(spacy.load(tmp_path / "saved")), atol=1e-5)
    before = state(nlp)
    update(nlp)
    assert trained(before, nlp) and all("lora_" in name for name in trained(before, nlp))


@pytest.mark.parametrize(("kind", "method"), [("bert", "lora"), ("distilbert", None), ("deberta-v2", "lora")])
def test_checkpointing_runs_layers_twice_for_the_same_gradients(encoders, kind, method):
    runs, gradients = [], []
    for checkpointing in (False, True):
        settings = {"peft": method, "gradient_checkpointing": checkpointing}
        nlp = make_pipeline(encoders[kind], dropout=False, **settings)
        FreezeEncoder(embeddings=True)(nlp)
        seen = []
        # Of a module inside the layer: checkpointing takes place at the layer's own call.
        first = next(iter(encoder_layers(encoder_of(nlp))[0].children()))
        first.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        spacy.util.fix_random_seed(1)
        nlp.update(make_examples(nlp), sgd=None)
        runs.append(len(seen))
        named = encoder_of(nlp).named_parameters()
        gradients.append({name: weight.grad for name, weight in named if weight.grad is not None})
    assert runs == [1, 2]
    assert gradients[0] and set(gradients[0]) == set(gradients[1])
    assert all(torch.allclose(gradients[0][name], gradients[1][name], atol=1e-5) for name in gradients[0])


def test_bfloat16_is_for_training_alone(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr(lora, "_cpu_has_bfloat16", lambda: True)
    half, single = (make_pipeline(encoder, dropout=False, mixed_precision=p) for p in ("bfloat16", False))
    types = []
    encoder_of(half).encoder.layer[0].intermediate.dense.register_forward_hook(lambda *a: types.append(a[2].dtype))
    assert numpy.array_equal(output(half), output(single)) and set(types) == {torch.float32}
    types.clear()
    gradients = []
    for nlp in (half, single):
        nlp.update(make_examples(nlp), sgd=None)
        weights = [weight for weight in encoder_of(nlp).parameters() if weight.grad is not None]
        assert {weight.dtype for weight in weights} == {weight.grad.dtype for weight in weights} == {torch.float32}
        gradients.append(torch.cat([weight.grad.flatten() for weight in weights]))
    assert set(types) == {torch.bfloat16}
    assert 0.99 < torch.cosine_similarity(*gradients, dim=0) and not torch.equal(*gradients)
    update(half)
    merge_lora(half).to_disk(tmp_path / "saved")
    saved = spacy.load(tmp_path / "saved")
    assert numpy.allclose(output(saved), output(half), atol=1e-6)
    assert saved.config["components"]["transformer"]["model"]["mixed_precision"] is False


def test_a_cpu_without_bfloat16_trains_in_float32_and_says_so(encoder, monkeypatch):
    monkeypatch.setattr(lora, "_cpu_has_bfloat16", lambda: False)
    with pytest.warns(XltWarning, match="W620.*bfloat16.*CPU"):
        half = make_pipeline(encoder, mixed_precision="bfloat16")
    single = make_pipeline(encoder)
    update(half), update(single)
    assert numpy.array_equal(output(half), output(single))


def test_without_settings_it_trains_as_spacy_transformers_does(encoder):
    ours = make_pipeline(encoder, initialize=False)
    stock = load_model_from_config(plain_config(ours.config))
    assert type(stock.get_pipe("transformer").model).__name__ == "TransformerModel"
    for nlp in (ours, stock):
        spacy.util.fix_random_seed(0)
        nlp.initialize(lambda nlp=nlp: make_examples(nlp))
        update(nlp)
    assert numpy.array_equal(output(ours), output(stock))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rank", 0),
        ("alpha", 0),
        ("dropout", 1.0),
        ("mixed_precision", "float8"),
        ("peft", "prompt"),
    ],
)
def test_an_invalid_setting_is_named(setting, value):
    with pytest.raises(XltError, match=rf"E150.*`{setting}` of LoraSettings is {value!r}"):
        lora.LoraSettings(**{setting: value})


def test_without_peft_only_lora_is_missing(encoder, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    make_pipeline(encoder)
    with pytest.raises(XltError, match=r"E106.*'lora'.*pip install 'spacy-xlt\[peft\]'"):
        make_pipeline(encoder, peft="lora", initialize=False)


def test_an_architecture_that_peft_does_not_know_gets_matrices_in_all_linear_modules(encoder, monkeypatch):
    from peft.utils import constants

    monkeypatch.setattr(constants, "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING", {})
    nlp = make_pipeline(encoder, peft="lora")
    names = [name for name, weight in encoder_of(nlp).named_parameters() if weight.requires_grad]
    assert {name.partition(".lora_")[0].rpartition(".")[2] for name in names} == {"query", "key", "value", "dense"}


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


def test_names_that_are_no_modules_are_told_with_those_that_are(encoder):
    with pytest.raises(XltError, match="E632.*q_lin, v_lin.*dense, key, query, value"):
        make_pipeline(encoder, peft="lora", target_modules=["query", "q_lin", "v_lin"])


def test_an_encoder_that_is_not_there():
    with pytest.raises(XltError, match="E303.*no/such/encoder.*`name`"):
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
        list(mixed({"a": source(write_corpus([doc]))}, encoder=slow_encoder)(nlp))
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_on_a_gpu(encoder, precision, tmp_path):
    from thinc.api import require_cpu, require_gpu

    require_gpu()
    try:
        nlp = make_pipeline(encoder, peft="lora", mixed_precision=precision, gradient_checkpointing=True)
        before = state(nlp)
        update(nlp, times=10)
        assert trained(before, nlp)
        merge_lora(nlp).to_disk(tmp_path / "saved")
        assert numpy.allclose(output(nlp).get(), output(spacy.load(tmp_path / "saved")).get(), atol=2e-2)
        saved = Config().from_disk(tmp_path / "saved" / "config.cfg")["components"]["transformer"]["model"]
        assert saved["mixed_precision"] is (precision == "float16")
    finally:
        require_cpu()
