"""Restoring words that were swapped for those of the translation: which are swapped, and what is learned."""

import logging

import numpy as np
import pytest
import torch
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_seq2seq import Maker
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.adapting.masked import MaskedLanguage
from spacy_xlt.adapting.model import AdaptedModel, Seq2SeqModel
from spacy_xlt.adapting.own_links import linked_rows
from spacy_xlt.adapting.restore import RestoreCodeSwitched, possible_swaps, swap_words
from spacy_xlt.adapting.restore_text import RestoreCodeSwitchedSeq2Seq
from spacy_xlt.adapting.texts import Pair
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt
from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment

WORDS = ["a", "b", "c", "d"]
SENTENCE = Pair(
    "Maria mora em Lisboa .".split(),
    "Maria is living in Lisbon .".split(),
    "pt",
    "en",
    Alignment([(0, 0), (1, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
)


def _one_to_one(n=60, seed=0):
    """Pairs in which each word is one of four, and its translation the same in capitals."""
    random = np.random.default_rng(seed)
    draws = [[WORDS[i] for i in random.integers(0, 4, 4)] for _ in range(n)]
    links = Alignment([(i, i) for i in range(4)])
    return [Pair(draw, [word.upper() for word in draw], links=links) for draw in draws]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"), mask=True)


@pytest.fixture(scope="module")
def seq2seq(tmp_path_factory):
    return Maker(tmp_path_factory.mktemp("seq2seq"))


def test_a_word_is_swapped_for_all_that_is_linked_to_it_and_to_nothing_else():
    def swaps(*links):
        source, target = "o banco central de Lisboa".split(), "the Lisbon central bank".split()
        return possible_swaps(np.asarray(links, np.int32), source, target)

    assert swaps((0, 0), (1, 2), (1, 3)) == {0: ["the"], 1: ["central", "bank"]}
    # Two words share a translation; the same on both sides
    assert swaps((1, 3), (2, 3), (4, 1)) == {4: ["Lisbon"]}
    assert swaps((2, 2), (0, 0)) == {0: ["the"]}
    assert swaps((0, 0), (0, 1), (4, 1)) == {}


@given(n=st.integers(1, 20), share=st.floats(0.01, 1), data=st.data())
def test_so_many_words_are_swapped(n, share, data):
    source = [f"w{i}" for i in range(n)]
    places = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    swaps = {i: [f"t{i}"] * (1 + i % 3) for i in places}
    slots, chosen = swap_words(source, swaps, share, np.random.default_rng(0))
    assert len(chosen) == min(len(places), max(1, round(share * n))) and set(chosen.tolist()) <= places
    assert slots == [swaps[i] if i in chosen else [word] for i, word in enumerate(source)]


def _accuracy(objective, model):
    """How often the encoder, as it is in memory, restores all that can be swapped."""
    right, head = [], objective._head.eval()
    for seed in range(10):
        made = []
        head.loss = lambda vectors, pieces, made=made: made.append((vectors, pieces))
        with torch.no_grad():
            objective.loss(model, range(20), np.random.default_rng(seed))
            [(vectors, pieces)] = made
            right += (head.pieces[head(vectors).argmax(1)] == pieces).tolist()
    del head.loss
    return np.mean(right)


def test_words_that_were_swapped_are_guessed_after_some_steps(tiny, tmp_path):
    objective = RestoreCodeSwitched(pairs=_one_to_one())
    fast = {"layers": 1, "embeddings": True, "learning_rate": 0.015, "batch_tokens": 300}
    summary = adapt(AdaptingSettings(model=str(tiny), steps=50, **fast), {"restore": objective}, tmp_path / "out")
    assert summary["objectives"]["restore"]["items"] == 60
    assert summary["loss_last"] < 0.3 < summary["loss_first"] / 2
    # One in four would be guessed by chance
    assert _accuracy(objective, AdaptedModel(str(tmp_path / "out"), layers=None, max_pieces=60)) > 0.9


def test_the_first_piece_of_a_swapped_word_is_guessed_from_the_mean_of_what_stands_there(tiny, monkeypatch):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    objective = RestoreCodeSwitched(pairs=[SENTENCE], share=0.2)
    objective.prepare(model)
    # Neither the name nor the full stop, which are the same on both sides
    _, swaps = objective._swaps(0)
    assert set(swaps) == {1, 2, 3}
    seen = {}
    monkeypatch.setattr(objective._head, "loss", lambda vectors, pieces: seen.update(vectors=vectors, pieces=pieces))
    random = np.random.default_rng(0)
    place = swap_words(range(5), dict.fromkeys(swaps, [0]), 0.2, np.random.default_rng(0))[1][0]
    objective.loss(model, [0], random)
    words = [[word] for word in SENTENCE.source]
    words[place] = {1: ["is", "living"], 2: ["in"], 3: ["Lisbon"]}[place]
    cut = [model.side(slot)[0] for slot in words]
    vectors = model.pieces([np.concatenate(cut)])
    first = sum(map(len, cut[:place]))
    assert torch.allclose(seen["vectors"], vectors[first : first + len(cut[place])].mean(0), atol=1e-5)
    assert seen["pieces"].tolist() == [model.side([SENTENCE.source[place]])[0][0]]


def test_pairs_without_links_get_the_encoders_own(tiny):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    copied = Pair(SENTENCE.source, SENTENCE.source, links=Alignment([(i, i) for i in range(5)]))
    objective = RestoreCodeSwitched(pairs=[copied, SENTENCE._replace(links=None), SENTENCE])
    assert len(objective.prepare(model)) == len(objective._links) == 2 and objective.n_read == 3
    [own] = linked_rows(model, objective._data.sides[:1], [None])
    assert len(own) and np.array_equal(objective._links[0], own)


def test_no_text_is_longer_than_its_length_says_or_than_the_model_reads(tiny, monkeypatch):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    objective = RestoreCodeSwitched(pairs=[SENTENCE], share=0.5)
    [length] = objective.prepare(model)
    seen, pieces = set(), model.pieces
    monkeypatch.setattr(model, "pieces", lambda ids: seen.add(len(ids[0]) + model.special) or pieces(ids))
    for seed in range(20):
        objective.loss(model, [0], np.random.default_rng(seed))
    assert max(seen) <= length and len(seen) > 1
    model.encoder.window = int(length) - model.special - 1
    with pytest.raises(XltError, match="E354.*words that can be swapped"):
        RestoreCodeSwitched(pairs=[SENTENCE]).prepare(model)


def test_sequence_to_sequence_models_and_encoders_are_not_trained_together(tiny, tmp_path):
    both = {
        "text": RestoreCodeSwitchedSeq2Seq(pairs=[SENTENCE]),
        "mlm": MaskedLanguage(sentences=[(SENTENCE.source, "pt")]),
    }
    with pytest.raises(XltError, match="E355.*text, mlm"):
        adapt(AdaptingSettings(model=str(tiny)), both, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "language"),
    [("mbart50", "en_XX"), ("t5", None), ("nllb", "eng_Latn"), ("m2m100", "en"), ("opus-mt-en-pt", None)],
)
def test_each_family_is_trained_and_written(name, language, seq2seq, tmp_path, caplog):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder, pairs = seq2seq(name), _one_to_one(20)
    objective = RestoreCodeSwitchedSeq2Seq(pairs=pairs, language=language)
    settings = AdaptingSettings(model=str(folder), steps=20, learning_rate=1e-3, batch_tokens=300)
    summary = adapt(settings, {"restore": objective}, tmp_path / "out")
    assert summary["loss_last"] < summary["loss_first"] and summary["objectives"]["restore"]["items"] == 20
    with caplog.at_level(logging.WARNING):
        after = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert not [record for record in caplog.records if "weights" in record.message]
    before = AutoModelForSeq2SeqLM.from_pretrained(folder)
    old, new = before.state_dict(), after.state_dict()
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    frozen = {key for key in old if any(part in key for part in ("embed_", "shared", "lm_head", "logits_bias"))}
    assert changed == set(old) - frozen
    assert after.generation_config.to_dict() == before.generation_config.to_dict()
    assert tokenizer("Maria").input_ids == AutoTokenizer.from_pretrained(folder)("Maria").input_ids


def test_a_model_learns_to_write_the_sentence(seq2seq, tmp_path):
    settings = AdaptingSettings(model=str(seq2seq("mbart50")), steps=60, learning_rate=1e-2, batch_tokens=400)
    objective = RestoreCodeSwitchedSeq2Seq(pairs=_one_to_one(20), language="en_XX")
    summary = adapt(settings, {"restore": objective}, tmp_path / "out")
    assert summary["loss_last"] < summary["loss_first"] / 2


def test_what_is_read_has_some_words_swapped_and_what_is_written_none(seq2seq, monkeypatch):
    model = Seq2SeqModel(str(seq2seq("t5")), max_pieces=100)
    chinese = Pair(["我", "住"], ["I", "live"], "zh", "en", Alignment([(0, 0)]))
    objective = RestoreCodeSwitchedSeq2Seq(pairs=[SENTENCE, chinese], share=1.0)
    assert len(objective.prepare(model)) == 2
    seen = []
    monkeypatch.setattr(model, "loss", lambda *texts: seen.extend(zip(*texts, strict=True)))
    objective.loss(model, [0, 1], np.random.default_rng(0))
    assert seen == [("Maria is living in Lisbon .", "Maria mora em Lisboa ."), ("I住", "我住")]


def test_padding_is_no_part_of_the_loss(seq2seq):
    model = Seq2SeqModel(str(seq2seq("t5")), max_pieces=100)
    texts = ["Maria", "Maria mora em Lisboa com o seu irmão ."]
    with torch.no_grad():
        each = [float(model.loss([text], [text])) for text in texts]
        together = float(model.loss(texts, texts))
    n = [len(model.tokenizer(text).input_ids) for text in texts]
    assert together == pytest.approx(np.average(each, weights=n), rel=1e-4)


def test_pairs_without_links_are_linked_by_the_aligner(seq2seq, monkeypatch):
    from spacy_xlt.adapting import restore_text

    class Aligner:
        def align(self, pairs):
            assert pairs == [(SENTENCE.source, SENTENCE.target)]
            return [Alignment([(3, 4)])]

    monkeypatch.setattr(restore_text, "EmbeddingAligner", Aligner)
    objective = RestoreCodeSwitchedSeq2Seq(pairs=[SENTENCE, SENTENCE._replace(links=None)])
    objective.prepare(Seq2SeqModel(str(seq2seq("t5")), max_pieces=100))
    assert [list(swaps) for _, swaps, _ in objective._items] == [[1, 2, 3], [3]]


def test_models_languages_and_texts_that_do_not_fit_are_errors(tiny, seq2seq, tmp_path):
    def run(model, pairs=(SENTENCE,), language=None, **settings):
        objective = RestoreCodeSwitchedSeq2Seq(pairs=list(pairs), language=language)
        adapt(AdaptingSettings(model=str(model), **settings), {"restore": objective}, tmp_path / "out")

    for arguments, message in (
        ({"model": tiny}, "E221.*no decoder"),
        ({"model": tmp_path / "none"}, "E221.*no such folder"),
        ({"model": seq2seq("mbart50")}, "E150.*`language`.*en_XX"),
        ({"model": seq2seq("mbart50"), "language": "English"}, "E150.*English"),
        ({"model": seq2seq("t5"), "layers": 1}, "E150.*`layers`.*as a whole"),
        ({"model": seq2seq("t5"), "pairs": [SENTENCE], "max_pieces": 3}, "E354.*1 read, none of at most 3"),
    ):
        with pytest.raises(XltError, match=message):
            run(**arguments)
