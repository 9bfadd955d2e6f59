"""`xlt_seq2seq_ner` by spaCy's own commands and ours, and the files that its package has beside each other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.children import without
from helpers.cli import spacy_cli
from helpers.paths import CONFIGS
from helpers.tiny_labeller import labeller_of, make_labeller, make_text_to_text
from helpers.tiny_ner import SENTENCES, make_doc, make_optimizer, train
from spacy.tokens import DocBin

from spacy_xlt.config import merge_configs
from spacy_xlt.package.provenance import read_provenance
from spacy_xlt.probabilities import annotate_scored
from spacy_xlt.training.average import average_pipelines


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_text_to_text(tmp_path_factory.mktemp("seq2seq") / "mt5")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    nlp = spacy.blank("en")
    path = tmp_path_factory.mktemp("corpus") / "corpus.spacy"
    DocBin(docs=[make_doc(nlp, text, ents) for text, ents in SENTENCES * 10]).to_disk(path)
    return path


@pytest.fixture(scope="module")
def trained_by_cli(corpus, model, tmp_path_factory) -> Path:
    """What `spacy train` makes of the config that ships."""
    folder = tmp_path_factory.mktemp("cli")
    settings = {
        "paths.source": str(corpus),
        "paths.dev": str(corpus),
        "paths.encoder": str(model),
        "corpora.train.use": ["source"],
        "nlp.lang": "pt",
        "system.gpu_allocator": None,
        "components.xlt_seq2seq_ner.precision": "float32",
        "training.max_steps": 100,
        "training.eval_frequency": 25,
        "training.batcher.size": 200,
        "training.accumulate_gradient": 2,
        "training.optimizer.learn_rate.warmup_steps": 1,
        "training.optimizer.learn_rate.initial_rate": 0.003,
    }
    config = merge_configs([CONFIGS / name for name in ("train.cfg", "gpu.cfg", "seq2seq.cfg")], settings)
    config.to_disk(folder / "config.cfg", interpolate=False)
    spacy_cli("train", folder / "config.cfg", "-o", folder / "training")
    return folder / "training" / "model-best"


def test_spacy_trains_and_evaluates_it(trained_by_cli, corpus, tmp_path):
    spacy_cli("evaluate", trained_by_cli, corpus, "--output", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["ents_f"] > 0.9
    component = labeller_of(spacy.load(trained_by_cli))
    assert component.cfg["calibration"] != 1.0 and component.labels == ("LOC", "ORG", "PER")


def test_the_trained_pipeline_needs_nothing_of_training(trained_by_cli, model):
    nlp = spacy.load(trained_by_cli)
    assert nlp.config["nlp"]["pipeline"] == ["xlt_seq2seq_ner"]
    assert [item.split(">")[0] for item in nlp.meta["requirements"]] == ["torch", "transformers"]
    assert "spacy_xlt." not in json.dumps({key: nlp.config[key] for key in ("nlp", "components")})
    provenance = read_provenance(trained_by_cli)
    assert provenance.encoder == str(model) and not provenance.needs_xlt


def test_embeddings_at_both_ends_stay_as_they_were(trained_by_cli, model):
    from transformers import AutoModelForSeq2SeqLM

    before = AutoModelForSeq2SeqLM.from_pretrained(model).state_dict()
    after = labeller_of(spacy.load(trained_by_cli)).model.transformer.state_dict()
    changed = {name for name, values in after.items() if not np.array_equal(values.numpy(), before[name].numpy())}
    assert any(name.startswith("encoder.block") for name in changed)
    assert any(name.startswith("decoder.block") for name in changed)
    assert not changed & {"shared.weight", "lm_head.weight", "encoder.embed_tokens.weight"}


def test_runs_are_averaged(model, tmp_path):
    folders = []
    for i, sentences in enumerate((SENTENCES, SENTENCES[::-1])):
        nlp = train(make_labeller(model, examples=sentences), times=3, sgd=make_optimizer(0.001 + i * 0.001))
        nlp.to_disk(tmp_path / f"run{i}")
        folders.append(tmp_path / f"run{i}")
    nlp, average = average_pipelines(folders)
    states = [labeller_of(spacy.load(folder)).model.state_dict() for folder in folders]
    mean = labeller_of(nlp).model.state_dict()
    assert average.n_changed
    for name, values in mean.items():
        assert np.allclose(values.numpy(), (states[0][name].numpy() + states[1][name].numpy()) / 2, atol=1e-5), name


def test_members_of_an_ensemble_say_how_probable_their_entities_are(trained_by_cli):
    nlp = spacy.load(trained_by_cli)
    (doc,), (scores,) = annotate_scored(nlp, [make_doc(nlp, SENTENCES[3][0])], beam_width=4)
    assert {(ent.start, ent.end, ent.label_) for ent in doc.ents} == {tuple(key) for key in scores}
    assert doc.ents and all(0.3 < p < 1.0 for p in scores.values())


@pytest.mark.long
def test_a_package_runs_without_spacy_xlt(trained_by_cli, tmp_path):
    files = read_provenance(trained_by_cli).code
    options = ["--name", "tagged", "--version", "1.0.0", "--build", "none", "--code", ",".join(map(str, files))]
    spacy_cli("package", trained_by_cli, tmp_path, *options)
    package = tmp_path / "pt_tagged-1.0.0"
    # What a build does
    shutil.copy(package / "meta.json", package / "pt_tagged")
    requirements = json.loads((package / "meta.json").read_text())["requirements"]
    assert sorted(item.split(">")[0] for item in requirements) == ["spacy", "torch", "transformers"]
    script = f"""
import sys
sys.path.insert(0, {str(package)!r})
import pt_tagged
nlp = pt_tagged.load()
print([(ent.text, ent.label_) for ent in nlp("Maria lives in Lisbon .").ents])
print(type(nlp.get_pipe("xlt_seq2seq_ner")).__module__)
"""
    for missing in ([], ["spacy_xlt"]):
        env = {**os.environ, **without("spacy_transformers", *missing)}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines() == ["[('Maria', 'PER'), ('Lisbon', 'LOC')]", "pt_tagged.xlt_seq2seq_ner"]


def test_labels_are_stored_and_read(corpus, model, tmp_path):
    settings = {"paths.source": str(corpus), "paths.dev": str(corpus), "paths.encoder": str(model)}
    names = ["train.cfg", "seq2seq.cfg"]
    config = merge_configs([CONFIGS / name for name in names], {**settings, "corpora.train.use": ["source"]})
    config.to_disk(tmp_path / "config.cfg")
    spacy_cli("init", "labels", tmp_path / "config.cfg", tmp_path / "labels")
    assert json.loads((tmp_path / "labels" / "xlt_seq2seq_ner.json").read_text()) == ["LOC", "ORG", "PER"]
