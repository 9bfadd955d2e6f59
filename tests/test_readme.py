"""The code in README and docs runs as it stands, configs can be used, and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from spacy.tokens import Doc
from thinc.api import Config
from typer.main import get_command

import spacy_xlt.cli  # noqa: F401

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf8")
PAGES = {path.name: path.read_text(encoding="utf8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


def blocks(language, pages=PAGES):
    """The blocks of code in a language, as pytest parameters."""
    found = []
    for name, text in pages.items():
        for n, code in enumerate(re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)):
            found.append(pytest.param(code, id=f"{name}-{n}"))
    return found


@pytest.mark.parametrize("code", blocks("python", {"README.md": README}))
def test_python_blocks_of_the_readme_end_with_a_bitext(code):
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    docs = [value for value in names.values() if isinstance(value, Doc)]
    assert any(len(doc._.xlt) for doc in docs)


@pytest.mark.parametrize("code", blocks("python", {k: v for k, v in PAGES.items() if k != "README.md"}))
def test_python_blocks_of_the_docs_run_and_print(code, capsys):
    exec(compile(code, "docs", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_the_first_example_projects_all_entities(capsys):
    exec(compile(blocks("python", {"README.md": README})[0].values[0], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r"^PER Maria Silva$", printed, re.MULTILINE)
    assert re.search(r"^LOC Lisboa$", printed, re.MULTILINE)
    assert re.search(r"^ORG .*Nações Unidas$", printed, re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_and_files_named_exist(name):
    xlt = get_command(app).commands["xlt"]  # type: ignore[attr-defined]
    assert set(re.findall(r"python -m spacy xlt ([a-z-]+)", PAGES[name])) <= set(xlt.commands)
    files = re.findall(r"(?<![\w/])((?:configs|benchmarks|docs|assets)/[\w./-]+\.\w+)", PAGES[name])
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_command_is_in_the_readme():
    xlt = get_command(app).commands["xlt"]  # type: ignore[attr-defined]
    assert set(xlt.commands) <= set(re.findall(r"python -m spacy xlt ([a-z-]+)", README))


@pytest.mark.parametrize("block", blocks("ini"))
def test_config_blocks_make_components(block):
    config = Config().from_str("[components]\n" + block)
    nlp = spacy.blank("en")
    for settings in config["components"].values():
        nlp.add_pipe(settings.pop("factory"), config=settings)
    assert nlp.pipe_names
