"""Pipelines of `xlt_ner` in folders, as teachers."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_ner import make_ner, train


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained well, trained a little, and of another kind; to be read only."""
    folder = tmp_path_factory.mktemp("teachers")
    encoder = make_tiny_encoder(folder / "encoder")
    train(make_ner(encoder)).to_disk(folder / "good")
    train(make_ner(encoder), times=20).to_disk(folder / "fair")
    return {name: folder / name for name in ("encoder", "good", "fair")}
