"""An encoder with random weights for the tests of `xlt_ner`."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_ner import make_ner, train
from spacy.language import Language


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("ner") / "encoder")


@pytest.fixture(scope="session")
def trained(encoder: Path) -> Language:
    """Knows the examples by heart; to be read only."""
    return train(make_ner(encoder))
