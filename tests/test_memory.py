"""What a process keeps in memory, and what Linux says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import spacy

from spacy_xlt.build.shard import ShardProcessor
from spacy_xlt.build.worker_spec import WorkerSpec
from spacy_xlt.memory import limit_allocator_caches, status_mib


def test_allocators_keep_little_only_in_workers_and_settings_of_the_user_stay(monkeypatch):
    kernels, nlp = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", spacy.blank("en")
    monkeypatch.delenv(kernels, raising=False)
    ShardProcessor(nlp)
    assert kernels not in os.environ
    # What a worker begins with
    WorkerSpec.of(nlp).start()
    assert int(os.environ[kernels]) < 1024
    monkeypatch.setenv(kernels, "500")
    limit_allocator_caches()
    assert os.environ[kernels] == "500"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
def test_memory_of_a_process_is_told_in_mib():
    before = status_mib("VmRSS")
    block = bytearray(100 * 2**20)
    assert 80 < status_mib("VmRSS") - before < 200 and status_mib("VmHWM") > before + 80
    assert status_mib("VmRSS", pid=2**22 + 1) is None and len(block) > 0
