"""The choice of kernels for attention."""

from __future__ import annotations

import pytest
import torch

from spacy_xlt.device import disable_cudnn_attention

cuda = torch.backends.cuda


@pytest.mark.parametrize("available", [True, False])
def test_attention_on_a_gpu_is_left_to_kernels_that_take_any_shape(available, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    before = cuda.cudnn_sdp_enabled()
    cuda.enable_cudnn_sdp(True)
    try:
        disable_cudnn_attention()
        assert cuda.cudnn_sdp_enabled() is not available
        assert cuda.flash_sdp_enabled() and cuda.mem_efficient_sdp_enabled()
    finally:
        cuda.enable_cudnn_sdp(before)


def test_an_older_pytorch_has_nothing_to_choose(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delattr(cuda, "enable_cudnn_sdp")
    disable_cudnn_attention()
