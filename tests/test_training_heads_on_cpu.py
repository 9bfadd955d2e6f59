"""`spacy_xlt.heads_on_cpu.v1`: the moves of a parser on the CPU, the rest on the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import spacy
import thinc.optimizers as optimizers_of_thinc
import torch
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_heads import assert_close, examples, found, initialize, make_pipeline, update, weights
from spacy.language import Language
from spacy.ml.tb_framework import forward as stock_forward
from spacy.tokens import Span
from spacy_xlt.training.heads_on_cpu import create_heads_on_cpu, forward
from spacy_xlt.training.pooling import create_batched_pooling
from thinc.api import NumpyOps, get_ops, require_cpu, require_gpu
from thinc.optimizers import Adam

from spacy_xlt.errors import XltError

SGD = {"use_averages": False, "L2": 0.01}


class OnDevice(numpy.ndarray):
    """An array that stands for one of a GPU: it cannot be computed with together with one of the CPU."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **settings: Any) -> Any:
        for array in (*inputs, *(out or ())):
            if isinstance(array, numpy.ndarray) and not isinstance(array, OnDevice) and array.ndim:
                raise TypeError(f"{ufunc}: arrays of two devices")
        if out:
            settings["out"] = tuple(down(array) for array in out)
        result = getattr(ufunc, method)(*map(down, inputs), **settings)
        return out[0] if out else numpy.asarray(result).view(OnDevice)


def down(array: Any) -> Any:
    return array.view(numpy.ndarray) if isinstance(array, OnDevice) else array


def up(array: Any) -> Any:
    return numpy.array(array).view(OnDevice)


class Device(NumpyOps):
    """Stands for the ops of a GPU."""

    def __init__(self) -> None:
        super().__init__(device_type="gpu")
        self.transfers: list[str] = []

    def asarray(self, data: Any, dtype: Any = None) -> Any:
        self.transfers.append("up")
        return up(super().asarray(data, dtype=dtype))

    def to_numpy(self, data: Any, *, byte_order: str | None = None) -> Any:
        self.transfers.append("down")
        return super().to_numpy(numpy.array(data, subok=False), byte_order=byte_order)

    def alloc(self, *args: Any, **kwargs: Any) -> Any:
        return super().alloc(*args, **kwargs).view(OnDevice)

    def gemm(self, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        assert isinstance(x, OnDevice) and isinstance(y, OnDevice)
        return super().gemm(x, y, *args, **kwargs).view(OnDevice)

    # Between the encoder, which is on the CPU here, and the head.
    def flatten(self, X: Any, *args: Any, **kwargs: Any) -> Any:
        return up(super().flatten(X, *args, **kwargs))

    def unflatten(self, X: Any, *args: Any, **kwargs: Any) -> Any:
        assert isinstance(X, OnDevice)
        return super().unflatten(numpy.array(X, subok=False), *args, **kwargs)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def on_device(nlp: Language) -> Device:
    """Move what follows the pooling to the stand-in."""
    device = Device()
    model = nlp.get_pipe("ner").model
    (_, *after), lower = model.get_ref("tok2vec").layers, model.get_ref("lower")
    for node in (model, lower, *after):
        node.ops = device
        for name in node.param_names:
            if node.has_param(name):
                node.set_param(name, up(node.get_param(name)))
    return device


def make_pair(encoder: str, **settings) -> tuple[Language, Language, Device]:
    """A stock pipeline on the CPU, and one whose head is between both devices."""
    stock, moved = (make_pipeline(encoder, **settings) for _ in range(2))
    device = on_device(moved)
    create_batched_pooling()(moved)
    create_heads_on_cpu()(moved)
    return initialize(stock), initialize(moved), device


@pytest.mark.parametrize("use_upper", [False, True])
def test_a_training_is_that_of_one_device(encoder, use_upper):
    stock, moved, device = make_pair(encoder, use_upper=use_upper)
    model = moved.get_pipe("ner").model
    optimizers = [Adam(0.01, **SGD) for _ in range(2)]
    for _ in range(20):
        expected, losses = (update(nlp, sgd=sgd) for nlp, sgd in zip((stock, moved), optimizers, strict=True))
        assert losses == pytest.approx(expected, rel=1e-3)
    assert_close(weights(moved), weights(stock), share=1e-3)
    assert any(found(stock))
    assert found(moved) == found(stock)
    linear = model.get_ref("tok2vec").layers[-1]
    assert isinstance(linear.get_param("W"), OnDevice)
    assert not any(isinstance(model.get_ref("lower").get_param(name), OnDevice) for name in ("W", "b", "pad"))


def test_a_batch_is_transferred_once_each_way(encoder):
    *_, moved, device = make_pair(encoder)
    device.transfers.clear()
    update(moved)
    assert device.transfers == ["down", "up"]
    device.transfers.clear()
    moved.get_pipe("ner").predict([moved("Maria Silva lives in Lisbon"), moved("Maria")])
    assert set(device.transfers) == {"down"}


def test_new_labels_are_learned(encoder):
    stock, moved, _ = make_pair(encoder)
    for nlp in (stock, moved):
        update(nlp, sgd=Adam(0.003, **SGD))
        nlp.get_pipe("ner").add_label("ORG")
        batch = examples(nlp)
        for example in batch:
            example.y.set_ents([Span(example.y, 0, 1, label="ORG")])
        for _ in range(3):
            nlp.update(batch, sgd=Adam(0.003, **SGD), drop=0.0)
    assert_close(weights(moved), weights(stock), share=1e-3)


def test_averages_are_used_and_put_back(encoder, monkeypatch):
    stock, moved, device = make_pair(encoder)
    monkeypatch.setattr(
        optimizers_of_thinc, "get_array_ops", lambda array: device if isinstance(array, OnDevice) else NumpyOps()
    )
    optimizers = [Adam(0.003, use_averages=True) for _ in range(2)]
    for nlp, sgd in zip((stock, moved), optimizers, strict=True):
        for _ in range(4):
            update(nlp, sgd=sgd)
    before = weights(moved)
    with moved.use_params(optimizers[1].averages), stock.use_params(optimizers[0].averages):
        assert_close(weights(moved), weights(stock), share=1e-3)
        assert found(moved) == found(stock)
    assert all(torch.equal(weight, before[name]) for name, weight in weights(moved).items())


def test_a_trained_head_is_moved_with_its_weights(encoder):
    nlp = initialize(make_pipeline(encoder))
    before = weights(nlp)
    on_device(nlp)
    create_heads_on_cpu(["ner"])(nlp)
    lower = nlp.get_pipe("ner").model.get_ref("lower")
    assert not any(isinstance(lower.get_param(name), OnDevice) for name in lower.param_names)
    assert all(torch.equal(weight, before[name]) for name, weight in weights(nlp).items())
    update(nlp, sgd=Adam(0.003, **SGD))


def test_the_trained_pipeline_keeps_nothing_of_it(encoder, tmp_path: Path):
    *_, nlp, _ = make_pair(encoder)
    update(nlp, sgd=Adam(0.003, **SGD))
    nlp.to_disk(tmp_path / "trained")
    assert "spacy_xlt" not in (tmp_path / "trained" / "config.cfg").read_text(encoding="utf8")
    loaded = spacy.load(tmp_path / "trained")
    assert loaded.get_pipe("ner").model._func is stock_forward
    expected = weights(nlp)
    assert all(torch.equal(weight, expected[name]) for name, weight in weights(loaded).items())
    assert found(loaded) == found(nlp)
    # And back, into weights of two devices.
    update(nlp, sgd=Adam(0.003, **SGD))
    nlp.get_pipe("ner").from_disk(tmp_path / "trained" / "ner", exclude=["vocab"])
    after = weights(nlp)
    assert all(torch.equal(after[name], weight) for name, weight in expected.items() if name.startswith("ner"))


def test_on_a_cpu_nothing_changes(encoder):
    nlp = make_pipeline(encoder)
    resize = nlp.get_pipe("ner").model.attrs["resize_output"]
    create_heads_on_cpu()(nlp)
    model = nlp.get_pipe("ner").model
    assert model._func is stock_forward and model.attrs["resize_output"] is resize


def test_a_second_call_changes_nothing(encoder):
    nlp = make_pipeline(encoder)
    on_device(nlp)
    for _ in range(2):
        create_heads_on_cpu()(nlp)
    model = nlp.get_pipe("ner").model
    assert model._func is forward
    assert not hasattr(model.attrs["resize_output"].stock, "stock")


@pytest.mark.parametrize("components", [["tagger"], ["transformer"], ["ner", "transformer"]])
def test_components_that_cannot_be_moved_are_errors(encoder, components):
    code = "XLT-E603" if components == ["tagger"] else "XLT-E601"
    with pytest.raises(XltError, match=code):
        create_heads_on_cpu(components)(make_pipeline(encoder))


def same_weights(source: Language, target: Language) -> None:
    """Give a pipeline the weights of another: the random numbers of a CPU and of a GPU are not the same."""
    target.get_pipe("transformer").model.transformer.load_state_dict(
        source.get_pipe("transformer").model.transformer.state_dict()
    )
    for (_, a), (_, b) in zip(source.pipeline[1:], target.pipeline[1:], strict=True):
        for node, other in zip(a.model.walk(), b.model.walk(), strict=True):
            for name in node.param_names:
                other.set_param(name, other.ops.asarray(node.ops.to_numpy(node.get_param(name)).copy()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("use_upper", [False, True])
@pytest.mark.parametrize("heads", [("ner",), ("ner", "spancat")])
def test_on_a_gpu(encoder, use_upper, heads, tmp_path):
    require_gpu()
    try:
        stock, fast = (make_pipeline(encoder, heads, use_upper=use_upper) for _ in range(2))
        create_heads_on_cpu()(fast)
        create_batched_pooling()(fast)
        for nlp in (stock, fast):
            initialize(nlp)
        same_weights(stock, fast)
        ner = fast.get_pipe("ner").model
        assert isinstance(ner.get_ref("lower").ops, type(get_ops("cpu"))) and ner.ops.device_type == "gpu"
        optimizers = [Adam(0.001, **SGD) for _ in range(2)]
        for _ in range(2):
            expected, losses = (update(nlp, sgd=sgd) for nlp, sgd in zip((stock, fast), optimizers, strict=True))
            assert losses == pytest.approx(expected, rel=1e-3)
        assert_close(weights(fast), weights(stock), share=1e-3)
        assert isinstance(ner.get_ref("lower").get_param("W"), numpy.ndarray)
        assert found(fast) == found(stock)
        fast.to_disk(tmp_path / "trained")
        assert found(spacy.load(tmp_path / "trained")) == found(fast)
        fast.get_pipe("ner").from_disk(tmp_path / "trained" / "ner", exclude=["vocab"])
        update(fast, sgd=optimizers[1])
        assert isinstance(ner.get_ref("lower").get_param("W"), numpy.ndarray)
    finally:
        require_cpu()
