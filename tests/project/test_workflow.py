"""The project: its file is sound, its configs are what spaCy accepts, and it runs from column files to a report."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
import srsly
import weasel.cli.run
from helpers.in_process import run_python
from helpers.paths import ROOT
from spacy.util import load_config
from typer.main import get_command
from typer.testing import CliRunner
from weasel.cli.run import project_run
from weasel.schemas import ProjectConfigSchema, validate

from spacy_xlt.cli import app
from spacy_xlt.compare.plan import read_plan
from spacy_xlt.compare.processes import Children
from spacy_xlt.training.selection import used_sources


@pytest.fixture(scope="module")
def project() -> dict:
    return srsly.read_yaml(ROOT / "project.yml")


def test_the_project_file_is_valid_and_its_workflows_name_its_commands(project):
    assert validate(ProjectConfigSchema, project) == []
    names = {command["name"] for command in project["commands"]}
    assert all(set(steps) <= names for steps in project["workflows"].values())
    assert project["workflows"]["all"][-1] == "report"


def test_every_command_runs_something_that_exists(project):
    ours = set(get_command(app).commands)
    for command in project["commands"]:
        assert command["help"] and command["script"]
        for line in command["script"]:
            words = shlex.split(line)
            if words[1] == "-m":
                assert words[:3] == ["python", "-m", "spacy"] and (words[3] != "xlt" or words[4] in ours)
            else:
                assert words[0] == "python" and (ROOT / words[1]).is_file()


def test_values_with_spaces_and_quotes_stay_one_word_of_a_command(project):
    # These are several words
    several = {"options", "package_data", "package_code", "try_options"}
    for line in (line for command in project["commands"] for line in command["script"]):
        filled = line
        for name in set(project["vars"]) - several:
            filled = filled.replace(f"${{vars.{name}}}", "my d'ata, x")
        assert len(shlex.split(filled)) == len(line.split()), line


@pytest.mark.parametrize("workflow", ["all", "projection", "parallel"])
def test_every_dependency_is_shipped_or_made_by_an_earlier_command(project, workflow):
    made: set[str] = set()
    for name in project["workflows"][workflow]:
        (command,) = [command for command in project["commands"] if command["name"] == name]
        for dependency in command["deps"] if "deps" in command else []:
            for variable, value in project["vars"].items():
                dependency = dependency.replace(f"${{vars.{variable}}}", str(value))
            in_made = any(dependency == path or dependency.startswith(f"{path}/") for path in made)
            assert in_made or (ROOT / dependency).exists(), (name, dependency)
        made.update(command.get("outputs", ["training"]))


def test_no_gold_of_the_target_language_is_read_without_being_named(project):
    assert not {"few-shot", "gold"} & set(project["vars"]["strategies"].split(","))
    (build,) = [command for command in project["commands"] if command["name"] == "build"]
    assert "gold" not in " ".join(build["script"])
    # the English side of an evaluation set would let its sentences choose the checkpoint
    assert project["vars"]["source_dev"] not in (project["vars"]["given_source"], project["vars"]["target_test"])


def test_every_target_language_has_parallel_text_and_its_gold_is_not_the_annotators(project):
    variables = project["vars"]
    names = [path.name for path in (ROOT / "assets" / variables["parallel_text"]).glob("*.txt")]
    assert all(f"newstest2019-ref.{lang}.txt" in names for lang in variables["targets"].split(","))
    assert (
        variables["targets"]
        == read_plan(ROOT / "configs/compare_parallel.cfg").strategies["parallel"].overrides["languages.targets"]
    )
    # English PUD says the same as the German and the Portuguese one, which are test sets
    assert not any("PUD" in str(variables[f"source_{name}"]) for name in ("a", "b", "c", "dev"))


def make_miniature(project: dict, folder: Path) -> None:
    """The project with the first sentences of each of its texts."""
    shutil.copy(ROOT / "project.yml", folder)
    for name in ("configs", "scripts"):
        shutil.copytree(ROOT / name, folder / name)
    for name, path in project["vars"].items():
        if str(path).endswith((".iob2", ".txt", ".conll02")) and "{lang}" not in path:
            copy_beginning(path, folder, 40 if name in ("source_a", "target_train") else 10)
    shutil.copy(ROOT / "assets" / "licences.json", folder / "assets")


def copy_beginning(path: str, folder: Path, n: int, *, between: str = "\n\n") -> None:
    sentences = (ROOT / "assets" / path).read_text(encoding="utf8").split(between)
    (folder / "assets" / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / "assets" / path).write_text(between.join(sentences[:n]) + between, encoding="utf8")


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the lines of commands, and the jobs of a comparison, in this process."""

    def run_command(words: list[str], **_: object) -> None:
        assert run_python(words[1:]) == 0, shlex.join(words)

    monkeypatch.setattr(weasel.cli.run, "run_command", run_command)
    monkeypatch.setattr(Children, "run", lambda self, command, log: run_python(["-m", *command]))


@pytest.mark.slow
def test_the_whole_workflow_runs_on_a_miniature_of_the_data(project, tmp_path, monkeypatch, in_process, capsys):
    make_miniature(project, tmp_path)
    project_run(tmp_path, "all", overrides={"vars.max_steps": 2})
    out = capsys.readouterr().out
    report = json.loads((tmp_path / "metrics" / "report.json").read_text())
    assert set(report["compare"]["strategies"]) == {"zero-shot", "translate-train-all"}
    assert report["projection"]["ents_f"] > 0.5 and report["projection"]["ceiling_f"] > report["projection"]["ents_f"]
    assert (tmp_path / report["trial"]["wheel"]).is_file() and report["trial"]["wheel"] in out
    assert set(report["build"]["sentences_per_second"]) >= {"xlt_translator", "xlt_aligner", "xlt_projector"}
    project_run(tmp_path, "convert")
    assert "nothing changed" in capsys.readouterr().out
    # The plans that ship fit what the commands have written
    monkeypatch.chdir(tmp_path)
    for name, n_runs in {"compare": 14 * 3 + 2, "compare_shots": 6 * 3 + 4, "compare_parts": 6 * 3}.items():
        listed = CliRunner().invoke(app, ["compare", f"configs/{name}.cfg", "training/compare", "--dry-run"])
        assert listed.exit_code == 0 and listed.output.count("to do") == n_runs, listed.output
        assert name != "compare" or ("source-first/1" in listed.output and "averaged-runs/all" in listed.output)


@pytest.mark.long
def test_many_languages_are_made_from_a_miniature_of_parallel_text(project, tmp_path, in_process, capsys):
    make_miniature(project, tmp_path)
    copy_beginning("uner/German-PUD/de_pud-ud-test.iob2", tmp_path, 10)
    for name in ("src.eng", "ref.deu", "ref.srp-Latn"):
        copy_beginning(f"ntrex/newstest2019-{name}.txt", tmp_path, 30, between="\n")
    # Enough to find some entities, for two views to agree on; not of all labels
    rate = {"training.optimizer.learn_rate.warmup_steps": 2, "training.optimizer.learn_rate.initial_rate": 0.001}
    few = {"training.max_steps": 30, "training.eval_frequency": 30, "corpora.train.labels_may_differ": "true", **rate}
    options = " ".join(f"--overrides.{name} {value}" for name, value in few.items())
    project_run(tmp_path, "parallel", overrides={"vars.targets": "deu,srp-Latn", "vars.options": options})
    out = capsys.readouterr().out
    assert "No file for srp-Latn" in out and "No gold: srp-Latn." in out
    report = json.loads((tmp_path / "metrics" / "parallel" / "report.json").read_text())["compare"]
    assert list(report["sets"]) == ["deu"] and set(report["strategies"]) == {"zero-shot", "agreed"}
    assert {path.name for path in (tmp_path / "corpus" / "parallel").iterdir()} == {"source", "deu", "srp-Latn"}
    config = load_config(tmp_path / "training/parallel/runs/agreed/0/model-best/config.cfg", interpolate=True)
    assert list(used_sources(config["corpora"]["train"])) == ["source", "projected/deu", "projected/srp-Latn"]
