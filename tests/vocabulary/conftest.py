"""Tiny encoders with tokenizers of all kinds."""

import shutil
from pathlib import Path

import pytest
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_tokenizers import make_tokenizer


@pytest.fixture(scope="session")
def make_encoder(tmp_path_factory):
    made: dict[tuple[str, str], Path] = {}

    def make(pieces: str, kind: str = "bert") -> Path:
        """A copy of an encoder, to be changed; a RoBERTa's padding is at its usual place."""
        if (pieces, kind) not in made:
            folder = tmp_path_factory.mktemp(pieces)
            made[pieces, kind] = make_tiny_encoder(folder, kind=kind, tokenizer=make_tokenizer(pieces))
        return Path(shutil.copytree(made[pieces, kind], tmp_path_factory.mktemp("copy") / "model"))

    return make
