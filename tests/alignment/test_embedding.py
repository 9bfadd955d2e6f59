"""EmbeddingAligner: real links with the bundled encoder, any input, any encoder."""

import multiprocessing
import os
import pickle
from functools import lru_cache

import numpy as np
import pytest
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment import pretrained, word_vectors
from spacy_xlt.alignment.embedding import METHODS, EmbeddingAligner
from spacy_xlt.alignment.encoder import Encoder
from spacy_xlt.device import run_side_by_side
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Aligner

STRANGE = ["", " ", "\x00", "a\x00b", "\u200b", "\ud800", "a\udfffb", "😀", "\ufeff", "e\u0301", "x" * 3000, "ﷺ", "\n"]
SMALL = "bundled:encoder-en-pt"
PAIRS = [
    ("The red house stands near the river .".split(), "A casa vermelha fica perto do rio .".split()),
    ("Maria Silva works in Lisbon .".split(), "Maria Silva trabalha em Lisboa .".split()),
    ("In 1998 , the European Union adopted the law .".split(), "A União Europeia adotou a lei em 1998 .".split()),
]


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Each model is loaded once for all engines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "load", lru_cache(maxsize=None)(pretrained.load))
        yield


@pytest.fixture(scope="module")
def aligner():
    return EmbeddingAligner(model=SMALL)


def _links(alignment):
    return {(i, j) for i, j in alignment.links.tolist()}


def _words(pair, alignment):
    return {(pair[0][i], pair[1][j]) for i, j in _links(alignment)}


@pytest.mark.parametrize("method", METHODS)
def test_words_find_their_translations(method):
    found = EmbeddingAligner(model=SMALL, method=method).align(PAIRS)
    assert {("red", "vermelha"), ("house", "casa"), ("river", "rio")} <= _words(PAIRS[0], found[0])
    assert {("Maria", "Maria"), ("Silva", "Silva"), ("Lisbon", "Lisboa")} <= _words(PAIRS[1], found[1])
    assert {("European", "Europeia"), ("Union", "União"), ("1998", "1998")} <= _words(PAIRS[2], found[2])


def test_the_defaults_align_with_the_multilingual_encoder():
    engine = EmbeddingAligner()
    assert isinstance(engine, Aligner) and engine.model == "bundled:encoder"
    pair = ("Angela Merkel visited Paris .".split(), "Angela Merkel besuchte Paris .".split())
    assert _links(engine.align([pair])[0]) == {(i, i) for i in range(5)}


def test_links_do_not_depend_on_what_else_is_in_the_batch():
    engine = EmbeddingAligner(model=SMALL, batch_tokens=64)
    together = engine.align(PAIRS * 3)
    for i, pair in enumerate(PAIRS * 3):
        alone = engine.align([pair])[0]
        assert _links(together[i]) == _links(alone)
        assert np.allclose(together[i].scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("method", ["softmax", "inter"])
def test_tokens_without_text_get_no_link_and_others_keep_theirs(method):
    engine = EmbeddingAligner(model=SMALL, method=method)
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


@pytest.fixture(scope="module")
def tiny_aligners(tmp_path_factory):
    folder = str(make_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny"))
    return [EmbeddingAligner(model=folder, layer=2, method=method) for method in METHODS]


tokens = st.lists(st.text(st.characters(), max_size=4) | st.sampled_from(STRANGE), max_size=20)


@given(pairs=st.lists(st.tuples(tokens, tokens), max_size=4))
@settings(max_examples=15, deadline=None)
def test_any_tokens_give_links_between_them(tiny_aligners, pairs):
    for aligner in tiny_aligners:
        found = aligner.align(pairs)
        assert len(found) == len(pairs)
        for alignment, (source, target) in zip(found, pairs, strict=True):
            alignment.check(len(source), len(target))
            assert np.isfinite(alignment.scores).all()
            assert len({tuple(link) for link in alignment.links.tolist()}) == len(alignment)


def test_byte_level_models_take_any_tokens(tmp_path):
    import transformers as t

    config = t.T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=3, num_heads=2)
    t.T5EncoderModel(config).save_pretrained(tmp_path)
    t.ByT5Tokenizer().save_pretrained(tmp_path)
    pairs = [(STRANGE, STRANGE[::-1]), (["a"], ["b"]), ([""], ["\u200b"]), (["some", "words"] * 300, ["words"] * 700)]
    found = EmbeddingAligner(model=str(tmp_path), layer=2, method="inter").align(pairs)
    for alignment, (source, target) in zip(found, pairs, strict=True):
        alignment.check(len(source), len(target))
        assert np.isfinite(alignment.scores).all()
    assert [len(alignment) for alignment in found[1:3]] == [1, 0]


def test_no_pairs_give_no_alignments(aligner):
    assert aligner.align([]) == []


@pytest.mark.parametrize("method", ["softmax", "inter"])
def test_one_word_a_side_is_linked(method):
    found = EmbeddingAligner(model=SMALL, method=method).align([(["Thanks"], ["Obrigado"])])
    assert found[0].links.tolist() == [[0, 0]]


def test_very_long_input_is_worked_on_in_small_parts(monkeypatch):
    engine = EmbeddingAligner(model=SMALL, layer=0, batch_tokens=1024)
    forwards, cells = [], []
    forward, link_batch = Encoder.forward, word_vectors._link_batch

    def recorded_forward(self, rows):
        hidden = forward(self, rows)
        forwards.append(hidden.shape[0] * hidden.shape[1])
        return hidden

    def recorded_links(texts, pairs, *args):
        cells.append(len(pairs) * texts.lengths[pairs].max() ** 2)
        return link_batch(texts, pairs, *args)

    monkeypatch.setattr(Encoder, "forward", recorded_forward)
    monkeypatch.setattr(word_vectors, "_link_batch", recorded_links)
    long = [f"word{i % 97}" for i in range(2500)]
    found = engine.align([(long, long[:1500]), (["x" * 3000], ["y" * 3000, "z"])])
    assert len(found) == 2
    assert max(forwards) <= 1024 and len(forwards) > 10
    assert max(cells) <= 1 << 22 and len(cells) >= 2


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
            found.append([_links(a) for a in EmbeddingAligner(model=SMALL, batch_tokens=64).align(PAIRS * 5)])
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

    engine = EmbeddingAligner(model=SMALL)
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
    all_links = EmbeddingAligner(model=SMALL, method="inter").align(PAIRS)
    limit = float(np.median(np.concatenate([a.scores for a in all_links])))
    surer = EmbeddingAligner(model=SMALL, method="inter", threshold=limit).align(PAIRS)
    for some, every in zip(surer, all_links, strict=True):
        assert _links(some) == {tuple(link) for link in every.links[every.scores > limit].tolist()}
    assert sum(map(len, surer)) < sum(map(len, all_links))


def test_weak_links_come_besides_the_links():
    found = EmbeddingAligner(model=SMALL, weak_links=0.001).align(PAIRS)
    alone = EmbeddingAligner(model=SMALL, weak_links=None).align(PAIRS)
    lower = EmbeddingAligner(model=SMALL, weak_links=None, threshold=0.001).align(PAIRS)
    for both, links, weak in zip(found, alone, lower, strict=True):
        assert _links(both) == _links(links) == {tuple(link) for link in weak.links[weak.scores > 0.3].tolist()}
        assert both.weak_links == weak and links.weak_links is None
    assert sum(map(len, lower)) > sum(map(len, alone))
    assert EmbeddingAligner(model=SMALL, method="inter").align(PAIRS)[0].weak_links is None


@pytest.mark.parametrize(
    "wrong, expected",
    [
        ({"method": "fast"}, "`method`.*'fast'.*softmax or inter or itermax or mwmf"),
        ({"layer": -1}, "`layer`.*-1"),
        ({"temperature": 0}, "`temperature`"),
    ],
)
def test_invalid_settings_are_named(wrong, expected):
    with pytest.raises(XltError, match=f"E150.*{expected}"):
        EmbeddingAligner(model=SMALL, **wrong)


def test_a_layer_that_does_not_exist_is_an_error(tmp_path):
    for model, known in ((SMALL, 12), (str(make_tiny_encoder(tmp_path / "model")), 3)):
        with pytest.raises(XltError, match=f"E302.*has {known} layers.*`layer` is 13"):
            EmbeddingAligner(model=model, layer=13).align(PAIRS[:1])


@pytest.mark.parametrize("damage", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_truncated_model_is_an_error(tmp_path, damage):
    folder = make_tiny_encoder(tmp_path / "model")
    data = (folder / damage).read_bytes()
    (folder / damage).write_bytes(data[: len(data) // 2])
    with pytest.raises(XltError, match="E303.*Set `model`"):
        EmbeddingAligner(model=str(folder), layer=1).align(PAIRS[:1])


def test_a_model_that_lacks_weights_is_an_error(tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = make_tiny_encoder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.attention.self.key.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(XltError, match="E303.*lacks the weights.*self.key"):
        EmbeddingAligner(model=str(folder), layer=1).align(PAIRS[:1])


def test_a_model_without_a_tokenizer_is_an_error(tmp_path):
    folder = make_tiny_encoder(tmp_path / "model")
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(XltError, match="E303.*has no tokenizer"):
        EmbeddingAligner(model=str(folder), layer=1).align(PAIRS[:1])


@pytest.mark.gpu
def test_half_precision_on_a_gpu_gives_the_links_of_the_cpu():
    import torch
    from thinc.api import use_ops

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    expected = EmbeddingAligner(model=SMALL).align(PAIRS)
    with use_ops("cupy"):
        found = EmbeddingAligner(model=SMALL).align(PAIRS)
    assert [_links(a) for a in found] == [_links(a) for a in expected]
