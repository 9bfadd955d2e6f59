"""`xlt_ner` by spaCy's own commands: train, init labels, evaluate, assemble, and averages of runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.cli import spacy_cli
from helpers.paths import CONFIGS
from helpers.tiny_ner import SENTENCES, make_doc, make_ner, train
from spacy.tokens import DocBin

from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltError
from spacy_xlt.training.average import average_pipelines, find_members, write_average


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    nlp = spacy.blank("en")
    docs = [make_doc(nlp, text, ents) for text, ents in SENTENCES * 10]
    path = tmp_path_factory.mktemp("corpus") / "corpus.spacy"
    DocBin(docs=docs).to_disk(path)
    return path


def spacy_train(corpus: Path, encoder: Path, output: Path, *parts: str, **overrides) -> Path:
    """What `spacy train` makes of the config that ships; the folder of the last checkpoint."""
    names = ["train.cfg", *parts]
    settings = {
        "paths.source": str(corpus),
        "paths.dev": str(corpus),
        "paths.encoder": str(encoder),
        "corpora.train.use": ["source"],
        "nlp.lang": "pt",
        "training.max_steps": 40,
        "training.eval_frequency": 20,
        "training.batcher.size": 100,
        "training.optimizer.learn_rate.warmup_steps": 1,
        "training.optimizer.learn_rate.initial_rate": 0.01,
        "initialize.after_init.layers": 1,
        **{key.replace("__", "."): value for key, value in overrides.items()},
    }
    output.mkdir(parents=True)
    merge_configs([CONFIGS / name for name in names], settings).to_disk(output / "config.cfg", interpolate=False)
    spacy_cli("train", output / "config.cfg", "-o", output / "training")
    return output / "training" / "model-last"


@pytest.fixture(scope="module")
def trained_by_cli(corpus, encoder, tmp_path_factory) -> Path:
    return spacy_train(
        corpus,
        encoder,
        tmp_path_factory.mktemp("cli") / "run",
        "parts/snapshots.cfg",
        paths__snapshots=str(tmp_path_factory.mktemp("snapshots") / "s"),
    )


def test_spacy_trains_and_evaluates_it(trained_by_cli, corpus, tmp_path):
    spacy_cli("evaluate", trained_by_cli, corpus, "--output", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["ents_f"] > 0.9


def test_checkpoints_are_calibrated_on_the_development_set(trained_by_cli):
    assert spacy.load(trained_by_cli).get_pipe("xlt_ner").cfg["calibration"] != 1.0


def test_the_trained_pipeline_needs_nothing_of_training(trained_by_cli):
    config = spacy.load(trained_by_cli).config
    assert config["nlp"]["pipeline"] == ["xlt_ner"] and config["components"]["xlt_ner"]["factory"] == "xlt_ner"
    assert "spacy_xlt." not in json.dumps({key: config[key] for key in ("nlp", "components")})


def test_frozen_embeddings_and_layers_stay_as_they_were(trained_by_cli, encoder):
    from transformers import AutoModel

    before = AutoModel.from_pretrained(encoder).state_dict()
    after = spacy.load(trained_by_cli).get_pipe("xlt_ner").model.transformer.state_dict()
    changed = {name for name, values in after.items() if not np.array_equal(values.numpy(), before[name].numpy())}
    assert changed and all(name.startswith(("encoder.layer.1.", "encoder.layer.2.")) for name in changed)


def test_the_same_training_gives_the_same_pipeline(trained_by_cli, corpus, encoder, tmp_path):
    again = spacy_train(corpus, encoder, tmp_path / "again")
    states = [spacy.load(path).get_pipe("xlt_ner").model.state_dict() for path in (trained_by_cli, again)]
    assert all(np.array_equal(states[0][name].numpy(), states[1][name].numpy()) for name in states[0])


def test_snapshots_of_a_run_are_averaged(trained_by_cli, tmp_path):
    snapshots = Path(spacy.load(trained_by_cli).config["paths"]["snapshots"])
    nlp, average = average_pipelines(find_members([snapshots]))
    write_average(nlp, tmp_path / "average")
    assert average.n_changed
    assert len(spacy.load(tmp_path / "average")(SENTENCES[0][0]).ents) == 2


def test_runs_are_averaged_without_a_shared_seed_of_the_head(encoder, tmp_path, recwarn):
    """Whatever order the labels come in: the output layer begins at zero, with its labels sorted."""
    folders = []
    for i, sentences in enumerate((SENTENCES, SENTENCES[::-1])):
        nlp = train(make_ner(encoder, examples=sentences), times=40 + 10 * i)
        nlp.to_disk(tmp_path / f"run{i}")
        folders.append(tmp_path / f"run{i}")
    nlp, average = average_pipelines(folders)
    states = [spacy.load(folder).get_pipe("xlt_ner").model.state_dict() for folder in folders]
    mean = nlp.get_pipe("xlt_ner").model.state_dict()
    for name, values in mean.items():
        if values.is_floating_point():
            assert np.allclose(values.numpy(), (states[0][name].numpy() + states[1][name].numpy()) / 2, atol=1e-6)
    assert [ent.text for ent in nlp("Maria lives in Lisbon .").ents] == ["Maria", "Lisbon"]
    assert not [warning for warning in recwarn if "W632" in str(warning.message)]


def test_runs_with_other_labels_are_not_averaged(encoder, tmp_path):
    for i, sentences in enumerate((SENTENCES, SENTENCES[:3])):
        make_ner(encoder, examples=sentences).to_disk(tmp_path / f"run{i}")
    with pytest.raises(XltError, match=r"labels of xlt_ner: LOC, PER and not LOC, ORG, PER"):
        average_pipelines([tmp_path / "run0", tmp_path / "run1"])


def test_labels_are_stored_and_read(corpus, encoder, tmp_path):
    overrides = {"paths.source": str(corpus), "paths.dev": str(corpus), "paths.encoder": str(encoder)}
    settings = {**overrides, "corpora.train.use": ["source"]}
    merge_configs([CONFIGS / "train.cfg"], settings).to_disk(tmp_path / "config.cfg")
    spacy_cli("init", "labels", tmp_path / "config.cfg", tmp_path / "labels")
    assert json.loads((tmp_path / "labels" / "xlt_ner.json").read_text()) == ["LOC", "ORG", "PER"]


def test_a_trained_one_is_assembled_with_others(trained_by_cli, tmp_path):
    (tmp_path / "config.cfg").write_text(
        f"""
[nlp]
lang = "pt"
pipeline = ["sentencizer","xlt_ner"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.xlt_ner]
source = {json.dumps(str(trained_by_cli))}
"""
    )
    spacy_cli("assemble", tmp_path / "config.cfg", tmp_path / "assembled")
    nlp = spacy.load(tmp_path / "assembled")
    assert len(nlp("Maria lives in Lisbon .").ents) == 2
    assert [item.split(">")[0] for item in nlp.meta["requirements"]] == ["torch", "transformers"]


def test_training_goes_on_from_a_trained_one(trained_by_cli, corpus, encoder, tmp_path):
    last = spacy_train(
        corpus,
        encoder,
        tmp_path / "more",
        "strategies/source_first.cfg",
        paths__first=str(trained_by_cli),
        training__max_steps=2,
        training__optimizer__learn_rate__initial_rate=0.0001,
    )
    states = [spacy.load(path).get_pipe("xlt_ner").model.state_dict() for path in (trained_by_cli, last)]
    assert not np.array_equal(states[0]["head.weight"].numpy(), states[1]["head.weight"].numpy())
    assert np.allclose(states[0]["head.weight"].numpy(), states[1]["head.weight"].numpy(), atol=0.1)
