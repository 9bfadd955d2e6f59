"""Kernels for attention, batches by length, errors of memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.device import batches_by_length, disable_cudnn_attention

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
    before = cuda.cudnn_sdp_enabled()
    monkeypatch.delattr(cuda, "enable_cudnn_sdp")
    disable_cudnn_attention()
    assert cuda.cudnn_sdp_enabled() is before


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 200))
def test_batches_hold_every_item_once_and_keep_to_their_size(lengths, size):
    batches = batches_by_length(lengths, batch_tokens=size)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * longest <= size
