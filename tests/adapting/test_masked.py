"""Guessing hidden words: what is hidden, what is learned, and the head that is loaded and written."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_encoder import TEXTS, make_tiny_encoder
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.adapting.masked import MaskedLanguage, TranslationMasked, hide_words
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.texts import Pair
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt
from spacy_xlt.errors import XltError

SENTENCES = [(text.split(), "xx") for text in TEXTS] + [([], "xx"), (["abc"] * 200, "xx")]
PAIRS = [
    Pair("Maria mora em Lisboa .".split(), "Maria lives in Lisbon .".split()),
    Pair("John trabalha no Banco Central .".split(), "John works for Central Bank .".split()),
    Pair("Google .".split(), "Google .".split()),
]
FAST = {"embeddings": True, "learning_rate": 0.015}
SMALL = {"steps": 30, "batch_tokens": 256, "max_pieces": 100, "learning_rate": 3e-3}


def _with_head(folder, kind):
    """A tiny model with the head that it was pretrained with, in the folder and in memory."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    make_tiny_encoder(folder, mask=True, kind=kind)
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder))
    model.save_pretrained(folder)
    return folder, model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return _with_head(tmp_path_factory.mktemp("tiny"), "bert")[0]


def _adapt(tiny, objective, output, **changes):
    settings = AdaptingSettings(**{**SMALL, "model": str(tiny), **changes})
    return adapt(settings, {"guessed": objective}, output)


@given(data=st.data(), share=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_whole_words_are_hidden_and_nothing_else(data, share, seed):
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=30).filter(any))
    owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    owners = np.insert(owners, data.draw(st.integers(0, len(owners))), -1)
    ids = np.arange(1000, 1000 + len(owners), dtype=np.int32)
    hidden, places = hide_words((ids, owners), share, np.random.default_rng(seed), mask=30, vocabulary=20)
    words = np.unique(owners[places])
    assert places.tolist() == np.flatnonzero(np.isin(owners, words)).tolist() and -1 not in words
    assert len(words) == max(1, round(share * sum(size > 0 for size in sizes)))
    changed = np.flatnonzero(hidden != ids)
    assert np.isin(changed, places).all() and np.isin(hidden[changed], [30, *range(20)]).all()


def test_eight_of_ten_words_become_the_mask_and_one_another_piece():
    side = np.full(20_000, 99, np.int32), np.arange(20_000, dtype=np.int32)
    hidden, places = hide_words(side, 0.5, np.random.default_rng(0), mask=30, vocabulary=20)
    found = hidden[places]
    assert len(places) == 10_000
    for rows, share in ((found == 30, 0.8), (found < 20, 0.1), (found == 99, 0.1)):
        assert abs(rows.mean() - share) < 0.015


def test_hidden_words_are_guessed_after_some_steps(tiny, tmp_path):
    objective = MaskedLanguage(sentences=SENTENCES, share=0.3)
    summary = _adapt(tiny, objective, tmp_path / "out", steps=50, **FAST)
    found = summary["objectives"]["guessed"]
    assert (found["read"], found["items"]) == (5, 3)
    assert summary["loss_last"] < summary["loss_first"] - 1
    model = AdaptedModel(str(tmp_path / "out"), layers=None, max_pieces=100)
    side, random, right = model.side(SENTENCES[0][0]), np.random.default_rng(5), []
    mask, vocabulary = model.encoder.tokenizer.mask_token_id, model.encoder.vocabulary
    for _ in range(30):
        hidden, places = hide_words(side, 0.1, random, mask=mask, vocabulary=vocabulary)
        with torch.no_grad():
            guessed = model.masked_head()(model.pieces([hidden]))[places].argmax(1).numpy()
        right += (guessed == side[0][places])[hidden[places] == mask].tolist()
    # One in so many would be guessed by chance
    assert len(right) > 30 and np.mean(right) > 5 / vocabulary


@pytest.mark.parametrize(("kind", "prefix", "head"), [("bert", "bert", "cls"), ("xlm-roberta", "roberta", "lm_head")])
def test_the_head_of_a_folder_is_trained_and_written(kind, prefix, head, tmp_path, caplog):
    from safetensors.numpy import load_file
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    folder, before = _with_head(tmp_path / "tiny", kind)
    objective = MaskedLanguage(sentences=SENTENCES)
    summary = _adapt(folder, objective, tmp_path / "out")
    assert summary["loss_last"] < summary["loss_first"]
    with caplog.at_level(logging.WARNING):
        AutoModel.from_pretrained(tmp_path / "out")
    assert not caplog.records
    after, info = AutoModelForMaskedLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert type(after) is type(before) and not info["missing_keys"] and not info["mismatched_keys"]
    # Without which AutoModel would warn
    assert set(info["unexpected_keys"]) == {f"{prefix}.pooler.dense.{name}" for name in ("weight", "bias")}
    old, new = before.state_dict(), after.state_dict()
    assert set(new) == set(old)
    changed = {name for name in new if not torch.equal(old[name], new[name])}
    frozen = {name for name in new if "embeddings." in name or name == f"{head}.decoder.weight"}
    frozen |= {"cls.predictions.decoder.weight"} & set(new)
    assert changed == set(new) - frozen and any(name.startswith(f"{prefix}.encoder.layer.2") for name in changed)
    # What is tied is in the file once, and what was guessed in the training is guessed by what is loaded
    assert not [name for name in load_file(tmp_path / "out" / "model.safetensors") if "decoder.weight" in name]
    inputs = AutoTokenizer.from_pretrained(tmp_path / "out")("Maria", return_tensors="pt")
    with torch.no_grad():
        vectors = after.base_model(**inputs).last_hidden_state
        assert torch.allclose(after(**inputs).logits, objective._head(vectors), atol=1e-4)


def test_the_vectors_of_pieces_are_trained_with_the_head_where_asked_for(tmp_path):
    from transformers import AutoModelForMaskedLM

    folder, before = _with_head(tmp_path / "tiny", "bert")
    _adapt(folder, MaskedLanguage(sentences=SENTENCES), tmp_path / "out", embeddings=True, steps=3)
    after = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    weight = after.get_input_embeddings().weight
    assert after.get_output_embeddings().weight is weight
    assert not torch.equal(weight, before.get_input_embeddings().weight)


def test_objectives_share_the_head(tiny, tmp_path):
    settings = AdaptingSettings(**{**SMALL, "model": str(tiny), "steps": 4})
    both = {"mlm": MaskedLanguage(sentences=SENTENCES[:1]), "tlm": TranslationMasked(pairs=PAIRS)}
    adapt(settings, both, tmp_path / "out")
    assert both["mlm"]._head is both["tlm"]._head


def test_a_word_is_guessed_from_its_translation(tiny, tmp_path):
    """Each word is one of four, and only its translation says which."""
    words, random = ["a", "b", "c", "d"], np.random.default_rng(0)
    draws = [[words[i] for i in random.integers(0, 4, 2)] for _ in range(100)]
    pairs = [Pair(draw, [word.upper() for word in draw]) for draw in draws]
    summary = _adapt(tiny, TranslationMasked(pairs=pairs, share=0.2), tmp_path / "out", steps=60, **FAST)
    assert summary["objectives"]["guessed"]["items"] == 100
    # From its own side, one guess in four is right at best: a loss of 1.39
    assert summary["loss_last"] < 1


def test_both_sides_are_one_text_with_a_mark_between_them(tiny):
    model = AdaptedModel(str(tiny), layers=None, max_pieces=100)
    objective = TranslationMasked(pairs=PAIRS)
    lengths = objective.prepare(model)
    assert objective.n_read == 3 and len(lengths) == 2
    (ids, owners), pair = objective._texts[0], PAIRS[0]
    (first, of_first), (second, of_second) = model.side(pair.source), model.side(pair.target)
    assert ids.tolist() == [*first, *model.encoder.suffix, *second]
    assert owners.tolist() == [*of_first, -1, *(of_second + len(pair.source))]
    assert lengths[0] == len(ids) + 2


def test_pairs_that_the_model_cannot_read_at_once_are_left_out(tiny):
    model = AdaptedModel(str(tiny), layers=None, max_pieces=100)
    long = Pair(["a"] * 40, ["b"] * 40)
    objective = TranslationMasked(pairs=[long, PAIRS[0]])
    assert len(model.side(long.source)[0]) <= model.max_pieces and len(objective.prepare(model)) == 1


def test_a_model_without_a_head_or_with_some_of_its_layers_is_an_error(tiny, tmp_path):
    plain = make_tiny_encoder(tmp_path / "plain", mask=True)
    for folder, layers, said in ((plain, None, "no masked-language head"), (tiny, 2, "`layers` leaves some out")):
        with pytest.raises(XltError, match=f"E353.*{said}"):
            MaskedLanguage(sentences=SENTENCES).prepare(AdaptedModel(str(folder), layers=layers, max_pieces=100))


def test_nothing_to_learn_from_and_invalid_settings_are_errors(tiny):
    model = AdaptedModel(str(tiny), layers=None, max_pieces=100)
    with pytest.raises(XltError, match="E354.*The text.*2 read, none of at most 100 pieces"):
        MaskedLanguage(sentences=SENTENCES[3:]).prepare(model)
    with pytest.raises(XltError, match="E354.*The parallel text.*1 read"):
        TranslationMasked(pairs=PAIRS[2:]).prepare(model)
    for share in (0.0, 1.0):
        with pytest.raises(XltError, match="E150.*`share`"):
            MaskedLanguage(sentences=SENTENCES, share=share)


def test_the_same_seed_hides_the_same(tiny, tmp_path):
    weights = []
    for name in "ab":
        _adapt(tiny, MaskedLanguage(sentences=SENTENCES), tmp_path / name, steps=3)
        weights.append((Path(tmp_path) / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
