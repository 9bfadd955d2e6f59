"""`spacy xlt build` over a build that is finished: nothing is made, unless something may have changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spacy.cli._util import app
from test_build import CONFIG, files
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt import config as config_module
from spacy_xlt.build import unchanged


@pytest.fixture
def command(make_doc, write_corpus, tmp_path):
    """Runs the command with more options; the pipeline is not made more often than `made` says."""
    corpus = write_corpus([make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC")) for i in range(10)])
    config = tmp_path / "build.cfg"
    config.write_text(CONFIG, encoding="utf8")

    def run(*options: str) -> str:
        words = [
            "xlt",
            "build",
            str(config),
            str(run.corpus),
            str(tmp_path / "built"),
            "--docs-per-shard",
            "4",
            *options,
        ]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0 or "XLT-" in result.output, result.output
        return result.output

    run.corpus, run.config, run.built = corpus, config, tmp_path / "built"
    return run


@pytest.fixture
def made(monkeypatch) -> list[Path]:
    """The configs of which a pipeline was made."""
    found: list[Path] = []
    make = config_module.load_pipeline_config

    def count(path, *args, **kwargs):
        found.append(path)
        return make(path, *args, **kwargs)

    monkeypatch.setattr(config_module, "load_pipeline_config", count)
    return found


def test_a_finished_build_is_known_without_its_pipeline(command, made):
    first = command()
    before, log = files(command.built), (command.built / "log.jsonl").read_text()
    assert len(made) == 1
    second = command()
    assert len(made) == 1
    assert second[second.index("10 documents") :].split() == first[first.index("10 documents") :].split()
    assert files(command.built) == before and (command.built / "log.jsonl").read_text() == log


def test_labels_have_no_order(command, made, tmp_path):
    # Those of a set come in another order in each process
    command.corpus = tmp_path / "columns.iob2"
    command.corpus.write_text("# text = Ana\n1\tAna\tB-PER\t-\t-\n\n", encoding="utf8")
    assert "1 documents" in command("--labels", "PER,LOC")
    command("--labels", "LOC,PER")
    assert len(made) == 1


@pytest.mark.parametrize("name", ["target/pt-00001.spacy", "bitext/00000.spacy", "lost/00002.jsonl"])
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_what_is_not_as_it_was_written_is_built_again(command, made, name, how):
    command()
    before = files(command.built)
    if how == "missing":
        (command.built / name).unlink()
    else:
        (command.built / name).write_bytes(b"something else")
    command()
    assert len(made) == 2
    now = files(command.built)
    assert [now[file] for file in before if "/" in file] == [before[file] for file in before if "/" in file]


def test_checksums_of_what_is_finished_can_be_left_out(command, made):
    command()
    (command.built / "target/pt-00001.spacy").write_bytes(b"something else")
    command("--no-verify")
    assert len(made) == 1


def test_another_config_is_still_refused(command, made):
    command()
    assert "XLT-E505" in command("--components.xlt_translator.max_chars", "99")
    command.config.write_text(CONFIG.replace('target = "pt"', 'target = "pt"\nmax_chars = 98'), encoding="utf8")
    assert "XLT-E505" in command()
    assert len(made) == 3


def test_another_input_is_still_refused(command, made, make_doc, write_corpus):
    command()
    write_corpus([make_doc("Ana saw Rio .", (0, 1, "PER"))])
    assert "XLT-E505" in command()
    assert len(made) == 2


def test_a_config_that_is_broken_is_named(command, made):
    command()
    command.config.write_text("[nlp\n", encoding="utf8")
    assert "XLT-E514" in command()


def test_other_packages_make_the_pipeline_again(command, made, monkeypatch):
    command()
    monkeypatch.setattr(unchanged, "_packages", lambda: iter(["torch-99.0.dist-info"]))
    command()
    assert len(made) == 2
    # Its signatures were the same: known from now on
    command()
    assert len(made) == 2


def test_models_that_were_changed_make_the_pipeline_again(command, made, tmp_path):
    folder = tmp_path / "models" / "en-pt"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"1")
    named = ("--paths.models", str(folder.parent))
    command.config.write_text(CONFIG + "\n[paths]\nmodels = null\n", encoding="utf8")
    command(*named)
    command(*named)
    assert len(made) == 1
    (folder / "model.bin").write_bytes(b"22")
    command(*named)
    assert len(made) == 2


def test_code_that_was_changed_is_run_again(command, made, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text("A = 1\n", encoding="utf8")
    command("--code", str(code))
    command("--code", str(code))
    assert len(made) == 1
    code.write_text("A = 2\n", encoding="utf8")
    command("--code", str(code))
    assert len(made) == 2


def test_code_that_is_not_there_is_named(command, made, tmp_path):
    words = ["xlt", "build", str(command.config), str(command.corpus), str(command.built), "--code"]
    result = CliRunner().invoke(app, [*words, str(tmp_path / "none.py")])
    assert result.exit_code == 1 and "none.py" in result.output
    assert not isinstance(result.exception, FileNotFoundError) and not made


def test_a_page_that_is_wanted_and_not_there_is_written(command, made):
    command("--no-report")
    command("--no-report")
    assert len(made) == 1
    command()
    assert (command.built / "report.html").is_file() and len(made) == 2


def test_files_that_are_left_out_are_named_each_time(command, made, tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a.spacy").write_bytes(command.corpus.read_bytes())
    (folder / "b.spacy").write_bytes(b"broken")
    words = ["xlt", "build", str(command.config), str(folder), str(tmp_path / "other"), "--skip-corrupt"]
    for n in (1, 2):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0 and len(made) == n
    assert json.loads((tmp_path / "other/summary.json").read_text())["inputs_left_out"] == ["b.spacy"]


def test_half_a_line_of_the_log_is_cut_off(command, made):
    command()
    log = command.built / "log.jsonl"
    before = log.read_bytes()
    log.write_bytes(before + bytes(40))
    command()
    assert len(made) == 1 and log.read_bytes() == before
