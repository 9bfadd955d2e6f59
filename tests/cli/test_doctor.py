"""`spacy xlt doctor` on installations as they could be: packages of other versions, or not there."""

from __future__ import annotations

import json
from importlib import metadata

import pytest
from helpers.cli import spacy_cli
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt
from spacy_xlt.cli import doctor


def findings(*, ok: bool = True) -> dict[str, tuple[str, str]]:
    """State and text by name, from a doctor who is content or not."""
    result = CliRunner().invoke(app, ["xlt", "doctor", "--json"])
    report = json.loads(result.output)
    assert (result.exit_code == 0) == report["ok"] == ok, result.output
    return {finding["name"]: (finding["state"], finding["text"]) for finding in report["findings"]}


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions to pretend, None for what is not installed."""
    pretended: dict[str, str | None] = {}
    installed = metadata.version

    def version(name: str) -> str:
        found = pretended.get(name, "")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found or installed(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    return pretended


def test_versions_here_fit() -> None:
    found = findings()
    assert found["spacy"] == ("good", metadata.version("spacy"))
    assert found["bundled translator"] == ("good", "en to pt, pt to en")
    assert {"Python", "torch", "GPU", "space", "[ctranslate2]"} <= set(found)


def test_each_finding_is_one_line() -> None:
    lines = spacy_cli("xlt", "doctor").splitlines()
    assert len(lines) == len(findings())


def test_version_that_does_not_fit_is_named_with_those_that_need_another(versions: dict[str, str | None]) -> None:
    versions["thinc"] = "9.1.1"
    state, text = findings(ok=False)["thinc"]
    assert state == "wrong" and "9.1.1" in text and "spacy-xlt needs thinc" in text and "spacy needs thinc" in text


def test_missing_package_is_wrong_with_the_command_that_installs_it(versions: dict[str, str | None]) -> None:
    versions["scipy"] = None
    assert findings(ok=False)["scipy"] == ("wrong", "is not installed. Run: pip install 'scipy>=1.11'")


def test_missing_extra_is_said_and_not_wrong(versions: dict[str, str | None]) -> None:
    versions["peft"] = None
    state, text = findings()["[peft]"]
    assert state == "missing" and "LoRA" in text and "pip install 'spacy-xlt[peft]'" in text


def test_every_extra_but_the_developers_has_its_purpose() -> None:
    assert {*doctor.EXTRAS, "dev"} == set(metadata.metadata("spacy-xlt").get_all("Provides-Extra") or ())


def test_version_is_shown() -> None:
    assert spacy_cli("xlt", "--version").split() == ["spacy-xlt", spacy_xlt.__version__]


def test_help_lists_every_command_once_with_its_whole_sentence() -> None:
    text = spacy_cli("xlt", "--help")
    assert "Others" not in text and "..." not in text.partition("Begin")[2]
    assert text.count("  convert ") == 1
