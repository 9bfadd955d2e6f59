"""The code in README runs as it stands, configs in README and docs can be used, and what is named exists."""

from __future__ import annotations

import re
import runpy

import pytest
import setuptools
import spacy
from helpers.docs_pages import PAGES, blocks_of
from helpers.paths import ROOT
from spacy.cli._util import app
from spacy.tokens import Doc
from thinc.api import Config
from typer.main import get_command

import spacy_xlt.cli  # noqa: F401

PYTHON = [block for block in blocks_of("README.md") if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python_blocks_of_the_readme_end_with_a_bitext_and_print_what_stands_beside(block, capsys):
    names: dict = {}
    exec(compile(block.code, block.place, "exec"), names)
    docs = [value for value in names.values() if isinstance(value, Doc)]
    assert any(len(doc._.xlt) for doc in docs)
    printed = capsys.readouterr().out
    expected = [line.partition("# ")[2] for line in block.code.splitlines() if line.startswith("print(")]
    assert expected and all(line in printed.splitlines() for line in expected), printed


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_and_files_named_exist(name):
    xlt = get_command(app).commands["xlt"]  # type: ignore[attr-defined]
    assert set(re.findall(r"python -m spacy xlt ([a-z-]+)", PAGES[name])) <= set(xlt.commands)
    files = re.findall(r"(?<![\w/])((?:configs|benchmarks|docs|assets|scripts)/[\w./-]+\.\w+)", PAGES[name])
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_page_of_the_package_index_has_no_link_that_leads_nowhere(monkeypatch):
    given: dict = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    runpy.run_path(str(ROOT / "setup.py"))
    text = given["long_description"]
    assert "[spaCy](https://spacy.io)" in text and "results (`docs/results.md`)" in text
    assert [link for link in re.findall(r"\]\(([^)]*)\)", text) if not link.startswith("https://")] == []


def test_every_command_is_in_the_reference():
    xlt = get_command(app).commands["xlt"]  # type: ignore[attr-defined]
    assert set(xlt.commands) <= set(re.findall(r"python -m spacy xlt ([a-z-]+)", PAGES["reference.md"]))


# Configs of single components; whole ones, and files that later commands read, are in test_docs.py, and those of
# adaptations in test_adapting_configs.py
COMPONENTS = [
    block
    for name in PAGES
    for block in blocks_of(name)
    if block.language == "ini" and not block.file and "[nlp]" not in block.code and "[adapting" not in block.code
]


@pytest.mark.parametrize("block", COMPONENTS, ids=lambda block: block.place)
def test_config_blocks_make_components(block):
    config = Config().from_str("[components]\n" + block.code)
    nlp = spacy.blank("en")
    for settings in config["components"].values():
        nlp.add_pipe(settings.pop("factory"), config=settings)
    assert nlp.pipe_names
