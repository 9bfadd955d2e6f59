"""Training a part of a model: what else there is stays as it was, and an ordinary model folder comes out."""

import numpy as np
import pytest
import torch
from helpers.adapting import PARTS, SMALL, adapt_tiny, objectives, weights
from helpers.tiny_encoder import make_tiny_encoder

from spacy_xlt.adapting import parts
from spacy_xlt.adapting.config import read_adapting
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.parts import LoraPart, SparsePart
from spacy_xlt.adapting.trainer import mixed_batches
from spacy_xlt.errors import XltError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def _changed(tiny, folder):
    """Where the weights of an adapted folder are others, by name; those without any left out."""
    before = weights(tiny)
    after = weights(folder)
    where = {name: value != before[name] for name, value in after.items() if name in before}
    return {name: mask for name, mask in where.items() if mask.any()}


def _trainable(name):
    return not name.startswith(("embeddings.", "pooler."))


@pytest.mark.parametrize("embeddings", [False, True])
def test_lora_changes_the_matrices_it_adapts_alone(tiny, tmp_path, embeddings):
    from transformers import AutoModel

    adapt_tiny(tiny, tmp_path / "out", part="lora", embeddings=embeddings)
    adapted = {f"encoder.layer.{i}.attention.self.{side}.weight" for i in (0, 1) for side in ("query", "value")}
    tables = {name for name in weights(tiny) if name.endswith("_embeddings.weight")}
    assert len(tables) == 3
    assert set(_changed(tiny, tmp_path / "out")) == (adapted | tables if embeddings else adapted)
    adapt_tiny(tiny, tmp_path / "all")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in (tmp_path / "all").iterdir()}
    assert weights(tmp_path / "out").keys() == weights(tmp_path / "all").keys()
    AutoModel.from_pretrained(tmp_path / "out")


def test_lora_changes_a_matrix_by_its_rank(tiny, tmp_path):
    adapt_tiny(tiny, tmp_path / "out", part="lora")
    name = "encoder.layer.0.attention.self.query.weight"
    change = weights(tmp_path / "out")[name].astype(np.float64) - weights(tiny)[name]
    sizes = np.linalg.svd(change, compute_uv=False)
    assert sizes[1] > 1e-5 and sizes[2] < 1e-3 * sizes[1]


def test_lora_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(parts, "find_spec", lambda name: None)
    with pytest.raises(XltError, match=r"E106.*pip install 'spacy-xlt\[peft\]', or set `part` to null"):
        LoraPart()


def test_sparse_changes_exactly_its_share_of_the_weights(tiny, tmp_path):
    adapt_tiny(tiny, tmp_path / "out", part="sparse", steps=20)
    changed = _changed(tiny, tmp_path / "out")
    n = sum(value.size for name, value in weights(tmp_path / "out").items() if _trainable(name))
    assert all(map(_trainable, changed)) and sum(mask.sum() for mask in changed.values()) == round(0.05 * n)


def test_sparse_trains_those_of_the_greatest_squared_gradients(tiny, tmp_path):
    adapt_tiny(tiny, tmp_path / "out", part="sparse", steps=20)
    model, objective = AdaptedModel(str(tiny), layers=2, max_pieces=60), objectives()["self_align"]
    batches = mixed_batches({"a": objective.prepare(model)}, {"a": 1.0}, batch_tokens=SMALL["batch_tokens"], seed=0)
    named = {name: weight for name, weight in model.encoder.model.named_parameters() if _trainable(name)}
    sums = {name: np.zeros(tuple(weight.shape)) for name, weight in named.items()}
    for _ in range(4):
        model.encoder.model.zero_grad()
        objective.loss(model, next(batches)[1], np.random.default_rng(0)).backward()
        for name, weight in named.items():
            sums[name] += 0 if weight.grad is None else weight.grad.numpy().astype(np.float64) ** 2
    changed = _changed(tiny, tmp_path / "out")
    chosen = np.concatenate([sums[name][mask] for name, mask in changed.items()])
    others = np.concatenate([values[~changed.get(name, np.zeros(values.shape, bool))] for name, values in sums.items()])
    assert chosen.min() >= 0.999 * others.max() > 0


def test_sparse_with_all_weights_is_the_whole_training(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(PARTS, "every", lambda: SparsePart(share=1.0, batches=1))
    for part in ("every", "all"):
        adapt_tiny(tiny, tmp_path / part, part=part)
    every, whole = (weights(tmp_path / part) for part in ("every", "all"))
    assert all(np.abs(every[name] - whole[name]).max() < 1e-6 for name in whole)


def test_tied_weights_stay_one_and_those_not_chosen_have_no_decay():
    body = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
    body[1].weight = body[0].weight
    before = body[0].weight.detach().clone()
    part = SparsePart(share=0.25, batches=1)
    chosen = part.choose(body, lambda n: (body(torch.tensor([1])).square().sum() for _ in range(n)))
    assert {name: len(places) for name, places in chosen.items()} == {"0.weight": 3}
    part.put_in(body, chosen)
    optimizer = torch.optim.AdamW([p for p in body.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        body(torch.tensor([1])).square().sum().backward()
        optimizer.step()
    part.merge(body)
    assert body[0].weight is body[1].weight and type(body[0]) is torch.nn.Embedding
    assert [name for name, _ in body.named_parameters()] == ["0.weight"]
    assert (body[0].weight != before).flatten().nonzero().flatten().tolist() == chosen["0.weight"].tolist()


@pytest.mark.parametrize("part", ["lora", "sparse"])
def test_what_was_stopped_goes_on_to_the_same_model_without_choosing_again(tiny, tmp_path, monkeypatch, part):
    adapt_tiny(tiny, tmp_path / "whole", part=part, names="self_align length")
    with pytest.raises(KeyboardInterrupt):
        adapt_tiny(tiny, tmp_path / "out", part=part, names="self_align length", stop=3)
    monkeypatch.setattr(SparsePart, "choose", None)
    steps = []
    later = {"progress": lambda step, loss: steps.append(step)}
    adapt_tiny(tiny, tmp_path / "out", part=part, names="self_align length", **later)
    whole, out = (weights(tmp_path / name) for name in ("whole", "out"))
    assert steps == [3, 4, 5, 6] and all(np.array_equal(whole[name], out[name]) for name in whole)


@pytest.mark.parametrize("part", ["lora", "sparse"])
def test_heads_are_trained_whole(tiny, tmp_path, monkeypatch, part):
    heads = []
    write = AdaptedModel.write
    monkeypatch.setattr(AdaptedModel, "write", lambda self, folder: (heads.append(self.heads), write(self, folder)))
    for rate in (0.0, 1e-3):
        adapt_tiny(tiny, tmp_path / f"{rate}", part=part, names="length", learning_rate=rate)
    fresh, trained = (head["length"].weight.detach() for head in heads)
    assert (fresh != trained).all()


def test_a_config_names_the_part(tmp_path):
    config = '[adapting]\n\n[adapting.part]\n@misc = "spacy_xlt.{}.v1"\n\n[objectives]\n'
    for kind in (LoraPart, SparsePart):
        (tmp_path / "a.cfg").write_text(config.format(kind.__name__))
        assert type(read_adapting(tmp_path / "a.cfg")[0].part) is kind
    with pytest.raises(XltError, match="E150.*`share`.* 1.5; expected a number above 0 to 1"):
        read_adapting(tmp_path / "a.cfg", {"adapting.part.share": 1.5})
