"""Adapting an encoder: batches, objectives, going on after a stop, and the folder that comes out."""

import gzip
import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacy_xlt.adapting.link_loss import link_loss
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.pieces import ParallelPieces
from spacy_xlt.adapting.self_align import SelfAlign
from spacy_xlt.adapting.texts import Pair
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt, mixed_batches
from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment
from spacy_xlt.steps import shuffled_batches

PAIRS = [
    ("Maria mora em Lisboa .".split(), "Maria lives in Lisboa .".split()),
    ("John trabalha no Banco Central .".split(), "John works for Banco Central .".split()),
    ("Maria e John .".split(), "Maria and John .".split()),
    ([], ["nothing"]),
    ("Maria trabalha em New York , Google .".split(), "Maria works in New York , Google .".split()),
    (["abc"] * 200, ["abc"] * 200),
]
SMALL = {"layers": 2, "steps": 6, "batch_tokens": 128, "max_pieces": 60, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def _given(pairs=PAIRS):
    return [Pair(*pair) for pair in pairs]


def _weights(folder):
    from safetensors.numpy import load_file

    return load_file(Path(folder) / "model.safetensors")


def _adapt(tiny, pairs, output, **changes):
    own = {name: changes.pop(name) for name in ("threshold",) if name in changes}
    settings = AdaptingSettings(**{**SMALL, "model": str(tiny), **changes})
    return adapt(settings, {"self_align": SelfAlign(pairs=pairs, **own)}, output)


def test_folder_loads_as_any_model_and_only_its_layers_were_adapted(tiny, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    summary = _adapt(tiny, _given(), tmp_path / "out")
    assert (summary["objectives"]["self_align"]["read"], summary["objectives"]["self_align"]["items"]) == (6, 4)
    model = AutoModel.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert model.config.num_hidden_layers == 2
    assert tokenizer("Maria mora").input_ids == AutoTokenizer.from_pretrained(tiny)("Maria mora").input_ids
    before, after = _weights(tiny), _weights(tmp_path / "out")
    for name, value in after.items():
        same = np.array_equal(value, before[name])
        assert same == name.startswith(("embeddings.", "pooler.")), name
    assert json.loads((tmp_path / "out" / "adapting.json").read_text())["steps"] == 6
    links = EmbeddingAligner(model=str(tmp_path / "out"), layer=2).align([PAIRS[0]])[0]
    assert len(links) and not list(tmp_path.glob(".out*"))


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(tiny, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        _adapt(tiny, _given(), tmp_path / name, seed=seed)
    a, b, c = (_weights(tmp_path / name) for name in "abc")
    key = "encoder.layer.1.output.dense.weight"
    assert np.array_equal(a[key], b[key]) and not np.array_equal(a[key], c[key])


def test_links_become_more_certain(tiny, tmp_path):
    def certainty(model):
        aligner = EmbeddingAligner(model=str(model), layer=2, threshold=0.2, weak_links=None)
        return np.concatenate([alignment.scores for alignment in aligner.align(PAIRS[:4])]).sum()

    _adapt(tiny, _given(), tmp_path / "out", steps=40, learning_rate=2e-3, threshold=0.2)
    # Of 15 words that have a counterpart: by 0.9
    assert certainty(tmp_path / "out") > certainty(tiny) + 0.2


def test_given_links_are_learned(tiny, tmp_path):
    crossed = Alignment([(i, 4 - i) for i in range(5)])
    before = EmbeddingAligner(model=str(tiny), layer=2, threshold=0.3).align([PAIRS[0]])[0]
    assert before.links.tolist() != crossed.links.tolist()
    _adapt(tiny, [Pair(*PAIRS[0], links=crossed)], tmp_path / "out", steps=100, learning_rate=5e-3)
    after = EmbeddingAligner(model=str(tmp_path / "out"), layer=2, threshold=0.3).align([PAIRS[0]])[0]
    assert after.links.tolist() == crossed.links.tolist()


class Stop(Exception):
    pass


def test_an_interrupted_adaptation_leaves_nothing(tiny, tmp_path):
    def pairs():
        yield Pair(*PAIRS[0])
        raise Stop

    with pytest.raises(Stop):
        _adapt(tiny, pairs(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_invalid_settings_texts_and_folders_are_errors(tiny, tmp_path):
    for changes, message in (
        ({"steps": 0}, "E150.*`steps`.* 0;"),
        ({"layers": 9}, "E302.*3 layers"),
    ):
        with pytest.raises(XltError, match=message):
            _adapt(tiny, _given(), tmp_path / "out", **changes)
    with pytest.raises(XltError, match="E354.*2 read, none with text on both sides of at most 60 pieces"):
        _adapt(tiny, _given([PAIRS[3], PAIRS[5]]), tmp_path / "out")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "file").touch()
    with pytest.raises(XltError, match="E553"):
        _adapt(tiny, _given(), tmp_path / "out")


def test_no_model_is_written_of_what_are_no_numbers_any_more(tiny, tmp_path):
    with pytest.raises(XltError, match=r"E360.*Step 2: the loss is nan.*it is 1e\+30"):
        _adapt(tiny, _given(), tmp_path / "out", learning_rate=1e30)
    # Nor what the next run would begin with
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_known_before_the_training(tiny, tmp_path):
    (tmp_path / "file").touch()

    def pairs():
        raise AssertionError("the text is read")
        yield

    with pytest.raises(XltError, match="E501.*file is no folder"):
        _adapt(tiny, pairs(), tmp_path / "file" / "out")


def test_pairs_with_empty_links_are_left_out(tiny, tmp_path):
    empty = Alignment([])
    with pytest.raises(XltError, match="E354.*1 read, none with links"):
        _adapt(tiny, [Pair(*PAIRS[0], links=empty)], tmp_path / "out")
    summary = _adapt(tiny, [Pair(*PAIRS[0], links=empty), Pair(*PAIRS[1])], tmp_path / "out")
    assert summary["objectives"]["self_align"]["items"] == 1


def test_a_part_of_a_translation_model_cannot_be_adapted(tmp_path, tiny):
    from transformers import AutoTokenizer, T5Config, T5Model

    T5Model(T5Config(vocab_size=200, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path)
    with pytest.raises(XltError, match="E353.*larger model"):
        _adapt(tmp_path, _given(), tmp_path / "out", layers=1)


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60), size=st.integers(1, 300), seed=st.integers(0, 9))
def test_every_item_comes_once_an_epoch_in_batches_within_the_budget(lengths, size, seed):
    seen = []
    for batch in islice(shuffled_batches(np.asarray(lengths), batch_tokens=size, seed=seed), 150):
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= size
        seen += batch
        if len(seen) >= len(lengths):
            break
    assert sorted(seen) == list(range(len(lengths)))


def test_given_links_of_words_without_pieces_are_left_out(tiny):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    pair = Pair(["", "Maria", "John"], ["Maria", "\u200b", "John"])
    data = ParallelPieces([pair], model)
    source, target = (model.words([side]) for side in data.sides[0])

    def loss(*links):
        return float(link_loss(source, target, temperature=0.1, threshold=0.3, links=[Alignment(links)]))

    assert loss((0, 0), (1, 0), (2, 1), (2, 2)) == loss((1, 0), (2, 2)) != loss((1, 2))
    assert loss((0, 0)) == 0


def test_batches_are_of_objectives_by_their_weights_and_the_seed_fixes_them():
    lengths = {"a": np.full(30, 5), "b": np.full(7, 5)}

    def names(seed):
        batches = mixed_batches(lengths, {"a": 3.0, "b": 1.0}, batch_tokens=10, seed=seed)
        return [name for name, _, _ in islice(batches, 400)]

    assert names(0) == names(0) != names(1)
    assert 0.68 < names(0).count("a") / 400 < 0.82


def test_what_was_stopped_goes_on_to_the_same_model(tiny, tmp_path):
    settings = AdaptingSettings(**{**SMALL, "model": str(tiny)})
    objectives = {"self_align": SelfAlign(pairs=_given())}
    adapt(settings, objectives, tmp_path / "whole")

    def stop(step, loss):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(settings, objectives, tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir() if path.name != "whole"] == ["out.unfinished"]
    steps = []
    adapt(settings, objectives, tmp_path / "out", progress=lambda step, loss: steps.append(step))
    assert steps == [4, 5, 6] and not (tmp_path / "out.unfinished").exists()
    whole, out = (_weights(tmp_path / name) for name in ("whole", "out"))
    assert all(np.array_equal(whole[name], out[name]) for name in whole)


def test_what_was_stopped_begins_anew_with_another_setting_or_damaged_file(tiny, tmp_path):
    objectives = {"self_align": SelfAlign(pairs=_given())}
    for change in ({"learning_rate": 1e-4}, {}):
        (tmp_path / f"out{len(change)}.unfinished").write_bytes(b"damaged")
        settings = AdaptingSettings(**{**SMALL, "model": str(tiny), **change})
        summary = adapt(settings, objectives, tmp_path / f"out{len(change)}")
        assert summary["steps"] == 6 and not (tmp_path / f"out{len(change)}.unfinished").exists()


def test_an_adaptation_takes_as_long_as_it_is_told(tiny, tmp_path):
    summary = _adapt(tiny, _given(), tmp_path / "out", minutes=0.02, steps=1)
    assert summary["steps"] > 1 and summary["seconds"] >= 1.2


def _write(tmp_path, n=6):
    source, target = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    source.write_text("".join(" ".join(a) + "\n" for a, _ in PAIRS[:n]), encoding="utf8")
    target.write_bytes(gzip.compress("".join(" ".join(b) + "\n" for _, b in PAIRS[:n]).encode()))
    return source, target


def _options(tiny):
    return ["--model", str(tiny), "--layer", "2", "--batch-tokens", "128", "--max-pieces", "60"]


def test_command_writes_the_folder_and_says_what_it_did(tiny, tmp_path):
    source, target = _write(tmp_path)
    links = tmp_path / "links"
    links.write_text("0-0\n1-1\n0-0\n\n0-0 1-1\n0-0\n")
    arguments = ["adapt-aligner", str(source), str(target), str(tmp_path / "out"), *_options(tiny), "--steps", "3"]
    result = CliRunner().invoke(app, [*arguments, "--links", str(links)])
    assert result.exit_code == 0, result.output
    assert "self_align: 4 of 6 used" in result.output
    assert (tmp_path / "out" / "config.json").is_file()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1 and "XLT-E553" in again.output


def test_command_names_the_line_and_both_counts(tiny, tmp_path):
    source, target = _write(tmp_path)
    short = tmp_path / "short.txt"
    short.write_text("one\ntwo\n")
    arguments = [str(tmp_path / "out"), *_options(tiny), "--steps", "3"]
    result = CliRunner().invoke(app, ["adapt-aligner", str(source), str(short), *arguments])
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "has 6" in said and "has 2" in said
    (tmp_path / "links").write_text("0-0\n7-0\n0-0\n\n0-0\n0-0\n")
    arguments += ["--links", str(tmp_path / "links")]
    result = CliRunner().invoke(app, ["adapt-aligner", str(source), str(target), *arguments])
    assert result.exit_code == 1 and "line 2" in result.output and "(7, 0)" in result.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()
