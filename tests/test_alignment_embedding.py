"""EmbeddingAligner: real links with the bundled encoder, any input, any encoder."""

import multiprocessing
import os
import pickle

import numpy as np
import pytest

from spacy_xlt.alignment import matching
from spacy_xlt.alignment.embedding import EmbeddingAligner, make_embedding_aligner
from spacy_xlt.alignment.encoder import Encoder, windows_of
from spacy_xlt.bundled import write
from spacy_xlt.device import run_side_by_side
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Aligner

SMALL = "bundled:encoder-en-pt"
PAIRS = [
    ("The red house stands near the river .".split(), "A casa vermelha fica perto do rio .".split()),
    ("Maria Silva works in Lisbon .".split(), "Maria Silva trabalha em Lisboa .".split()),
    ("In 1998 , the European Union adopted the law .".split(), "A União Europeia adotou a lei em 1998 .".split()),
]
METHODS = ("softmax", "inter", "itermax", "mwmf")


@pytest.fixture(scope="module")
def aligner():
    return EmbeddingAligner(SMALL)


def _links(alignment):
    return {(i, j) for i, j in alignment.links.tolist()}


def _words(pair, alignment):
    return {(pair[0][i], pair[1][j]) for i, j in _links(alignment)}


@pytest.mark.parametrize("method", METHODS)
def test_words_find_their_translations(method):
    found = EmbeddingAligner(SMALL, method=method).align(PAIRS)
    assert {("red", "vermelha"), ("house", "casa"), ("river", "rio")} <= _words(PAIRS[0], found[0])
    assert {("Maria", "Maria"), ("Silva", "Silva"), ("Lisbon", "Lisboa")} <= _words(PAIRS[1], found[1])
    assert {("European", "Europeia"), ("Union", "União"), ("1998", "1998")} <= _words(PAIRS[2], found[2])


def test_the_defaults_align_with_the_multilingual_encoder():
    engine = make_embedding_aligner()
    assert isinstance(engine, Aligner) and engine.model == "bundled:encoder"
    pair = ("Angela Merkel visited Paris .".split(), "Angela Merkel besuchte Paris .".split())
    assert _links(engine.align([pair])[0]) == {(i, i) for i in range(5)}


@pytest.mark.parametrize("method", METHODS)
def test_links_do_not_depend_on_what_else_is_in_the_batch(method):
    engine = EmbeddingAligner(SMALL, method=method, batch_tokens=64)
    together = engine.align(PAIRS * 3)
    for i, pair in enumerate(PAIRS * 3):
        alone = engine.align([pair])[0]
        assert _links(together[i]) == _links(alone)
        assert np.allclose(together[i].scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", ["subword", "word"])
def test_tokens_without_text_get_no_link_and_others_keep_theirs(method, level):
    engine = EmbeddingAligner(SMALL, method=method, level=level)
    source = ["", " ", "Maria", "\u200b", "😀", "\n\n", "Silva", "\ud800", "\x01"]
    target = ["\ufeff", "Maria", "\t", "Silva", "😀"]
    alignment = engine.align([(source, target)])[0]
    assert {(2, 1), (6, 3), (4, 4)} <= _links(alignment)
    assert not {i for i, _ in _links(alignment)} & {0, 1, 3, 5, 7, 8}
    assert not {j for _, j in _links(alignment)} & {0, 2}
    assert np.isfinite(alignment.scores).all()


@pytest.mark.parametrize("source, target", [([], []), ([], ["a"]), (["a"], []), ([" "], ["a"]), (["\u200b"], ["\n"])])
def test_a_side_without_words_gives_an_empty_alignment(aligner, source, target):
    found = aligner.align([(source, target), PAIRS[0]])
    assert len(found[0]) == 0 and len(found[1]) > 5


def test_no_pairs_give_no_alignments(aligner):
    assert aligner.align([]) == []


@pytest.mark.parametrize("method", ["softmax", "inter"])
def test_one_word_a_side_is_linked(method):
    found = EmbeddingAligner(SMALL, method=method).align([(["Thanks"], ["Obrigado"])])
    assert found[0].links.tolist() == [[0, 0]]


def test_a_long_text_is_linked_to_its_end():
    numbers = [str(1000 + 7 * i) for i in range(400)]
    source = [word for number in numbers for word in ("in", number, ",")]
    target = [word for number in numbers for word in ("em", number, ",")]
    found = _links(EmbeddingAligner(SMALL, method="inter").align([(source, target)])[0])
    right = sum((3 * i + 1, 3 * i + 1) in found for i in range(400))
    assert right >= 390


@pytest.mark.parametrize("method", ["softmax", "inter"])
def test_very_long_input_is_worked_on_in_small_parts(method, monkeypatch):
    engine = EmbeddingAligner(SMALL, method=method, layer=0, batch_tokens=1024)
    forwards, blocks = [], []
    forward, products = Encoder._forward, matching._products

    def recorded_forward(self, rows, layers, *, mean):
        hidden = forward(self, rows, layers, mean=mean)
        forwards.append(hidden.shape[1] * hidden.shape[2])
        return hidden

    def recorded_products(source, target):
        for start, block in products(source, target):
            blocks.append(block.size)
            yield start, block

    monkeypatch.setattr(Encoder, "_forward", recorded_forward)
    monkeypatch.setattr(matching, "_products", recorded_products)
    long = [f"word{i % 97}" for i in range(5000)]
    found = engine.align([(long, long[:3000]), (["x" * 3000], ["y" * 3000, "z"])])
    assert len(found) == 2
    assert max(forwards) <= 1024 and len(forwards) > 10
    assert max(blocks) <= 1 << 22 and len(blocks) > 3


def test_windows_cover_a_text_once_with_context_on_both_sides():
    for length in (1, 9, 10, 11, 17, 18, 100):
        windows = list(windows_of(3, length, 10))
        kept = [i for w in windows for i in range(w.keep_from, w.keep_to)]
        assert kept == list(range(length))
        for w in windows:
            assert w.text == 3 and 0 < w.end - w.start <= 10
            assert w.start <= w.keep_from < w.keep_to <= w.end
            assert w.keep_from == 0 or w.keep_from - w.start >= 1


def test_engine_travels_without_its_model(aligner):
    aligner.align(PAIRS[:1])
    data = pickle.dumps(aligner)
    assert len(data) < 5000
    copy = pickle.loads(data)
    assert copy.signature == aligner.signature
    assert copy.align(PAIRS) == aligner.align(PAIRS)


def test_batches_side_by_side_give_the_same_and_leave_the_threads_as_they_were():
    import torch

    threads = torch.get_num_threads()
    try:
        found = []
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            found.append([_links(a) for a in EmbeddingAligner(SMALL, batch_tokens=64).align(PAIRS * 5)])
            assert torch.get_num_threads() == n
        assert found[0] == found[1] == found[2]
        torch.set_num_threads(2)
        with pytest.raises(ZeroDivisionError):
            run_side_by_side(lambda n: 1 // n, [1, 0, 2], device=torch.device("cpu"))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_can_go_on_with_a_model_that_was_used():
    import torch

    engine = EmbeddingAligner(SMALL)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        # Enough work to start the second thread
        expected = engine.align(PAIRS * 20)[0]
        fork = multiprocessing.get_context("fork")
        results = fork.SimpleQueue()
        child = fork.Process(target=lambda: results.put(engine.align(PAIRS * 20)[0].links.tolist()))
        child.start()
        child.join(timeout=60)
        if child.is_alive():
            child.kill()
            pytest.fail("the forked process hangs")
        assert results.get() == expected.links.tolist()
    finally:
        torch.set_num_threads(threads)


def test_threshold_keeps_the_surer_links():
    all_links = EmbeddingAligner(SMALL, method="inter").align(PAIRS)
    limit = float(np.median(np.concatenate([a.scores for a in all_links])))
    surer = EmbeddingAligner(SMALL, method="inter", threshold=limit).align(PAIRS)
    for some, every in zip(surer, all_links, strict=True):
        assert _links(some) == {tuple(link) for link in every.links[every.scores > limit].tolist()}
    assert sum(map(len, surer)) < sum(map(len, all_links))


def test_softmax_without_a_temperature_is_that_of_dot_products():
    engine = EmbeddingAligner(SMALL, method="softmax", temperature=None)
    assert (engine.level, engine.center, engine.threshold) == ("subword", False, 0.001)
    assert {("red", "vermelha"), ("river", "rio")} <= _words(PAIRS[0], engine.align(PAIRS[:1])[0])


@pytest.mark.parametrize(
    "settings, code",
    [
        ({"method": "fast"}, "E301.*'fast'.*softmax, inter, itermax, mwmf"),
        ({"level": "char"}, "E301.*'char'.*subword, word"),
        ({"layer": -1}, "E304.*`layer` is -1"),
        ({"layer": 6.0}, "E304.*`layer` is 6.0"),
        ({"batch_tokens": 0}, "E304.*`batch_tokens` is 0"),
        ({"threshold": 1.5}, "E304.*`threshold` is 1.5"),
        ({"temperature": 0}, "E304.*`temperature` is 0"),
    ],
)
def test_impossible_settings_are_named(settings, code):
    with pytest.raises(XltError, match=code):
        EmbeddingAligner(SMALL, **settings)


def test_a_layer_that_does_not_exist_is_an_error(tmp_path):
    folder = write("encoder-en-pt", tmp_path / "model", layers=2)
    for model, known in ((SMALL, 12), (str(folder), 2)):
        with pytest.raises(XltError, match=f"E302.*has {known} layers.*`layer` is 13"):
            EmbeddingAligner(model, layer=13).align(PAIRS[:1])


def test_a_folder_that_is_no_model_is_an_error(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    for model in (str(tmp_path), str(tmp_path / "missing")):
        with pytest.raises(XltError, match="E303.*Set `model`"):
            EmbeddingAligner(model, layer=1).align(PAIRS[:1])


@pytest.mark.parametrize("damage", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_truncated_model_is_an_error(tmp_path, damage):
    folder = write("encoder-en-pt", tmp_path / "model", layers=1)
    data = (folder / damage).read_bytes()
    (folder / damage).write_bytes(data[: len(data) // 2])
    with pytest.raises(XltError, match="E303"):
        EmbeddingAligner(str(folder), layer=1).align(PAIRS[:1])


def test_a_model_that_lacks_weights_is_an_error(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = write("encoder-en-pt", tmp_path / "model", layers=1)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.attention.self.key.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(XltError, match="E303.*lacks the weights.*self.key"):
        EmbeddingAligner(str(folder), layer=1).align(PAIRS[:1])


def test_the_mean_of_layers_aligns():
    engine = EmbeddingAligner(SMALL, layer=[5, 6])
    assert "layer:5+6|" in engine.signature
    assert {("red", "vermelha"), ("river", "rio")} <= _words(PAIRS[0], engine.align(PAIRS[:1])[0])
    for layer in ([], [6, True], [-1], "6"):
        with pytest.raises(XltError, match="E304.*`layer`"):
            EmbeddingAligner(SMALL, layer=layer)


@pytest.mark.gpu
def test_half_precision_on_a_gpu_gives_the_links_of_the_cpu():
    import torch
    from thinc.api import use_ops

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    expected = EmbeddingAligner(SMALL).align(PAIRS)
    with use_ops("cupy"):
        found = EmbeddingAligner(SMALL).align(PAIRS)
    assert [_links(a) for a in found] == [_links(a) for a in expected]
