"""EmbeddingAligner beside the simalign package: the same model folder, the same links."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.ntrex import ntrex_pairs

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.simalign import SimAlignAligner
from spacy_xlt.bundled import write
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Aligner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write("encoder-en-pt", tmp_path_factory.mktemp("models") / "encoder", layers=7))


@pytest.mark.parametrize("method", ["inter", "itermax", "mwmf"])
def test_links_are_those_of_simalign(folder, method):
    pairs = ntrex_pairs(12)
    expected = SimAlignAligner(model=folder, layer=6, method=method).align(pairs)
    found = EmbeddingAligner(model=folder, layer=6, method=method).align(pairs)
    same = [a.links.tolist() == b.links.tolist() for a, b in zip(expected, found, strict=True)]
    # Batches of another shape round the last bits in another way, which can turn a tie
    assert sum(same) >= len(pairs) - 1
    assert sum(len(alignment) for alignment in found) > 130


def test_it_is_an_aligner_with_the_bundled_model_and_takes_any_tokens():
    engine = SimAlignAligner(model="bundled:encoder-en-pt")
    assert isinstance(engine, Aligner)
    found = engine.align([(["", "Lisbon", "\u200b"], [" ", "Lisboa"]), ([], ["a"]), (["\n"], ["a"])])
    assert [alignment.links.tolist() for alignment in found] == [[[1, 1]], [], []]
    assert found[0].scores.tolist() == [1.0]
    assert len(pickle.dumps(engine)) < 2000


def test_text_beyond_the_model_is_an_error_not_a_silent_cut(folder):
    engine = SimAlignAligner(model=folder, layer=6)
    with pytest.raises(XltError, match="E305.*600 and 1 tokens.*EmbeddingAligner"):
        engine.align([(["word"] * 600, ["palavra"])])


def test_invalid_settings_are_named(folder, tmp_path):
    with pytest.raises(XltError, match="E150.*`method`.*'softmax'.*inter or itermax or mwmf"):
        SimAlignAligner(method="softmax")
    with pytest.raises(XltError, match="E302.*has 7 layers.*`layer` is 8"):
        SimAlignAligner(model=folder, layer=8).align([(["a"], ["b"])])
    with pytest.raises(XltError, match="E303"):
        SimAlignAligner(model=str(tmp_path)).align([(["a"], ["b"])])


def test_several_threads_get_what_one_gets(folder):
    pairs = [
        (["Maria", "mora", "em", "Lisboa"][: 1 + n % 4], ["John", "works", "for", "Google"][: 4 - n % 4])
        for n in range(40)
    ]
    expected = SimAlignAligner(model=folder, layer=1).align(pairs)
    engine = SimAlignAligner(model=folder, layer=1)
    with ThreadPoolExecutor(4) as pool:
        assert [links for (links,) in pool.map(lambda pair: engine.align([pair]), pairs)] == expected
    assert pickle.loads(pickle.dumps(engine)).align(pairs[:2]) == expected[:2]
