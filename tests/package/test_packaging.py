"""A trained pipeline, packaged and installed where there is spaCy and spacy-transformers but no spacy_xlt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from helpers.cli import spacy_cli
from helpers.paths import CONFIGS, ROOT
from helpers.scripts import try_package as trial
from helpers.tiny_encoder import make_tiny_encoder
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt.config import merge_configs

# One thread: the model is tiny. And no path by which spacy_xlt could be found after all.
ENV = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
newest_wheel, try_package = trial.newest_wheel, trial.try_package
SENTENCES = [
    (["Maria", "lives", "in", "Lisbon", "."], [(0, 1, "PER"), (3, 4, "LOC")]),
    (["Lisbon", "is", "far", "."], [(0, 1, "LOC")]),
    (["Maria", "sings", "."], [(0, 1, "PER")]),
    (["The", "Bank", "is", "in", "Lisbon", "."], [(1, 2, "ORG"), (4, 5, "LOC")]),
]


def run(*command: str | Path, **kwargs) -> str:
    done = subprocess.run([str(part) for part in command], env=ENV, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A pipeline that `spacy train` made with the config that ships, on a tiny encoder with random weights."""
    folder = tmp_path_factory.mktemp("trained")
    nlp = spacy.blank("en")
    docs = []
    for words, ents in SENTENCES * 8:
        doc = Doc(nlp.vocab, words=words, spaces=[True] * (len(words) - 2) + [False, False])
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(folder / "corpus.spacy")
    encoder = make_tiny_encoder(folder / "encoder")
    settings = {
        "paths.source": folder / "corpus.spacy",
        "corpora.train.use": '["source"]',
        "paths.dev": folder / "corpus.spacy",
        "paths.encoder": encoder,
        "nlp.lang": "pt",
        "training.max_steps": 40,
        "training.eval_frequency": 20,
        "training.optimizer.learn_rate.initial_rate": 0.01,
        "training.logger.output_file": folder / "metrics" / "train.json",
        "initialize.after_init.layers": 1,
    }
    overrides = [part for name, value in settings.items() for part in (f"--{name}", value)]
    merge_configs([CONFIGS / "train.cfg", CONFIGS / "ner.cfg"]).to_disk(folder / "train.cfg", interpolate=False)
    spacy_cli("train", folder / "train.cfg", "-o", folder / "training", *overrides)
    return folder


def test_the_logger_sums_up_what_the_training_took(trained):
    summary = json.loads((trained / "metrics" / "train.json").read_text())
    assert summary["updates"] == 40 and summary["words"] > 40 * 3
    assert [step for step, _ in summary["checkpoints"]] == [0, 20, 40]
    assert summary["best_score"] == max(score for _, score in summary["checkpoints"])


def test_the_trained_pipeline_names_nothing_of_ours(trained):
    nlp = spacy.load(trained / "training" / "model-best")
    text = json.dumps({key: nlp.config[key] for key in ("nlp", "components")})
    assert "spacy_xlt" not in text and "xlt" not in text


@pytest.fixture(scope="module")
def wheel(trained) -> Path:
    """The trained pipeline as a wheel."""
    command = ["--name", "tiny", "--version", "1.2.3", "--build", "wheel", "--force"]
    (trained / "packages").mkdir()
    best = trained / "training" / "model-best"
    spacy_cli("package", best, trained / "packages", *command)
    return newest_wheel(trained / "packages")


def test_the_package_needs_nothing_of_ours(wheel):
    meta = json.loads((wheel.parent.parent / "meta.json").read_text())
    assert sorted(name.split(">")[0] for name in meta["requirements"]) == ["spacy", "spacy-transformers"]


def test_the_packaged_pipeline_runs_without_spacy_xlt(trained, wheel, tmp_path):
    text = "Maria lives in Lisbon."
    found = tmp_path / "found.json"
    shown = run(sys.executable, ROOT / "scripts" / "try_package.py", wheel, "--text", text, "--json", found)
    # a few updates of random weights may not find every name, but what the pipeline finds here it must find there
    doc = spacy.load(trained / "training" / "model-best")(text)
    expected = [[ent.text, ent.label_] for ent in doc.ents]
    assert ["Lisbon", "LOC"] in expected
    assert json.loads(found.read_text())["found"] == [{"text": text, "ents": expected}]
    assert "Lisbon LOC" in shown


def test_a_package_that_needs_spacy_xlt_fails_the_trial(tmp_path):
    (tmp_path / "xx_needy").mkdir()
    (tmp_path / "xx_needy" / "__init__.py").write_text("import spacy_xlt\n")
    setup = "from setuptools import setup; setup(name='xx_needy', version='1.0.0', packages=['xx_needy'])"
    run(sys.executable, "-c", setup, "-q", "bdist_wheel", cwd=tmp_path)
    with pytest.raises(trial.TrialError, match="failed: .*spacy_xlt"):
        try_package(newest_wheel(tmp_path), ["Maria mora em Lisboa."])
