"""Hugging Face models by name: short names, the local cache, and what is said of a model that is not there."""

from __future__ import annotations

import time
from pathlib import Path

import huggingface_hub.constants as hub_constants
import pytest

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.errors import XltError
from spacy_xlt.hub import cached, full_name, located
from spacy_xlt.translation.seq2seq import Seq2SeqTranslator


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face models, and no network."""
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put(cache: Path, name: str, *files: str) -> Path:
    """A model in the cache, as Hugging Face lays it out, with empty files."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for file in files:
        (snapshot / file).touch()
    return snapshot


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("opus:en-de", "Helsinki-NLP/opus-mt-en-de"),
        ("nllb:1.3B", "facebook/nllb-200-distilled-1.3B"),
        ("nllb", "facebook/nllb-200-distilled-600M"),
        ("hf:google/madlad400-3b-mt", "google/madlad400-3b-mt"),
        ("models/opus", "models/opus"),
        ("C:\\models\\opus", "C:\\models\\opus"),
    ],
)
def test_short_names_stand_for_names_on_the_hub(name: str, expected: str) -> None:
    assert full_name(name) == expected


def test_translator_takes_a_short_name_and_its_signature_has_the_full_one() -> None:
    assert "model:Helsinki-NLP/opus-mt-en-de" in Seq2SeqTranslator(model="opus:en-de").signature


def test_unknown_size_of_nllb_is_an_error_that_lists_the_sizes() -> None:
    with pytest.raises(XltError, match="E510.*nllb:9B.*nllb:600M or nllb:1.3B"):
        full_name("nllb:9B")


def test_whole_model_in_the_cache_is_read_from_there(cache: Path) -> None:
    snapshot = put(cache, "some/model", "config.json", "model.safetensors", "tokenizer_config.json")
    assert located("some/model", "E303", setting="model") == str(snapshot)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_half_of_a_model_in_the_cache_does_not_count(cache: Path, missing: str) -> None:
    put(cache, "some/model", *({"config.json", "model.safetensors", "tokenizer_config.json"} - {missing}))
    assert cached("some/model") is None


def test_missing_model_is_named_with_the_cache_and_the_command_that_fetches_it(cache: Path) -> None:
    with pytest.raises(XltError, match="E221") as caught:
        Seq2SeqTranslator(model="opus:en-xx").translate(["A"], source="en", target="de")
    assert str(cache) in str(caught.value)
    assert "huggingface-cli download Helsinki-NLP/opus-mt-en-xx" in str(caught.value)


@pytest.mark.parametrize("path", ["./models/encoder", "/models/encoder", "my/models/encoder"])
def test_missing_folder_is_called_a_folder(
    cache: Path, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(XltError, match="E303.*there is no such folder"):
        EmbeddingAligner(model=path).align([(["a"], ["b"])])


def test_hub_out_of_reach_is_an_error_within_seconds(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", False)
    # A port that nothing listens on
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(XltError, match="E303.*cannot be reached.*huggingface-cli download some/model"):
        EmbeddingAligner(model="some/model").align([(["a"], ["b"])])
    assert time.monotonic() - start < 20
