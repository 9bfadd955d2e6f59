"""Contrastive objectives: what says the same is nearer after some steps, and the loss is InfoNCE."""

import numpy as np
import pytest
import torch
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.adapting.contrast import WordContrast, alike, info_nce
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.texts import Pair
from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment

PAIRS = [
    ("Maria mora em Lisboa .".split(), "Maria lives in Lisboa .".split()),
    ("John trabalha no Banco Central .".split(), "John works for Banco Central .".split()),
    ("Maria e John .".split(), "Maria and John .".split()),
    ([], ["nothing"]),
    ("Maria trabalha em New York , Google .".split(), "Maria works in New York , Google .".split()),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(tiny):
    return AdaptedModel(str(tiny), layers=2, max_pieces=60)


def _train(model, objective, *, steps=40, rate=2e-3):
    """Some steps with all items; the loss of each."""
    n = len(objective.prepare(model))
    optimizer = torch.optim.AdamW(model.encoder.model.parameters(), lr=rate)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = objective.loss(model, range(n), np.random.default_rng(step))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _reference(first, second, partners, same, temperature):
    """Partner by partner, and rival by rival."""
    scaled = first @ second.T / temperature
    losses = []
    for i, j in partners:
        across = [scaled[i, k] for k in range(len(second)) if not same[i, k]]
        down = [scaled[k, j] for k in range(len(first)) if not same[k, j]]
        losses += [np.log(np.exp([scaled[i, j], *rivals]).sum()) - scaled[i, j] for rivals in (across, down)]
    return np.mean(losses)


@settings(deadline=None, max_examples=50)
@given(data=st.data(), n=st.integers(1, 6), m=st.integers(1, 6), temperature=st.floats(0.05, 2))
def test_loss_is_that_of_a_plain_reference(data, n, m, temperature):
    cells = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    partners = np.asarray(data.draw(st.lists(cells, min_size=1, max_size=8)), np.int64)
    keys = [data.draw(st.lists(st.sampled_from("abc"), min_size=size, max_size=size)) for size in (n, m)]
    same = alike(partners, *keys)
    together = {(keys[0][i], keys[1][j]) for i, j in partners}
    assert same.tolist() == [[(a, b) in together for b in keys[1]] for a in keys[0]]
    random = np.random.default_rng(n * 7 + m)
    first, second = (random.normal(size=(size, 4)) for size in (n, m))
    first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (first, second))
    loss = info_nce(torch.from_numpy(first), torch.from_numpy(second), partners, same, temperature)
    assert float(loss) == pytest.approx(_reference(first, second, partners, same, temperature), abs=1e-9)


def test_without_rivals_there_is_nothing_to_learn():
    first = torch.eye(2, requires_grad=True)
    info_nce(first, torch.eye(2), np.asarray([[0, 1]]), np.ones((2, 2), bool), 0.05).backward()
    assert first.grad.tolist() == [[0, 0], [0, 0]]


def _ranks(model, links):
    """How many words of all translations are nearer than those that are linked, in the mean."""
    sides = [[model.side(pair[side]) for pair in PAIRS if pair[0]] for side in (0, 1)]
    with torch.no_grad():
        source, target = (model.words(side) for side in sides)
    cosines = (source.vectors @ target.vectors.T).numpy()
    pairs = np.concatenate([found + [a, b] for found, a, b in zip(links, source.starts, target.starts, strict=True)])
    return np.mean([(cosines[i] > cosines[i, j]).sum() for i, j in pairs])


def test_given_links_bring_words_together(model):
    crossed = [Alignment([(i, len(a) - 1 - i) for i in range(len(a))]) for a, _ in PAIRS if a]
    pairs = [Pair(*pair, links=links) for pair, links in zip([p for p in PAIRS if p[0]], crossed, strict=True)]
    links = [alignment.links for alignment in crossed]
    before = _ranks(model, links)
    losses = _train(model, WordContrast(pairs=pairs), steps=60, rate=5e-3)
    assert losses[-1] < losses[0] / 2
    assert before > 3 and _ranks(model, links) < 1


def test_own_links_are_those_before_the_training_and_become_more_certain(model):
    objective = WordContrast(pairs=[Pair(*pair) for pair in PAIRS], threshold=0.2)
    lengths = objective.prepare(model)
    assert (objective.n_read, len(lengths)) == (5, 4)
    links = objective._partners
    # Words that are the same on both sides
    assert {(0, 0), (3, 3), (4, 4)} <= set(map(tuple, links[0].tolist()))
    assert all(len(np.unique(side)) == len(side) for found in links for side in found.T)
    given = WordContrast(pairs=[Pair(*PAIRS[0], links=Alignment([(0, 1)]))])
    given.prepare(model)
    assert given._partners[0].tolist() == [[0, 1]]
    given = WordContrast(pairs=[Pair(*PAIRS[0], links=Alignment([(0, 1)]))], own_links=True, threshold=0.2)
    given.prepare(model)
    assert given._partners[0].tolist() == links[0].tolist()
    losses = _train(model, objective)
    assert losses[-1] < losses[0] * 0.8


def test_a_word_at_another_place_of_its_sentence_is_a_rival_and_in_another_sentence_it_is_none(model):
    pair = Pair(["Maria", "mora"], ["Maria", "Maria"], links=Alignment([(0, 0)]))
    objective = WordContrast(pairs=[pair, pair])
    objective.prepare(model)
    with torch.no_grad():
        loss = objective.loss(model, [0, 1], np.random.default_rng(0))
        source, target = (model.words([model.side(words)] * 2).vectors.numpy() for words in pair[:2])
    same = np.asarray([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    assert float(loss) == pytest.approx(_reference(source, target, [[0, 0], [2, 2]], same, 0.05), abs=1e-5)


def test_pairs_without_links_are_an_error(model):
    pairs = [Pair(*PAIRS[0], links=Alignment()), Pair(*PAIRS[3])]
    with pytest.raises(XltError, match=r"E354.*parallel text.*2 read, none with links"):
        WordContrast(pairs=pairs).prepare(model)
