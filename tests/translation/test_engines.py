"""Translators by short names, and the one that `auto` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub_constants
import pytest
import spacy

from spacy_xlt.errors import XltError
from spacy_xlt.translation.engines import resolve_translator


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without Apertium, a network, or a model in a cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path / "apertium"))
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def make(engine: dict[str, Any]) -> Any:
    return spacy.registry.resolve({"engine": engine})["engine"]


def bergamot_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("model.ende.intgemm.alphas.bin", "vocab.ende.spm"):
        (folder / name).touch()


def cached_model(hub: Path, name: str) -> None:
    folder = hub / f"models--{name.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    for file in ("config.json", "pytorch_model.bin", "tokenizer.json"):
        (folder / "snapshots" / "abc" / file).touch()


def test_auto_takes_the_bundled_model_for_its_pair_and_it_translates() -> None:
    resolved = resolve_translator("auto", source="en", target="pt")
    assert resolved.engine == {"@misc": "spacy_xlt.BergamotTranslator.v1"} and not resolved.passed_over
    assert make(resolved.engine).translate(["The dog sleeps."], source="en", target="pt")[0].text == "O cão dorme."


def test_auto_takes_a_folder_of_firefox_models_and_says_what_it_passed_over(bare_machine: Path) -> None:
    bergamot_model(bare_machine / "models" / "bergamot" / "ende")
    resolved = resolve_translator("auto", source="en", target="de")
    assert resolved.engine["models"] == str(Path("models", "bergamot"))
    assert str(resolved).endswith("Passed over: a bundled model (not this pair).")


def test_auto_takes_what_is_in_the_local_cache_the_model_of_the_pair_first(bare_machine: Path) -> None:
    for name in ("facebook/nllb-200-distilled-600M", "Helsinki-NLP/opus-mt-en-de"):
        cached_model(bare_machine / "hub", name)
    assert resolve_translator(source="en", target="de").engine["model"] == "Helsinki-NLP/opus-mt-en-de"
    resolved = resolve_translator(source="en", target="sw")
    assert resolved.engine["model"] == "facebook/nllb-200-distilled-600M"
    assert "not for commercial use" in resolved.reason


def test_auto_that_finds_nothing_lists_what_it_looked_for_and_the_commands_that_would_help() -> None:
    with pytest.raises(XltError, match="E202") as caught:
        resolve_translator("auto", source="en", target="de")
    said = str(caught.value)
    for part in (str(Path("models", "bergamot")), "Apertium (not installed)", "hub (none there)"):
        assert part in said
    for command in ("huggingface-cli download Helsinki-NLP/opus-mt-en-de", "apt-get install", "parallel:FILE"):
        assert command in said


def test_parallel_files_come_first_and_translate_what_they_have(bare_machine: Path) -> None:
    (bare_machine / "a.en").write_text("The house.\n")
    (bare_machine / "a.de").write_text("Das Haus.\n")
    resolved = resolve_translator("auto", source="en", target="de", parallel=["a.en", "a.de"])
    assert make(resolved.engine).translate(["The house."], source="en", target="de")[0].text == "Das Haus."
    assert resolve_translator("parallel:a.en,a.de", source="en", target="de") == resolved


def test_tab_separated_file_is_a_memory_of_both_languages(bare_machine: Path) -> None:
    (bare_machine / "a.tsv").write_text("The house.\tDas Haus.\n")
    resolved = resolve_translator("parallel:a.tsv", source="en", target="de")
    assert make(resolved.engine).translate(["The house."], source="en", target="de")[0].text == "Das Haus."


def test_named_translator_translates_what_the_parallel_files_do_not_have(bare_machine: Path) -> None:
    (bare_machine / "a.tsv").write_text("The house.\tA morada.\n")
    engine = resolve_translator("bundled", source="en", target="pt", parallel=["a.tsv"]).engine
    translations = make(engine).translate(["The house.", "The dog sleeps."], source="en", target="pt")
    assert [translation.text for translation in translations] == ["A morada.", "O cão dorme."]


def test_language_model_is_named_with_its_address() -> None:
    found = resolve_translator("llm:qwen3:8b@http://localhost:11434/v1", source="en", target="de")
    model = make(found.engine).model
    assert (model.model, model.base_url) == ("qwen3:8b", "http://localhost:11434/v1")
    assert "qwen3:8b at http://localhost:11434/v1" in found.reason


def test_address_with_a_key_in_it_is_refused_and_not_shown() -> None:
    with pytest.raises(XltError, match="E150.*base_url") as caught:
        resolve_translator("llm:m@http://localhost/v1?key=secret", source="en", target="de")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bundled", "E201"),
        ("bergamot:nowhere", "E210"),
        ("apertium", "E238"),
        ("opus", "E221.*opus-mt-en-de"),
        ("nllb:600M", "E221.*huggingface-cli download facebook/nllb-200-distilled-600M"),
        ("parallel:nowhere.tmx", "E502"),
        ("parallel:", "E510"),
        ("llm:qwen3:8b", "E510.*llm:MODEL@URL"),
        ("llm:@http://localhost/v1", "E510.*llm:MODEL@URL"),
        ("llm:qwen3:8b@localhost", "E150.*base_url"),
        ("google:translate", "E510.*bundled, bergamot:FOLDER"),
        ("", "E510"),
    ],
)
def test_translator_that_cannot_be_had_is_an_error_of_its_kind(name: str, code: str) -> None:
    with pytest.raises(XltError, match=code):
        resolve_translator(name, source="en", target="de")
