"""`build --parallel`: the source annotated once, a folder for each language, and one that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.builds import built
from helpers.killing import killed_after
from helpers.tiny_pipelines import saved_ruler
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401 (registers its commands)
from spacy_xlt.annotate.pipeline import PipelineAnnotator
from spacy_xlt.build import builder
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.readers.docbin import read_docs

CONFIG = """
[nlp]
lang = "xx"
pipeline = ["xlt_annotator","xlt_parallel","xlt_aligner","xlt_projector"]
[components]
[components.xlt_annotator]
factory = "xlt_annotator"
side = "source"
[components.xlt_parallel]
factory = "xlt_parallel"
[components.xlt_aligner]
factory = "xlt_aligner"
engine = {"@misc":"test.DiagonalAligner.v1"}
[components.xlt_projector]
factory = "xlt_projector"
drop_flags = ["length_ratio"]
"""


@pytest.fixture
def parallel(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    lines = {
        "en": ["Maria sleeps now", "Nobody saw Maria here", "", "Maria sleeps now", "A short line"],
        "pt": ["Maria dorme agora", "Ninguém viu Maria aqui", "Nada", "Maria dorme agora", "Uma linha " * 20],
        "ha": ["Maria tana barci", "Babu wanda ya ga Maria", "x", "Maria tana barci", "Layi gajere ne"],
    }
    for lang, text in lines.items():
        (folder / f"news.{lang}").write_text("\n".join(text) + "\n", encoding="utf8")
    (tmp_path / "config.cfg").write_text(CONFIG)
    saved_ruler(tmp_path / "ruler", "en", {"Maria": "PER"})
    return folder


def run(folder: Path, *more, exit_code: int = 0) -> str:
    root = folder.parent
    arguments = [root / "config.cfg", "--parallel", folder, root / "out", "--annotate", root / "ruler", *more]
    result = CliRunner().invoke(app, ["xlt", "build", *map(str, arguments), "--no-report"])
    assert result.exit_code == exit_code, result.output
    return result.output


def entities(folder: Path) -> list[list[str]]:
    return [[ent.text for ent in doc.ents] for doc in read_docs(folder / "target")]


def row(output: str, language: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if line.split()[:1] == [language]]
    return line.split()


def test_each_language_is_built_in_order_and_lines_keep_their_numbers(parallel):
    output = run(parallel)
    out = parallel.parent / "out"
    assert entities(out / "pt") == [["Maria"], ["Maria"], ["Maria"], []]
    for side in ("bitext", "target"):
        ids = [doc.user_data["meta"]["id"] for doc in read_docs(out / "pt" / side)]
        assert ids == [f"news.en:{n}" for n in (1, 2, 4, 5)]
    assert row(output, "pt") == "pt 5 3 3 0 1.00 empty line 1, length_ratio 1".split()
    assert row(output, "ha") == "ha 5 4 3 0 1.00 empty line 1".split()


def test_language_without_a_class_of_spacy_keeps_its_code(parallel):
    run(parallel, "--targets", "ha")
    (target,) = (parallel.parent / "out" / "ha" / "target").iterdir()
    assert target.name == "ha-00000.spacy"


def test_source_is_annotated_once_for_all_languages(parallel, monkeypatch):
    annotated = []
    annotate = PipelineAnnotator.annotate
    noting = lambda self, docs: annotated.extend(doc.text for doc in docs) or annotate(self, docs)  # noqa: E731
    monkeypatch.setattr(PipelineAnnotator, "annotate", noting)
    run(parallel)
    # The first document loads the models
    assert sorted(annotated[1:]) == ["A short line", "Maria sleeps now", "Nobody saw Maria here"]


@pytest.mark.parametrize("after", [2, 12])
def test_killed_build_goes_on_to_the_same_output(parallel, after):
    out = parallel.parent / "out"
    run(parallel, "--docs-per-shard", 2)
    whole = {name: built(out / name) for name in ("pt", "ha")}
    out.rename(parallel.parent / "whole")
    with killed_after(after, builder):
        run(parallel, "--docs-per-shard", 2)
    run(parallel, "--docs-per-shard", 2)
    assert {name: built(out / name) for name in ("pt", "ha")} == whole


def test_language_that_fails_is_in_the_table_and_the_exit_status_and_the_others_are_built(parallel):
    (parallel / "news.sv").write_text("En rad för lite\n", encoding="utf8")
    (parallel / "news.de").write_bytes("Zu viele Wörter\n".encode("latin-1") * 5)
    output = run(parallel, "--targets", "sv,pt,klingon,de,ha", exit_code=1)
    codes = {name: row(output, name)[-1] for name in ("sv", "klingon", "de")}
    assert codes == {"sv": "XLT-E234", "klingon": "XLT-E010", "de": "XLT-E513"}
    assert "3 of 5 languages failed: sv, klingon, de" in " ".join(output.split())
    assert len(entities(parallel.parent / "out" / "pt")) == len(entities(parallel.parent / "out" / "ha")) == 4


def test_language_that_is_added_or_mended_later_does_not_build_the_others_again(parallel):
    run(parallel, "--targets", "pt")
    before = (parallel.parent / "out" / "pt" / "manifest.jsonl").stat().st_mtime_ns
    run(parallel)
    assert (parallel.parent / "out" / "pt" / "manifest.jsonl").stat().st_mtime_ns == before


def test_text_that_is_linked_no_better_than_other_text_fails(parallel):
    lines = [f"Maria sleeps {n}" for n in range(30)]
    for lang in ("en", "pt"):
        (parallel / f"news.{lang}").write_text("\n".join(lines), encoding="utf8")
    gate = ["--components.xlt_projector.filters", '{"gate":{"@misc":"spacy_xlt.LinkScoreFilter.v1"}}']
    output = run(parallel, "--targets", "pt", *gate, exit_code=1)
    assert row(output, "pt")[-1] == "XLT-E110"


def test_nothing_that_annotates_the_source_is_an_error(parallel):
    root = parallel.parent
    (root / "config.cfg").write_text(CONFIG.replace('"xlt_annotator",', ""))
    arguments = [root / "config.cfg", "--parallel", parallel, root / "out", "--source", "en"]
    result = CliRunner().invoke(app, ["xlt", "build", *map(str, arguments)])
    assert result.exit_code == 1 and "E108" in result.output


def test_config_without_an_annotator_gets_one_that_comes_first(parallel):
    (parallel.parent / "config.cfg").write_text(CONFIG.replace('"xlt_annotator",', ""))
    nlp = load_pipeline_config(parallel.parent / "config.cfg", annotator=str(parallel.parent / "ruler"))
    assert nlp.pipe_names[0] == "source_annotator"


def test_options_for_parallel_text_need_it(parallel):
    root = parallel.parent
    arguments = [root / "config.cfg", parallel / "news.en", root / "out", "--targets", "pt"]
    result = CliRunner().invoke(app, ["xlt", "build", *map(str, arguments)])
    assert result.exit_code == 1 and "E510" in result.output and "--targets" in result.output
