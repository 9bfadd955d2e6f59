"""A trained pipeline, packaged and installed where there is spaCy and spacy-transformers but no spacy_xlt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from tiny_encoder import make_tiny_encoder

CONFIGS = Path(__file__).parent.parent / "configs"
# One thread: the model is tiny. And no path by which spacy_xlt could be found after all.
ENV = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
SENTENCES = [
    (["Maria", "mora", "em", "Lisboa", "."], [(0, 1, "PER"), (3, 4, "LOC")]),
    (["Lisboa", "fica", "longe", "."], [(0, 1, "LOC")]),
    (["Maria", "canta", "."], [(0, 1, "PER")]),
    (["O", "Banco", "fica", "em", "Lisboa", "."], [(1, 2, "ORG"), (4, 5, "LOC")]),
]


def run(*command: str | Path, **kwargs) -> str:
    done = subprocess.run([str(part) for part in command], env=ENV, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A pipeline that `spacy train` made with the CPU config, on a tiny encoder with random weights."""
    folder = tmp_path_factory.mktemp("trained")
    nlp = spacy.blank("pt")
    docs = []
    for words, ents in SENTENCES * 8:
        doc = Doc(nlp.vocab, words=words, spaces=[True] * (len(words) - 2) + [False, False])
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(folder / "corpus.spacy")
    encoder = make_tiny_encoder(folder / "encoder")
    settings = {
        "paths.train": folder / "corpus.spacy",
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
    run(sys.executable, "-m", "spacy", "train", CONFIGS / "train_cpu.cfg", "-o", folder / "training", *overrides)
    return folder


def test_the_logger_sums_up_what_the_training_took(trained):
    summary = json.loads((trained / "metrics" / "train.json").read_text())
    assert summary["updates"] == 40 and summary["words"] > 40 * 3
    assert [step for step, _ in summary["checkpoints"]] == [0, 20, 40]
    assert summary["best_score"] == max(score for _, score in summary["checkpoints"])


def test_what_is_frozen_is_not_trained(trained):
    from transformers import AutoModel

    before = AutoModel.from_pretrained(trained / "encoder").state_dict()
    nlp = spacy.load(trained / "training" / "model-last")
    after = nlp.get_pipe("transformer").model.transformer.state_dict()
    changed = {name for name in before if not bool((before[name] == after[name]).all())}
    assert changed
    assert all(name.startswith(("encoder.layer.1", "encoder.layer.2")) for name in changed)


def test_the_trained_pipeline_names_nothing_of_ours(trained):
    nlp = spacy.load(trained / "training" / "model-best")
    text = json.dumps({key: nlp.config[key] for key in ("nlp", "components")})
    assert "spacy_xlt" not in text and "xlt" not in text


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory) -> Path:
    """The Python of a virtual environment that has every package of this one but spacy_xlt."""
    if os.name == "nt":
        pytest.skip("needs symbolic links")
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    packages = folder / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        ours = "spacy_xlt" in path.name.lower() or path.name.startswith("__editable__")
        if not ours:
            (packages / path.name).symlink_to(path)
    # A line in a .pth file adds a folder, and does not run the .pth files in it.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "packages.pth").write_text(f"{packages}\n")
    return python


def test_the_packaged_pipeline_runs_without_spacy_xlt(trained, bare_python, tmp_path):
    # A folder of its own: Python looks for modules where it is started.
    run(bare_python, "-c", "import spacy_transformers", cwd=tmp_path)
    missing = "import importlib.util as u; assert u.find_spec('spacy_xlt') is None"
    run(bare_python, "-c", missing, cwd=tmp_path)
    no_entry_point = (
        "from importlib import metadata as m; assert 'spacy-xlt' not in {d.name for d in m.distributions()}"
    )
    run(bare_python, "-c", no_entry_point, cwd=tmp_path)

    command = ["--name", "tiny", "--version", "1.2.3", "--build", "wheel", "--force"]
    run(sys.executable, "-m", "spacy", "package", trained / "training" / "model-best", tmp_path, *command)
    (wheel,) = tmp_path.rglob("*.whl")
    meta = json.loads((tmp_path / "pt_tiny-1.2.3" / "meta.json").read_text())
    assert sorted(name.split(">")[0] for name in meta["requirements"]) == ["spacy", "spacy-transformers"]

    pip = [sys.executable, "-m", "pip", "--python", bare_python, "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, wheel, cwd=tmp_path)
    code = (
        "import sys, spacy; nlp = spacy.load('pt_tiny'); doc = nlp('Maria mora em Lisboa.');"
        "print(sorted((e.text, e.label_) for e in doc.ents)); assert 'spacy_xlt' not in sys.modules"
    )
    # a few updates of random weights may not find every name, but what the pipeline finds here it must find there
    doc = spacy.load(trained / "training" / "model-best")("Maria mora em Lisboa.")
    expected = sorted((ent.text, ent.label_) for ent in doc.ents)
    assert ("Lisboa", "LOC") in expected
    assert run(bare_python, "-W", "error::UserWarning", "-c", code, cwd=tmp_path).strip() == str(expected)
