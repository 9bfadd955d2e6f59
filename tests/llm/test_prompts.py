"""Prompts: templates of the package and of users, and `spacy xlt prompt`."""

from __future__ import annotations

import pytest
from helpers.cli import spacy_cli
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.errors import XltError
from spacy_xlt.llm.prompts import Prompt


def write(path, text):
    path.write_text(text, encoding="utf8")
    return path


def test_a_template_of_a_user_takes_the_place_of_the_packages(tmp_path):
    own = Prompt("translate", write(tmp_path / "p.j2", "Say {{ text }}\n"), example={"text": "x"})
    assert own.messages(text="<a> & b") == [{"role": "user", "content": "Say <a> & b"}]
    other = Prompt("translate", write(tmp_path / "q.j2", "Tell {{ text }}\n"), example={"text": "x"})
    assert own.signature != other.signature


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ txt }}", "'txt' is undefined"),
        ("a\n{% if %}", "line 2"),
        ("{# nothing #}", "nothing is left"),
        ("{{ text / 2 }}", "unsupported operand"),
        ("{{ text.__class__.__mro__ }}", "unsafe"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "recursion"),
    ],
)
def test_a_template_that_cannot_work_is_refused_before_anything_is_asked(template, said, tmp_path):
    with pytest.raises(XltError, match=r"XLT-E278.*p\.j2") as caught:
        Prompt("translate", write(tmp_path / "p.j2", template), example={"text": "x"})
    assert said in str(caught.value) and "can name text" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "template", "said"),
    [
        ("translate", "Say it in {{ target }}.", "does not name text"),
        ("annotate", "Tag this!", "does not name text"),
        ("project", "{{ text }}", "does not name translation"),
    ],
)
def test_a_template_without_what_it_is_about_is_refused(kind, template, said, tmp_path):
    example = {"text": "x", "translation": "y", "target": "pt"}
    with pytest.raises(XltError, match="XLT-E278") as caught:
        Prompt(kind, write(tmp_path / "p.j2", template), example=example)
    assert said in str(caught.value)


def test_a_template_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(XltError, match=r"XLT-E502.*none\.j2"):
        Prompt("translate", tmp_path / "none.j2", example={})
    (tmp_path / "p.j2").write_bytes(b"\xff")
    with pytest.raises(XltError, match=r"XLT-E278.*UTF-8"):
        Prompt("translate", tmp_path / "p.j2", example={})


def test_the_command_shows_what_is_sent():
    shown = spacy_cli("xlt", "prompt", "translate", "--source", "pt", "--target", "sw", "--text", "A Maria vive.")
    assert "from Portuguese into Swahili" in shown and shown.endswith("\n\nA Maria vive.\n") and "marks:" not in shown
    assert "marks: [1: …] [2: …]." in spacy_cli("xlt", "prompt", "translate", "--text", "[1: A] and [2: B]")


def test_the_command_shows_labels_and_the_language_to_restate_in():
    shown = spacy_cli("xlt", "prompt", "annotate", "--source", "pt", "--labels", "GENE, DRUG", "--pivot", "en")
    assert "the Portuguese text" in shown and "<GENE>…</GENE>\n- <DRUG>…</DRUG>" in shown and "says in English" in shown
    assert "<PER>…</PER>: names of people" in spacy_cli("xlt", "prompt", "annotate", "--text", "Maria")


def test_the_command_shows_what_a_projector_sends():
    shown = spacy_cli("xlt", "prompt", "project", "--source", "pt", "--target", "sw")
    assert "in Portuguese" in shown and "\nSwahili: Maria" in shown and "\n3 (LOC): Lisbon\n" in shown
    shown = spacy_cli("xlt", "prompt", "project", "--text", "<1>A <2>b</2></1> c")
    assert shown.endswith("1: A b\n2: b\n\nEnglish: <1>A <2>b</2></1> c\nPortuguese: …\n")


@pytest.mark.parametrize("name", ["translate", "project", "annotate"])
def test_the_template_that_the_command_prints_does_the_same(name, tmp_path):
    own = write(tmp_path / "own.j2", spacy_cli("xlt", "prompt", name, "--template"))
    assert spacy_cli("xlt", "prompt", name, "--file", own) == spacy_cli("xlt", "prompt", name)


def test_the_command_names_the_prompts_that_there_are():
    result = CliRunner().invoke(app, ["xlt", "prompt", "other"])
    assert result.exit_code == 1 and "translate or project or annotate" in result.output
