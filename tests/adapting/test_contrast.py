"""Contrastive objectives: what says the same is nearer after some steps, and the loss is InfoNCE."""

import numpy as np
import pytest
import torch
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.adapting.contrast import WordContrast, alike, info_nce
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.text_contrast import LexiconContrast, SentenceContrast, TransliterationContrast
from spacy_xlt.adapting.texts import Pair, Sentences
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


def _text_rank(model, pairs):
    """How many of all second texts are nearer than a text's own, in the mean."""
    with torch.no_grad():
        first, second = (model.texts([model.side(pair[side])[0] for pair in pairs]) for side in (0, 1))
    cosines = first @ second.T
    return float((cosines > cosines.diagonal()[:, None]).float().sum(1).mean())


# Texts that have nothing in common with what belongs to them
APART = [
    (["abc"], ["Maria", "Silva"]),
    (["xyz", "0123"], ["Lisboa"]),
    (["Google"], ["mora", "em"]),
    (["New", "York"], ["Banco"]),
]


def test_sentences_come_nearer_to_their_translations(model):
    objective = SentenceContrast(pairs=[Pair(*pair) for pair in [*APART, PAIRS[3]]])
    before = _text_rank(model, APART)
    losses = _train(model, objective, rate=5e-3)
    assert objective.n_read == 5 and losses[-1] < losses[0] / 2
    assert before > 0 and _text_rank(model, APART) == 0


def test_the_same_sentence_is_no_rival(model):
    objective = SentenceContrast(pairs=[Pair(*APART[0]), Pair(APART[0][0], ["John"]), Pair(*APART[0])])
    objective.prepare(model)
    with torch.no_grad():
        assert float(objective.loss(model, [0, 1, 2], np.random.default_rng(0))) == 0


def test_words_of_a_lexicon_come_nearer(model, tmp_path):
    lines = ["abc\tMaria Silva\tnoun", "", "xyz 0123\tLisboa", "Google\tmora em"]
    (tmp_path / "a.tsv").write_text("\n".join(lines), encoding="utf8")
    (tmp_path / "b.tsv").write_text("New York\tBanco\n", encoding="utf8")
    objective = LexiconContrast(words=[str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")])
    assert [pair[:2] for pair in objective.texts()] == APART
    before = _text_rank(model, APART)
    losses = _train(model, objective, rate=5e-3)
    assert objective.n_read == 4 and losses[-1] < losses[0] / 2
    assert before > 0 and _text_rank(model, APART) == 0


def test_a_sentence_comes_nearer_to_itself_in_other_letters(model, tmp_path):
    # Of what the tiny encoder knows, as if it were another script
    (tmp_path / "table.tsv").write_text("a\tq\ne\tj\no\tz\ni\tw\nr\tx\nn\tk\n", encoding="utf8")
    (tmp_path / "text.txt").write_text("Maria mora\nJohn Smith\nBanco Central\nb c d\nGoogle\n", encoding="utf8")
    sentences = Sentences(paths={"pt": str(tmp_path / "text.txt")})
    objective = TransliterationContrast(sentences=sentences, table=str(tmp_path / "table.tsv"))
    pairs = [pair[:2] for pair in objective.texts()]
    assert pairs[0] == (["Maria", "mora"], ["Mqxwq", "mzxq"]) and pairs[3] == (["b", "c", "d"], [])
    losses = _train(model, objective, rate=5e-3)
    assert (objective.n_read, losses[-1] < losses[0] / 2) == (5, True)
    assert _text_rank(model, [pair for pair in pairs if pair[1]]) == 0


def test_other_letters_are_latin_ones_where_there_is_no_table():
    pytest.importorskip("uroman")
    objective = TransliterationContrast(sentences=[(["Мария", "!"], "ru"), (["Maria"], "pt")])
    assert [pair.target for pair in objective.texts()] == [["Mariya", "!"], []]


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (SentenceContrast(pairs=[Pair(*PAIRS[3])]), "parallel text.*1 read, none with text on both sides"),
        (TransliterationContrast(sentences=[(["Maria"], "pt")]), "text.*1 read, none with words to write in other"),
        (LexiconContrast(words=[]), "lexicon.*0 read"),
    ],
    ids=lambda value: getattr(value, "signature", "").split("|")[0],
)
def test_nothing_to_learn_from_is_an_error(model, objective, message):
    if isinstance(objective, TransliterationContrast):
        pytest.importorskip("uroman")
    with pytest.raises(XltError, match=f"E354.*{message}"):
        objective.prepare(model)


def test_a_file_without_a_second_word_is_an_error(tmp_path):
    (tmp_path / "a.tsv").write_text("cat gato\n\ndog\n", encoding="utf8")
    with pytest.raises(XltError, match=r"E358.*a\.tsv, line 3"):
        list(LexiconContrast(words=[str(tmp_path / "a.tsv")]).texts())
    with pytest.raises(XltError, match=r"E502.*b\.tsv"):
        list(LexiconContrast(words=[str(tmp_path / "b.tsv")]).texts())
