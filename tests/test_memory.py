"""What a process keeps in memory."""

from __future__ import annotations

import os

import spacy

from spacy_xlt.build.shard import ShardProcessor
from spacy_xlt.build.worker_spec import WorkerSpec
from spacy_xlt.memory import limit_allocator_caches


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
