"""Training a generator of candidates: what is learned from, what it is worth, and the folder that comes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.projection import project
from helpers.span_toy import make_pairs
from helpers.tiny_scorer import EN, Copier
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

from spacy_xlt import Alignment, Bitext
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.projection.candidates import CandidateProjector
from spacy_xlt.projection.generator import LoadedGenerator, SpanGenerator
from spacy_xlt.projection.generator_training import (
    GeneratorSettings,
    hit_rates,
    labelled_sentences,
    read_examples,
    train_generator,
)

SMALL = {"steps": 60, "batch_tokens": 512, "learning_rate": 3e-3}
ENGLISH = [source for source, _ in make_pairs(60, seed=0)]
UNSEEN = make_pairs(20, seed=1)


@pytest.fixture(scope="module")
def folder(seq2seq_model):
    return str(seq2seq_model("t5-slots"))


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("generator") / "out"
    summary = train_generator(GeneratorSettings(model=folder, **SMALL), ENGLISH, output)
    return output, summary


def _weights(folder):
    from safetensors.numpy import load_file

    return load_file(Path(folder) / "model.safetensors")


class Backwards(Copier):
    """Translates each word into the same one from its end to its beginning. A text given itself is probable, too."""

    def force(self, sources, targets, **languages):
        sources = [a if a == b else _backwards(a) for a, b in zip(sources, targets, strict=True)]
        return super().force(sources, targets, **languages)


def _backwards(text):
    return " ".join(word[::-1] for word in text.split())


def _share_right(generator):
    """The share of entities of unseen sentences that are projected right; nothing links their words."""
    right = total = 0
    projector = CandidateProjector(translator=Backwards(), generator=generator)
    for source, gold in UNSEEN:
        foreign = Doc(source.vocab, words=[_backwards(token.text) for token in source])
        foreign.set_ents([Span(foreign, ent.start, ent.end, label=ent.label) for ent in source.ents])
        bitext = Bitext(foreign, Doc(gold.vocab, words=[token.text for token in gold]), Alignment([]))
        expected = {(ent.start, ent.end, ent.label_) for ent in gold.ents}
        right += len(expected & {(ent.start, ent.end, ent.label_) for ent in project(projector, bitext).target.ents})
        total += len(expected)
    return right / total


def test_projection_is_right_with_the_trained_generator_and_not_with_the_untrained_one(folder, trained):
    output, summary = trained
    assert summary["loss_last"] < summary["loss_first"] / 10
    before, after = (_share_right(SpanGenerator(model=str(model), beams=3)) for model in (folder, output))
    # It learned from English alone; these sentences are Portuguese
    assert after > 0.9 and before < 0.6


def test_candidates_of_another_language_have_the_spans_first(folder, trained):
    output, _ = trained
    targets = [target for _, target in UNSEEN]
    before, after = (hit_rates(SpanGenerator(model=str(model), beams=3), targets) for model in (folder, output))
    assert before["spans"] == after["spans"] == sum(len(doc.ents) for doc in targets)
    assert after["first"] > 0.7 > 0.2 > before["first"] and after["any"] > 0.95 > 0.6 > before["any"]


def test_folder_is_an_ordinary_model_with_notes_beside_it(trained):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    output, summary = trained
    AutoModelForSeq2SeqLM.from_pretrained(output)
    assert AutoTokenizer.from_pretrained(output).convert_tokens_to_ids("<extra_id_0>") > 0
    notes = json.loads((output / "generator.json").read_text())
    assert notes["labels"] == {"LOC": 60, "PER": sum(ent.label_ == "PER" for doc in ENGLISH for ent in doc.ents)}
    assert notes["steps"] == 60 and notes["sentences_used"] == summary["sentences_read"] == 60
    assert not list(output.parent.glob(".out*"))


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(folder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = GeneratorSettings(model=folder, seed=seed, **{**SMALL, "steps": 4})
        train_generator(settings, ENGLISH, tmp_path / name)
    a, b, c = (_weights(tmp_path / name)["shared.weight"] for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_sentences_have_the_spans_of_all_groups_and_those_that_cross_their_ends_are_left_out():
    doc = Doc(EN, words="Ann left . Rio shines".split(), sent_starts=[True, False, False, True, False])
    doc.set_ents([Span(doc, 0, 1, label="PER")], default="outside")
    doc.spans["a"] = [Span(doc, 3, 4, label="LOC"), Span(doc, 0, 1, label="PER"), Span(doc, 2, 4, label="X")]
    first, second = labelled_sentences([doc])
    assert (first.words, first.spans) == (["Ann", "left", "."], [("PER", (0, 1))])
    assert (second.words, second.spans) == (["Rio", "shines"], [("LOC", (0, 1))])


def test_more_spans_than_sentinels_are_several_examples(folder):
    loaded = LoadedGenerator.read(folder, torch.device("cpu"))
    doc = Doc(EN, words=["Rio"] * 120)
    doc.spans["a"] = [Span(doc, i, i + 1, label="LOC") for i in range(120)]
    examples = read_examples(labelled_sentences([doc]), loaded.codec, max_pieces=1000)
    assert [len(example.answers) for example in examples.kept] == [100, 20]
    for example in examples.kept:
        assert [answer[0] for answer in example.answers] == loaded.codec.sentinels[: len(example.answers)]
        assert all(sentinel in example.prompt for sentinel, *_ in example.answers)
    assert examples.labels == {"LOC": 120}


def test_what_cannot_be_learned_from_is_counted_and_an_error_where_there_is_nothing_else(folder, tmp_path):
    loaded = LoadedGenerator.read(folder, torch.device("cpu"))
    bare, long, blank = Doc(EN, words=["no"]), Doc(EN, words=["Rio"] * 300), Doc(EN, words=[" ", "x"])
    long.set_ents([Span(long, 0, 1, label="LOC")])
    blank.set_ents([Span(blank, 0, 1, label="LOC")])
    examples = read_examples(labelled_sentences([bare, long, blank, ENGLISH[0]]), loaded.codec, max_pieces=200)
    assert (examples.read, examples.bare, examples.long, len(examples.kept)) == (4, 2, 1, 1)
    with pytest.raises(XltError, match="E286.*3 read, 2 without spans, 1 of over 256 pieces"):
        train_generator(GeneratorSettings(model=folder, **SMALL), [bare, long, blank], tmp_path / "out")
    assert not list(tmp_path.iterdir())


class Stop(Exception):
    pass


def test_an_interrupted_training_leaves_nothing(folder, tmp_path):
    def stop(step, loss):
        if step == 2:
            raise Stop

    with pytest.raises(Stop):
        train_generator(GeneratorSettings(model=folder, **SMALL), ENGLISH, tmp_path / "out", progress=stop)
    assert not list(tmp_path.iterdir())


def test_invalid_settings_models_and_folders_are_errors(folder, seq2seq_model, tmp_path):
    for changes, code in (
        ({"model": " "}, "E150"),
        ({"steps": 0}, "E150"),
        ({"model": str(seq2seq_model("t5"))}, "E285"),
        ({"model": str(tmp_path / "absent")}, "E221"),
    ):
        with pytest.raises(XltError) as err:
            train_generator(GeneratorSettings(**{"model": folder, **SMALL, **changes}), ENGLISH, tmp_path / "out")
        assert err.value.code == code
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with pytest.raises(XltError, match="E553"):
        train_generator(GeneratorSettings(model=folder, **SMALL), ENGLISH, tmp_path / "out")


def test_command_trains_measures_and_says_what_it_did(folder, tmp_path):
    for name, docs in (("en", ENGLISH), ("pt", [target for _, target in UNSEEN])):
        DocBin(docs=docs).to_disk(tmp_path / f"{name}.spacy")
    words = ["train-generator", str(tmp_path / "en.spacy"), str(tmp_path / "out"), "--model", folder, "--lang", "en"]
    words += ["--steps", "4", "--dev", str(tmp_path / "pt.spacy"), "--dev-lang", "pt"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "60 of 60 sentences used (0 without spans, 0 too long)" in said and "are its first candidate" in said
    assert (tmp_path / "out" / "config.json").is_file()
    DocBin(docs=[Doc(EN, words=["no"])]).to_disk(tmp_path / "pt.spacy")
    bare = CliRunner().invoke(app, words)
    assert bare.exit_code == 1 and "XLT-E521" in bare.output
    again = CliRunner().invoke(app, words[:-4])
    assert again.exit_code == 1 and "XLT-E553" in again.output
