"""The network and the searches: one way of computing checked against another, and models of other shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import marian_writer
from helpers.paths import ASSETS
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.device import batches_by_length
from spacy_xlt.errors import XltError
from spacy_xlt.translation.bergamot.beam import beam_search
from spacy_xlt.translation.bergamot.buffers import greedy_in_buffers
from spacy_xlt.translation.bergamot.decode import Hypothesis, Padded, Search
from spacy_xlt.translation.bergamot.direction import Direction
from spacy_xlt.translation.bergamot.engine import make_bergamot_translator
from spacy_xlt.translation.bergamot.folders import ModelFolder, bundled_models, find_models
from spacy_xlt.translation.bergamot.forced import Tree, force
from spacy_xlt.translation.bergamot.greedy import collect, greedy_search
from spacy_xlt.translation.bergamot.model import BergamotModel
from spacy_xlt.translation.bergamot.splitting import Window, split_pieces, windows_of
from spacy_xlt.translation.bergamot.vocab import Pieces

CPU = torch.device("cpu")
TEXTS = ["The committee met in Geneva on Tuesday.", "Yes.", "Two dogs ran over the old bridge, and one came back."]


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    return find_models(bundled_models())["en", "pt"]


@pytest.fixture(scope="module")
def direction(bundled: ModelFolder) -> Direction:
    return Direction.load(bundled, int8=False, shortlist=False, device=CPU)


@pytest.fixture(scope="module")
def batch(direction: Direction) -> Padded:
    return Padded.pad([p.ids for p in direction.source_vocab.encode(TEXTS)], direction.source_vocab.eos)


def options(direction: Direction, **changes: Any) -> Search:
    vocab = direction.target_vocab
    values = {"eos": vocab.eos, "unk": vocab.unk, "limits": np.full(len(TEXTS), 60), **changes}
    return Search(**values)


def search(model: BergamotModel, batch: Padded, options: Search) -> list[Hypothesis]:
    if options.beam_size == 1:
        return greedy_search(model, batch, options)
    return [best for best, *_ in beam_search(model, batch, options)]


def assert_same(first: list[Hypothesis], second: list[Hypothesis]) -> None:
    for a, b in zip(first, second, strict=True):
        assert a.ids.tolist() == b.ids.tolist() and a.truncated == b.truncated
        assert a.score == pytest.approx(b.score, abs=1e-3)
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-4)


# searches


def test_one_step_at_a_time_gives_what_the_forced_run_gives(direction: Direction, batch: Padded) -> None:
    found = search(direction.model, batch, options(direction))
    eos = direction.target_vocab.eos
    forced = force(direction.model, batch, [[h.ids[:-1]] for h in found], eos=eos)
    for hypothesis, ((log_probs, weights),) in zip(found, forced, strict=True):
        assert log_probs is not None and weights is not None
        assert hypothesis.ids[-1] == eos and hypothesis.score == pytest.approx(log_probs.sum(), abs=1e-3)
        np.testing.assert_allclose(hypothesis.weights, weights, atol=1e-4)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)


def test_a_beam_of_one_is_greedy_search(direction: Direction, batch: Padded) -> None:
    greedy = search(direction.model, batch, options(direction))
    beam = [hypothesis for (hypothesis,) in beam_search(direction.model, batch, options(direction))]
    assert_same(greedy, beam)


@pytest.mark.parametrize("shortlist", [False, True])
def test_greedy_search_in_buffers_is_greedy_search(bundled: ModelFolder, shortlist: bool) -> None:
    direction = Direction.load(bundled, int8=False, shortlist=shortlist, device=CPU)
    # Some end long before others, and one never does
    texts = [*TEXTS, "No.", "Go!", "Stop.", "One.", "a" * 240]
    batch = Padded.pad([p.ids for p in direction.source_vocab.encode(texts)], direction.source_vocab.eos)
    settings = direction.options(batch, beam_size=1, max_length_factor=1)
    expected = greedy_search(direction.model, batch, settings)
    steps = greedy_in_buffers(direction.model, batch, settings, graphs=False)
    assert_same(collect(steps, batch, settings), expected)
    assert len({len(rows) for rows, *_ in steps}) > 1 and expected[-1].truncated


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("shortlist", [False, True])
def test_a_gpu_translates_as_the_cpu_does(bundled: ModelFolder, shortlist: bool) -> None:
    lines = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:100]
    found = []
    for device in (CPU, torch.device("cuda")):
        direction = Direction.load(bundled, int8=False, shortlist=shortlist, device=device)
        parts = direction.source_vocab.encode(lines)
        found.append(direction.search(parts, beam_size=1, batch_tokens=2048, max_length_factor=2.5))
        ids = [best.ids.tolist() for best, *_ in found[-1]]
        windows = [Window(i, slice(0, len(parts[i])), slice(0, len(parts[i]))) for i in range(20)]
        forced = direction.force(parts, parts, windows, batch_tokens=2048, log_probs=True)
        found.append((ids, [f.log_probs for f in sorted(forced, key=lambda f: f.window.pair)]))
    (on_cpu, cpu_scores), (on_gpu, gpu_scores) = found[1], found[3]
    # Sums in another order may tip a tie
    assert sum(a == b for a, b in zip(on_cpu, on_gpu, strict=True)) >= 95
    for one, other in zip(cpu_scores, gpu_scores, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-2)
    for (here,), (there,) in zip(found[0], found[2], strict=True):
        if here.ids.tolist() == there.ids.tolist():
            np.testing.assert_allclose(here.weights, there.weights, atol=1e-2)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_row_is_translated_alone_as_in_its_batch(direction: Direction, batch: Padded, beam_size: int) -> None:
    together = search(direction.model, batch, options(direction, beam_size=beam_size))
    for row, hypothesis in enumerate(together):
        n_source = int(batch.lengths[row])
        alone = Padded(batch.ids[row : row + 1, :n_source], batch.lengths[row : row + 1])
        limits = np.asarray([60])
        found = search(direction.model, alone, options(direction, beam_size=beam_size, limits=limits))
        assert_same(found, [hypothesis])


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_hypothesis_that_reaches_its_limit_is_truncated(direction: Direction, batch: Padded, beam_size: int) -> None:
    limits = np.asarray([4, 60, 60])
    cut, *whole = search(direction.model, batch, options(direction, beam_size=beam_size, limits=limits))
    assert cut.truncated and len(cut.ids) == 4 and direction.target_vocab.eos not in cut.ids
    assert not any(h.truncated for h in whole)


def test_scores_of_a_beam_are_those_of_the_forced_run(direction: Direction, batch: Padded) -> None:
    found = search(direction.model, batch, options(direction, beam_size=4))
    eos = direction.target_vocab.eos
    forced = force(direction.model, batch, [[h.ids[:-1]] for h in found], eos=eos, weights=False)
    for hypothesis, ((log_probs, weights),) in zip(found, forced, strict=True):
        assert log_probs is not None and weights is None
        assert hypothesis.score == pytest.approx(log_probs.sum(), abs=1e-3)


# given targets


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=8))
def test_a_tree_has_each_beginning_once_and_a_path_for_each_target(targets: list[list[int]]) -> None:
    tree = Tree.grow([np.asarray(target, np.int64) for target in targets])
    beginnings = {tuple(target[:n]) for target in targets for n in range(len(target) + 1)} | {()}
    assert len(tree) == len(beginnings)
    for target, path in zip(targets, tree.paths, strict=True):
        assert tree.pieces[path[1:]].tolist() == target
        assert tree.depths[path].tolist() == list(range(len(target) + 1))
        assert tree.parents[path].tolist() == [-1, *path[:-1].tolist()]


def test_targets_of_a_source_in_one_run_are_as_each_alone(direction: Direction, batch: Padded) -> None:
    eos = direction.target_vocab.eos
    texts = [["A comissão.", "A comissão reuniu-se.", "", "A comissão."], [], ["Dois cães.", "Dois gatos correram."]]
    targets = [[p.ids for p in direction.target_vocab.encode(of_source)] if of_source else [] for of_source in texts]
    together = force(direction.model, batch, targets, eos=eos)
    assert [len(of_source) for of_source in together] == [4, 0, 2]
    for row, of_source in enumerate(targets):
        n_source = int(batch.lengths[row])
        source = Padded(batch.ids[row : row + 1, :n_source], batch.lengths[row : row + 1])
        for target, (log_probs, weights) in zip(of_source, together[row], strict=True):
            (((alone, looked),),) = force(direction.model, source, [[target]], eos=eos)
            assert log_probs is not None and len(log_probs) == len(target) + 1
            np.testing.assert_allclose(log_probs, alone, atol=1e-4)
            np.testing.assert_allclose(weights, looked, atol=1e-4)


# models of other shapes


def test_separate_vocabularies_and_untied_embeddings_are_read(bundled: ModelFolder, tmp_path: Path) -> None:
    tensors = marian_writer.random_tensors(dim=16, ffn=24, n_vocab=32_000)
    tied = marian_writer.write_folder(tmp_path / "tied", bundled, tensors)
    table = tensors.pop("Wemb")
    tensors |= {"encoder_Wemb": table, "decoder_Wemb": table, "decoder_ff_logit_out_Wt": table}
    untied = marian_writer.write_folder(tmp_path / "untied", bundled, tensors, separate=True)
    results = []
    for folder in (tied, untied):
        translator = make_bergamot_translator(models=str(folder))
        assert translator.directions == [("en", "de")]
        results.append(translator.translate(TEXTS, source="en", target="de"))
    assert [t.text for t in results[0]] == [t.text for t in results[1]]
    assert all(t.text for t in results[0])


@pytest.mark.parametrize(
    "key, value",
    [
        ("transformer-decoder-autoreg", "self-attention"),
        ("transformer-preprocess", "n"),
        ("transformer-ffn-activation", "swish"),
        ("enc-depth", 0),
        ("type", "s2s"),
    ],
)
def test_an_architecture_that_is_not_implemented_is_named(
    bundled: ModelFolder, tmp_path: Path, key: str, value: object
) -> None:
    tensors = marian_writer.random_tensors(dim=4, ffn=4, n_vocab=10)
    folder = marian_writer.write_folder(tmp_path / "model", bundled, tensors, config={key: value})
    with pytest.raises(XltError, match=f"E212.*{key}: {value}"):
        make_bergamot_translator(models=str(folder)).translate(["Hello."], source="en", target="de")


def test_a_vocabulary_of_another_size_is_refused(bundled: ModelFolder, tmp_path: Path) -> None:
    tensors = marian_writer.random_tensors(dim=4, ffn=4, n_vocab=10)
    folder = marian_writer.write_folder(tmp_path / "model", bundled, tensors)
    with pytest.raises(XltError, match="E211.*10.*32000"):
        make_bergamot_translator(models=str(folder)).translate(["Hello."], source="en", target="de")


# batches, parts and windows


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 120))
def test_batches_hold_every_index_once_and_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    batches = batches_by_length(lengths, batch_tokens=budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab .,。", max_size=60), st.integers(2, 12))
def test_parts_are_the_pieces_in_order_and_short_enough(text: str, limit: int) -> None:
    places = [i for i, c in enumerate(text) if c != " "]
    spans = np.asarray([[i, i + 1] for i in places], np.int32).reshape(-1, 2)
    pieces = Pieces(np.asarray(places, np.int64), spans)
    parts = split_pieces(pieces, text, limit=limit)
    assert [i for part in parts for i in part.ids.tolist()] == places
    assert all(0 < len(part) <= limit for part in parts)


def test_parts_end_with_sentences_where_they_can(direction: Direction) -> None:
    text = "One thing, then another. " * 6
    (pieces,) = direction.source_vocab.encode([text])
    parts = split_pieces(pieces, text, limit=20)
    assert len(parts) > 1
    assert all(text[part.spans[-1, 0] : part.spans[-1, 1]].endswith(".") for part in parts)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(2, 50))
def test_windows_cover_each_target_piece_once_inside_the_pair(n_source: int, n_target: int, limit: int) -> None:
    windows = windows_of(7, n_source, n_target, limit=limit)
    assert [i for w in windows for i in range(n_target)[w.target]] == list(range(n_target))
    assert {i for w in windows for i in range(n_source)[w.source]} == set(range(n_source)) or n_target < n_source
    assert all(0 <= w.source.start <= w.source.stop <= n_source and w.pair == 7 for w in windows)
    assert all(w.length <= limit + 2 for w in windows)
