"""The project: its file is sound, its configs are what spaCy accepts, and it runs from column files to a report."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly
from helpers.paths import ROOT
from helpers.tiny_encoder import make_tiny_encoder
from spacy.cli.debug_config import debug_config
from spacy.cli.init_config import fill_config
from spacy.util import load_config, registry
from typer.testing import CliRunner
from weasel.schemas import ProjectConfigSchema, validate

from spacy_xlt.cli import app
from spacy_xlt.config import merge_configs

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def spacy_command(*args: str | Path, cwd: Path) -> str:
    command = [sys.executable, "-m", "spacy", *map(str, args)]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def project() -> dict:
    return srsly.read_yaml(ROOT / "project.yml")


def test_the_project_file_is_valid_and_its_workflows_name_its_commands(project):
    assert validate(ProjectConfigSchema, project) == []
    names = {command["name"] for command in project["commands"]}
    assert all(set(steps) <= names for steps in project["workflows"].values())
    assert project["workflows"]["all"][-1] == "report"


def test_every_command_runs_something_that_exists(project):
    ours = {command.name for command in app.registered_commands}
    for command in project["commands"]:
        assert command["help"] and command["script"]
        for line in command["script"]:
            words = shlex.split(line)
            assert words[:3] == ["python", "-m", "spacy"]
            assert words[3] != "xlt" or words[4] in ours


def test_every_dependency_is_shipped_or_made_by_an_earlier_command(project):
    made: set[str] = set()
    for name in project["workflows"]["all"]:
        (command,) = [command for command in project["commands"] if command["name"] == name]
        for dependency in command["deps"] if "deps" in command else []:
            for variable, value in project["vars"].items():
                dependency = dependency.replace(f"${{vars.{variable}}}", str(value))
            in_made = any(dependency == path or dependency.startswith(f"{path}/") for path in made)
            assert in_made or (ROOT / dependency).exists(), (name, dependency)
        made.update(command["outputs"])


STRATEGIES = ["zero-shot", "translate-train", "translate-train-all", "source-first", "few-shot", "gold"]


def test_the_strategies_differ_in_what_they_read_alone(project):
    rest = []
    for name in STRATEGIES:
        (command,) = [command for command in project["commands"] if command["name"] == name]
        (train,) = [line.replace(name, "X").split() for line in command["script"] if line.split()[3] == "train"]
        # the corpora, each an option and its value
        corpora = {i for i, word in enumerate(train) if word.startswith("--paths.") and word != "--paths.encoder"}
        rest.append([word for i, word in enumerate(train) if i not in corpora and i - 1 not in corpora])
    assert all(words == rest[0] for words in rest)


def test_no_gold_of_the_target_language_is_seen_but_where_it_is_said(project):
    for command in project["commands"]:
        if command["name"] in {"build", *STRATEGIES} - {"few-shot", "gold"}:
            words = " ".join(command["script"]).split()
            read = [words[i + 1] for i, word in enumerate(words) if word.startswith("--paths.")]
            assert not any("corpus/gold" in path for path in read)
            # the evaluation sets are read to be left out of the training, and by the evaluation
            trained_on = [path for path in read if not path.startswith("'[")]
            assert not {"corpus/test.spacy", "corpus/given/target.spacy"} & set(trained_on)
    # the English side of an evaluation set would let its sentences choose the checkpoint
    assert project["vars"]["source_dev"] not in (project["vars"]["given_source"], project["vars"]["target_test"])


@pytest.mark.parametrize("name", ["train_cpu.cfg", "train_gpu.cfg"])
def test_training_configs_keep_our_functions_out_of_the_pipeline(name):
    config = load_config(ROOT / "configs" / name)
    assert "spacy_xlt" not in json.dumps({key: config[key] for key in ("nlp", "components")})
    assert config["corpora"]["train"]["@readers"] == "spacy_xlt.Corpus.v1"


@pytest.mark.parametrize("name", ["train_cpu.cfg", "train_gpu.cfg"])
def test_training_configs_are_accepted_by_spacy(name, tmp_path, make_doc, write_corpus):
    corpus = write_corpus([make_doc("Maria sings .", (0, 1, "PER"))])
    encoder = make_tiny_encoder(tmp_path / "encoder")
    config = ROOT / "configs" / name
    fill_config(tmp_path / "filled.cfg", config, silent=True)
    paths = {"paths.train": str(corpus), "paths.dev": str(corpus), "paths.encoder": str(encoder)}
    debug_config(tmp_path / "filled.cfg", overrides=paths)
    filled = load_config(tmp_path / "filled.cfg")
    assert filled["nlp"]["pipeline"] == ["transformer", "ner", "doc_cleaner"]
    assert filled["reading"]["split_contractions"] == 0


def make_miniature(project: dict, folder: Path) -> None:
    """The project with the first sentences of each of its texts."""
    shutil.copy(ROOT / "project.yml", folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    for name, path in project["vars"].items():
        if str(path).endswith((".iob2", ".txt", ".conll02")):
            sentences = (ROOT / "assets" / path).read_text(encoding="utf8").split("\n\n")
            (folder / "assets" / path).parent.mkdir(parents=True, exist_ok=True)
            n = 40 if name.startswith(("source", "target")) else 20
            (folder / "assets" / path).write_text("\n\n".join(sentences[:n]) + "\n\n", encoding="utf8")
    shutil.copy(ROOT / "assets" / "licences.json", folder / "assets")


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "strategies").glob("*.cfg")), ids=lambda path: path.stem)
def test_each_strategy_reads_what_it_is_given(path, make_doc, write_corpus, tmp_path):
    corpora = {
        "en": write_corpus([make_doc("Maria sings in Rome .", (0, 1, "PER"))], tmp_path / "en.spacy"),
        "pt": write_corpus([make_doc("A Maria canta em Roma .", (1, 2, "PER"))], tmp_path / "pt.spacy"),
    }
    langs = dict.fromkeys(("source", "dev"), "en") | dict.fromkeys(("projected", "few_shot", "gold", "gold_dev"), "pt")
    overrides = {f"paths.{name}": str(corpora[lang]) for name, lang in langs.items()}
    overrides |= {"paths.encoder": str(make_tiny_encoder(tmp_path / "encoder")), "nlp.lang": "pt"}
    config = merge_configs([ROOT / "configs" / "train_cpu.cfg", path], overrides).interpolate()
    readers = registry.resolve({"corpora": config["corpora"]})["corpora"]
    nlp = spacy.blank("pt")
    for name in ("train", "dev"):
        examples = list(readers[name](nlp))
        assert examples and all(example.reference.ents for example in examples), name


@pytest.mark.slow
def test_the_whole_workflow_runs_on_a_miniature_of_the_data(project, tmp_path, monkeypatch):
    make_miniature(project, tmp_path)
    small = ["--vars.max_steps", "6", "--vars.eval_frequency", "3", "--vars.encoder_layers", "2"]
    out = spacy_command("project", "run", "all", ".", *small, cwd=tmp_path)
    report = json.loads((tmp_path / "metrics" / "report.json").read_text())
    assert [score["name"] for score in report["scores"]] == ["zero-shot", "translate-train-all"]
    assert report["projection"]["f"] > 50 and report["ceiling"] > report["projection"]["f"]
    assert (tmp_path / report["package"]).is_file()
    stages = {stage["name"] for stage in report["stages"] if stage["sentences_per_second"]}
    assert {"xlt_translator", "xlt_aligner", "train zero-shot", "train translate-train-all"} <= stages
    assert "pt_xlt_ner" in out
    assert "nothing changed" in spacy_command("project", "run", "convert", ".", *small, cwd=tmp_path)
    # The plans that ship fit what the commands have written
    spacy_command("project", "run", "convert-gold", ".", *small, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, n_runs in {"compare": 10 * 3 + 2, "compare_shots": 6 * 3 + 4, "compare_parts": 5 * 3}.items():
        listed = CliRunner().invoke(app, ["compare", f"configs/{name}.cfg", "training/compare", "--dry-run"])
        assert listed.exit_code == 0 and listed.output.count("to do") == n_runs, listed.output
        assert name != "compare" or ("source-first/1" in listed.output and "averaged-runs/all" in listed.output)
