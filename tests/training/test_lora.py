"""PeftTransformerModel: few weights are trained, and what is saved is an ordinary transformer."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import spacy
import torch
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_training import encoder_of, entities, make_examples, make_pipeline, output, update
from spacy.language import Language
from spacy.util import load_model_from_config
from spacy_xlt.training.peft.plain import plain_config
from spacy_xlt.training.peft.settings import METHODS
from thinc.api import Config, Optimizer

from spacy_xlt.errors import XltWarning

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


@pytest.mark.parametrize(
    ("kind", "method"), [*((kind, "lora") for kind in KINDS), *(("bert", method) for method in METHODS[1:])]
)
def test_the_saved_pipeline_is_an_ordinary_one_with_the_same_output(encoders, kind, method, tmp_path):
    nlp = make_pipeline(encoders[kind], peft=method)
    untrained = output(nlp)
    update(nlp, times=20)
    assert not numpy.allclose(output(nlp), untrained, atol=1e-3)
    nlp.to_disk(tmp_path / "saved")
    saved = spacy.load(tmp_path / "saved")
    assert numpy.allclose(output(nlp), output(saved), atol=1e-5)
    assert entities(saved) == entities(nlp)
    block = Config().from_disk(tmp_path / "saved" / "config.cfg")["components"]["transformer"]["model"]
    assert block["@architectures"] == "spacy-transformers.TransformerModel.v3"
    assert "spacy_xlt" not in str(block) and "peft" not in block
    # The pipeline in memory still is what it was, also for `spacy init fill-config`.
    assert nlp.config["components"]["transformer"]["model"]["peft"] == method


@pytest.mark.parametrize("method", METHODS)
def test_only_the_adapters_are_trained(encoder, method):
    nlp = make_pipeline(encoder, peft=method)
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
    saved.to_disk(tmp_path / "checkpoint")
    saved.to_bytes()
    assert not trained(before, saved)
    update(saved, optimizer=optimizers[0]), update(other, optimizer=optimizers[1])
    assert not trained(state(other), saved)


def test_what_was_saved_is_trained_further(encoder, tmp_path):
    nlp = make_pipeline(encoder, peft="lora")
    update(nlp)
    nlp.to_disk(tmp_path / "saved")
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


def test_bytes_are_read_by_a_plain_pipeline(encoder):
    nlp = make_pipeline(encoder, peft="lora", layers=2)
    update(nlp)
    config = plain_config(nlp.config)
    assert config["components"]["transformer"]["model"]["transformer_config"]["num_hidden_layers"] == 2
    plain = load_model_from_config(config).from_bytes(nlp.to_bytes())
    assert type(plain.get_pipe("transformer").model).__name__ == "TransformerModel"
    assert numpy.allclose(output(plain), output(nlp), atol=1e-5)


def test_averages_are_used_and_taken_away_again(encoder, tmp_path):
    nlp = make_pipeline(encoder, peft="lora")
    optimizer = update(nlp, times=6, optimizer=Optimizer(0.01, use_averages=True))
    before, last = state(nlp), output(nlp)
    with nlp.use_params(optimizer.averages):
        averaged = output(nlp)
        nlp.to_disk(tmp_path / "saved")
    assert not numpy.allclose(averaged, last, atol=1e-4)
    assert numpy.allclose(output(spacy.load(tmp_path / "saved")), averaged, atol=1e-5)
    assert not trained(before, nlp) and numpy.array_equal(output(nlp), last)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_lowest_layers_are_kept(encoders, kind, tmp_path):
    from transformers import AutoModel

    nlp = make_pipeline(encoders[kind], layers=2)
    ids = torch.arange(4, 20)[None]
    encoder = encoder_of(nlp).eval()
    whole = AutoModel.from_pretrained(encoders[kind], output_hidden_states=True).eval()
    assert torch.allclose(encoder(ids).last_hidden_state, whole(ids).hidden_states[2], atol=1e-5)
    nlp.to_disk(tmp_path / "saved")
    saved = spacy.load(tmp_path / "saved")
    assert encoder_of(saved).config.num_hidden_layers == 2
    assert numpy.allclose(output(saved), output(nlp), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_is_frozen_stays_and_the_rest_is_trained(encoders, kind):
    nlp = make_pipeline(encoders[kind], freeze_embeddings=True, freeze_layers=1)
    before = state(nlp)
    update(nlp)
    changed = trained(before, nlp)
    assert changed and not any("embeddings." in name.replace("rel_embeddings", "") for name in changed)
    assert {name.split("layer.")[1][0] for name in changed if "layer." in name} == {"1", "2"}


def test_frozen_layers_get_no_adapters(encoder):
    nlp = make_pipeline(encoder, peft="lora", freeze_layers=2, target_modules=["query", "attention.output.dense"])
    own = [name for name, weight in encoder_of(nlp).named_parameters() if weight.requires_grad]
    assert own and all(name.startswith("encoder.layer.2.attention.") for name in own)
    assert {name.partition(".lora_")[0].rpartition(".")[2] for name in own} == {"query", "dense"}


def test_an_encoder_that_is_frozen_as_a_whole_still_feeds_the_head(encoder):
    nlp = make_pipeline(encoder, freeze_embeddings=True, freeze_layers=3)
    before, head = state(nlp), nlp.get_pipe("ner").model.to_bytes()
    update(nlp)
    assert not trained(before, nlp) and nlp.get_pipe("ner").model.to_bytes() != head


@pytest.mark.parametrize(("kind", "method"), [("bert", "lora"), ("distilbert", None), ("deberta-v2", "lora")])
def test_checkpointing_runs_layers_twice_for_the_same_gradients(encoders, kind, method):
    from spacy_xlt.training.freezing import encoder_layers

    runs, gradients = [], []
    for checkpointing in (False, True):
        settings = {"peft": method, "freeze_embeddings": True, "gradient_checkpointing": checkpointing}
        nlp = make_pipeline(encoders[kind], dropout=False, **settings)
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
    monkeypatch.setattr("spacy_xlt.training.peft.precision._cpu_has_bfloat16", lambda: True)
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
    half.to_disk(tmp_path / "saved")
    saved = spacy.load(tmp_path / "saved")
    assert numpy.allclose(output(saved), output(half), atol=1e-6)
    assert saved.config["components"]["transformer"]["model"]["mixed_precision"] is False


def test_a_cpu_without_bfloat16_trains_in_float32_and_says_so(encoder, monkeypatch):
    monkeypatch.setattr("spacy_xlt.training.peft.precision._cpu_has_bfloat16", lambda: False)
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


def test_a_component_that_takes_the_encoder_for_itself_is_saved_plain(encoder, tmp_path):
    nlp = make_pipeline(encoder, peft="lora")
    update(nlp)
    found = entities(nlp)
    nlp.replace_listeners("transformer", "ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path / "saved")
    assert "spacy_xlt" not in Path(tmp_path, "saved", "config.cfg").read_text()
    assert entities(spacy.load(tmp_path / "saved")) == found == entities(nlp)


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
        nlp.to_disk(tmp_path / "saved")
        assert numpy.allclose(output(nlp).get(), output(spacy.load(tmp_path / "saved")).get(), atol=2e-2)
        saved = Config().from_disk(tmp_path / "saved" / "config.cfg")["components"]["transformer"]["model"]
        assert saved["mixed_precision"] is (precision == "float16")
    finally:
        require_cpu()
