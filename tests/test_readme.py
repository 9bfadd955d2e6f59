"""The README's code runs as it stands, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from spacy.cli._util import app
from spacy.tokens import Doc
from typer.main import get_command

import spacy_xlt.cli  # noqa: F401

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run_and_end_with_a_bitext(code):
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    docs = [value for value in names.values() if isinstance(value, Doc)]
    assert any(len(doc._.xlt) for doc in docs)


def test_the_first_example_projects_all_entities(capsys):
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r"^PER Maria Silva$", printed, re.MULTILINE)
    assert re.search(r"^LOC Lisboa$", printed, re.MULTILINE)
    assert re.search(r"^ORG .*Nações Unidas$", printed, re.MULTILINE)


def test_the_commands_named_exist():
    xlt = get_command(app).commands["xlt"]  # type: ignore[attr-defined]
    named = set(re.findall(r"python -m spacy xlt ([a-z-]+)", README))
    assert named and named <= set(xlt.commands)


def test_the_config_blocks_can_be_used(tmp_path):
    from thinc.api import Config

    (block,) = re.findall(r"```ini\n(.*?)```", README, flags=re.DOTALL)
    config = Config().from_str("[components]\n" + block)
    assert config["components"]["xlt_translator"]["engine"]["models"] == "path/to/ende"
