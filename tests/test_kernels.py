"""The choice of kernels for attention."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from spacy_xlt.device import disable_cudnn_attention

cuda = torch.backends.cuda


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = cuda.cudnn_sdp_enabled()
    cuda.enable_cudnn_sdp(True)
    yield
    cuda.enable_cudnn_sdp(before)


def test_attention_on_a_gpu_is_left_to_kernels_that_take_any_shape():
    disable_cudnn_attention(torch.device("cuda"))
    assert not cuda.cudnn_sdp_enabled()
    assert cuda.flash_sdp_enabled()
    assert cuda.mem_efficient_sdp_enabled()


def test_nothing_changes_on_a_cpu():
    disable_cudnn_attention(torch.device("cpu"))
    assert cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize("available", [True, False])
def test_without_a_device_it_is_for_the_gpu_that_is_there(available, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    disable_cudnn_attention()
    assert cuda.cudnn_sdp_enabled() is not available


def test_an_older_pytorch_has_nothing_to_choose(monkeypatch):
    monkeypatch.delattr(cuda, "enable_cudnn_sdp")
    disable_cudnn_attention(torch.device("cuda"))
    assert cuda.cudnn_sdp_enabled()
    monkeypatch.undo()
