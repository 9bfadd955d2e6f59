"""Seq2SeqTranslator as users meet it: settings, files, long texts, terms, memory, processes, the component."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Attender, NBestTranslator, Scorer, Term, TermTranslator
from spacy_xlt.translation.seq2seq import decode, direction
from spacy_xlt.translation.seq2seq.decoder import Batch
from spacy_xlt.translation.seq2seq.engine import Seq2SeqTranslator, make_seq2seq_translator

EN_PT = {"source": "en", "target": "pt"}
SHORT = ["The house is blue.", "Yes.", "Two old cats sleep.", "Welsh AMs worried."]

pytestmark = pytest.mark.filterwarnings("ignore:Recommended:UserWarning")


@pytest.fixture(scope="module")
def make(seq2seq_model: Callable[[str], Path]) -> Callable[..., Seq2SeqTranslator]:
    """Make the engine with a tiny model whose translations end now and then."""

    def make_one(name: str = "mbart50", **settings: Any) -> Seq2SeqTranslator:
        defaults = {"model": str(seq2seq_model(name)), "beam_size": 1, "max_length_factor": 1}
        return make_seq2seq_translator(**{**defaults, **settings})

    return make_one


@pytest.fixture(scope="module")
def translator(make: Callable) -> Seq2SeqTranslator:
    return make()


# what it says it is


def test_it_is_registered_and_keeps_the_protocols(translator: Seq2SeqTranslator) -> None:
    made = spacy.registry.misc.get("spacy_xlt.Seq2SeqTranslator.v1")()
    assert "nllb-200" in made.signature
    for protocol in (TermTranslator, NBestTranslator, Scorer, Attender):
        assert isinstance(made, protocol)
    assert made.takes_terms


def test_the_signature_names_what_changes_the_output(make: Callable) -> None:
    signature = make(beam_size=3, directions=[["en", "pt"]]).signature
    assert "model:mbart50|" in signature and "beam:3" in signature and "['en', 'pt']" in signature
    assert "\n" not in signature and signature != make(beam_size=2).signature


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("beam_size", 0),
        ("batch_tokens", "many"),
        ("max_pieces", 1),
        ("max_length_factor", 0.5),
        ("precision", "int8"),
        ("family", "gpt"),
        ("directions", [["en"]]),
    ],
)
def test_impossible_settings_are_named_with_their_value(setting: str, value: Any) -> None:
    with pytest.raises(XltError, match=f"E220.*`{setting}`") as caught:
        make_seq2seq_translator(**{setting: value})
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(("setting", "value"), [("attention_layer", 2), ("attention_heads", [2])])
def test_attention_that_the_model_lacks_is_named(setting: str, value: Any, make: Callable) -> None:
    with pytest.raises(XltError, match=f"E220.*`{setting}`.*(-2 to 1|0 to 1)"):
        make(**{setting: value}).attend([["a"]], [["b"]], **EN_PT)


# files


def test_a_model_that_does_not_exist_is_named_when_first_used(tmp_path: Path) -> None:
    translator = make_seq2seq_translator(model=str(tmp_path / "nothing"))
    with pytest.raises(XltError, match="E221.*nothing.*`model`"):
        translator.translate(["Hello."], **EN_PT)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.json", "cut", "other"])
def test_a_half_downloaded_model_is_an_error(missing: str, tmp_path: Path, seq2seq_model: Callable) -> None:
    folder = tmp_path / "model"
    shutil.copytree(seq2seq_model("opus-mt-en-pt"), folder)
    weights = folder / "model.safetensors"
    if missing == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif missing == "other":
        from safetensors.torch import load_file, save_file

        kept = {name: tensor for name, tensor in load_file(weights).items() if "encoder.layers.1.fc1" not in name}
        save_file(kept, weights, metadata={"format": "pt"})
    else:
        (folder / missing).unlink()
    with pytest.raises(XltError, match="E221"):
        make_seq2seq_translator(model=str(folder)).translate(["Hello."], **EN_PT)


def test_weights_that_would_run_code_are_not_read(tmp_path: Path, seq2seq_model: Callable) -> None:
    folder = tmp_path / "model"
    shutil.copytree(seq2seq_model("opus-mt-en-pt"), folder)
    (folder / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model.shared.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(XltError, match="E221"):
        make_seq2seq_translator(model=str(folder)).translate(["Hello."], **EN_PT)
    assert not (tmp_path / "ran").exists()


def test_a_model_that_only_reads_is_no_translator(tmp_path: Path) -> None:
    from helpers.tiny_encoder import make_tiny_encoder

    with pytest.raises(XltError, match="E221.*no decoder"):
        make_seq2seq_translator(model=str(make_tiny_encoder(tmp_path))).translate(["Hello."], **EN_PT)


def test_an_unknown_direction_lists_the_known_ones(make: Callable) -> None:
    with pytest.raises(XltError, match="E201.*'fr'.*It knows: en to pt"):
        make("opus-mt-en-pt").translate(["Hello."], source="en", target="fr")
    with pytest.raises(XltError, match="E201.*'wo'.*any two of af, .*pt"):
        make("mbart50").translate(["Hello."], source="en", target="wo")


def test_a_model_without_codes_names_the_setting(make: Callable) -> None:
    with pytest.raises(XltError, match="E224.*`prefix`"):
        make("t5").translate(["Hello."], **EN_PT)
    with pytest.raises(XltError, match="E223.*`family`"):
        make("mbart50", family="nllb").translate(["Hello."], **EN_PT)


# translating


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b"])
def test_text_without_content_gives_an_empty_translation(translator: Seq2SeqTranslator, text: str) -> None:
    empty, full = translator.translate([text, SHORT[0]], **EN_PT)
    assert (empty.text, empty.score, empty.flags, empty.alignment) == ("", None, (), None)
    assert full.score is not None and full.score < 0


def test_no_texts_give_no_translations(translator: Seq2SeqTranslator) -> None:
    assert translator.translate([], **EN_PT) == []
    assert translator.score([], [], **EN_PT).shape == (0,)
    assert translator.attend([], [], **EN_PT) == []


@pytest.mark.parametrize("text", ["😀", "\ud800 x", "שלום", "漢字", "a\u200bb\u0301", "</s>"])
def test_characters_the_vocabulary_lacks_are_ordinary_input(translator: Seq2SeqTranslator, text: str) -> None:
    (translation,) = translator.translate([text], **EN_PT)
    (weights,) = translator.attend([[text]], [["a"]], **EN_PT)
    assert "⁇" not in translation.text and "<" not in translation.text and np.isfinite(weights).all()


def test_results_come_in_order_over_many_windows(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{word} {'very ' * (i % 4)}good" for i, word in enumerate("the a one two our his her its".split())]
    expected = [t.text for t in make().translate(texts, **EN_PT)]
    monkeypatch.setattr("spacy_xlt.translation.seq2seq.engine._WINDOW", 1)
    calls = []
    greedy = decode.greedy
    monkeypatch.setattr(decode, "greedy", lambda model, batch: calls.append(1) or greedy(model, batch))
    found = [t.text for t in make(batch_tokens=20).translate(texts, **EN_PT)]
    assert found == expected and len(calls) >= 4


def test_a_translation_at_its_limit_is_cut_off_and_flagged(make: Callable) -> None:
    (cut,) = make("nllb").translate(["Yes yes."], **EN_PT)
    assert cut.flags == ("truncated",)
    assert "truncated" not in make("mbart50").translate(SHORT[:1], **EN_PT)[0].flags


def test_a_long_text_is_translated_in_parts_and_put_together(make: Callable) -> None:
    sentences = ["The house is blue and old and it stands there.", "Two old cats sleep in the house near a river."]
    engine = make(max_pieces=40)
    parts = engine.translate(sentences, **EN_PT)
    (whole,) = engine.translate([" ".join(sentences)], **EN_PT)
    assert whole.text == " ".join(part.text for part in parts)


def test_the_model_s_own_limit_cuts_longer_texts_too(make: Callable) -> None:
    # 128 places; without cutting, transformers would raise an IndexError
    text = " ".join(SHORT * 20)
    (translation,) = make("opus-mt-en-pt", max_pieces=4000).translate([text], **EN_PT)
    assert translation.text
    scores = make("opus-mt-en-pt", max_pieces=4000).score([text, "Yes."], ["Sim. " * 100, "Sim. " * 100], **EN_PT)
    assert np.isfinite(scores).all()
    (weights,) = make("opus-mt-en-pt", max_pieces=4000).attend([text.split()], [["Sim."] * 100], **EN_PT)
    assert weights.shape == (len(text.split()), 100) and (weights.sum(axis=0) > 0).all()


def test_n_best_are_different_and_in_order(make: Callable) -> None:
    for engine in (make(), make(beam_size=4)):
        for found in engine.translate_n_best(SHORT, n=3, **EN_PT):
            texts = [t.text for t in found]
            assert 1 <= len(texts) <= 3 and len(set(texts)) == len(texts)
    best = make(beam_size=3).translate(SHORT, **EN_PT)
    first = [found[0].text for found in make().translate_n_best(SHORT, n=3, **EN_PT)]
    assert first == [t.text for t in best]


def test_a_greedy_translation_has_the_score_that_score_gives(make: Callable) -> None:
    engine = make("opus-mt-en-pt")
    loaded = engine._load()
    compared = 0
    for text, translation in zip(SHORT, engine.translate(SHORT, **EN_PT), strict=True):
        pieces = loaded.target.encode([translation.text])[0]
        if translation.flags or translation.score is None:
            continue
        total = float(engine.score([text], [translation.text], **EN_PT)[0])
        # The search may write a text in other pieces than the vocabulary cuts it into
        compared += abs(total / (len(pieces) + 1) - translation.score) < 1e-3
    assert compared >= 1


def test_a_translation_goes_on_from_a_given_beginning(make: Callable) -> None:
    for beam_size in (1, 3):
        given, free = make(beam_size=beam_size).translate(SHORT[:2], prefixes=["O Banco Central", ""], **EN_PT)
        assert given.text.startswith("O Banco Central")
        assert free.text == make(beam_size=beam_size).translate(SHORT[1:2], **EN_PT)[0].text


# terms


@pytest.mark.parametrize("name", ["nllb", "m2m100", "mbart50", "opus-mt-en-pt", "madlad"])
def test_all_terms_are_in_the_translation_as_they_stand(name: str, make: Callable) -> None:
    terms = [[Term("Banco Central"), Term("O gato", "cat")], [], [Term("a casa", "house")], [Term("São Paulo, 1990")]]
    found = make(name).translate(SHORT, terms=terms, **EN_PT)
    for own, translation in zip(terms, found, strict=True):
        assert all(term.target in translation.text for term in own)
        assert "term_missing" not in translation.flags
    assert found[1].text == make(name).translate(SHORT[1:2], **EN_PT)[0].text


def test_a_term_that_the_vocabulary_cannot_write_is_flagged(make: Callable) -> None:
    (translation,) = make().translate(SHORT[:1], terms=[[Term("漢字"), Term("o gato")]], **EN_PT)
    assert "term_missing" in translation.flags and "o gato" in translation.text


def test_terms_of_a_long_text_go_to_the_part_with_their_source(make: Callable) -> None:
    text = "The house is blue and old and it stands there. Two old cats sleep in the house near a river."
    engine = make(max_pieces=40)
    (translation,) = engine.translate([text], terms=[[Term("dois gatos", "cats")]], **EN_PT)
    first = engine.translate([text.split(". ")[0] + "."], **EN_PT)[0].text
    assert translation.text.startswith(first) and "dois gatos" in translation.text[len(first) :]


def test_terms_and_a_beginning_together(make: Callable) -> None:
    found = make().translate(SHORT[:2], terms=[[Term("o gato")]] * 2, prefixes=["A casa", "Sim"], **EN_PT)
    assert [t.text.split()[0] for t in found] == ["A", "Sim"] and all("o gato" in t.text for t in found)


@pytest.mark.parametrize("setting", ["terms", "prefixes"])
def test_one_list_for_each_text(setting: str, translator: Seq2SeqTranslator) -> None:
    with pytest.raises(XltError, match=f"E220.*`{setting}`.*0 items.*4 texts"):
        translator.translate(SHORT, **{setting: []}, **EN_PT)


# memory


def test_a_batch_that_the_gpu_has_no_room_for_is_halved_and_said_once(
    make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make().translate(SHORT * 3, **EN_PT)
    greedy, sizes = decode.greedy, []

    def small(model: Any, batch: Batch) -> Any:
        sizes.append(len(batch.sources))
        if len(batch.sources) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return greedy(model, batch)

    monkeypatch.setattr(decode, "greedy", small)
    engine = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = engine.translate(SHORT * 3, **EN_PT)
        tried = len(sizes)
        engine.translate(SHORT * 3, **EN_PT)
    assert [t.text for t in found] == [t.text for t in expected]
    said = [w for w in caught if issubclass(w.category, XltWarning)]
    assert len(said) == 1 and "W220" in str(said[0].message) and "`batch_tokens`" in str(said[0].message)
    # What was too much once is not tried again
    assert len(sizes) - tried < tried


def test_a_single_text_too_large_for_the_gpu_is_an_error(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(model: Any, batch: Batch) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(decode, "greedy", none)
    with pytest.raises(XltError, match="E226.*`beam_size` or `max_pieces`"), pytest.warns(XltWarning, match="W220"):
        make().translate(SHORT, **EN_PT)


def test_many_short_texts_are_no_larger_a_batch_than_the_vocabulary_allows(
    make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy, sizes = decode.greedy, []
    monkeypatch.setattr(decode, "greedy", lambda model, batch: sizes.append(len(batch.sources)) or greedy(model, batch))
    engine = make()
    width = engine._load().model.config.vocab_size
    monkeypatch.setitem(direction._HELD, engine._load().model.device.type, 3 * width)
    engine.translate(["Yes."] * 9, **EN_PT)
    assert sum(sizes) == 9 and max(sizes) <= 3


def test_half_precision_finds_nearly_the_same_scores(make: Callable) -> None:
    full = make().score(SHORT, SHORT, **EN_PT)
    half = make(precision="bfloat16").score(SHORT, SHORT, **EN_PT)
    np.testing.assert_allclose(half, full, rtol=0.1)
    assert half.dtype == np.float32 and not np.array_equal(half, full)


# processes and the component


def test_pickled_it_is_small_and_translates_the_same(translator: Seq2SeqTranslator) -> None:
    before = [t.text for t in translator.translate(SHORT, **EN_PT)]
    data = pickle.dumps(translator)
    assert len(data) < 2000
    assert [t.text for t in pickle.loads(data).translate(SHORT, **EN_PT)] == before


@pytest.mark.parametrize(
    "n_process", [1, pytest.param(2, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason=""))]
)
def test_it_translates_documents(n_process: int, make: Callable, seq2seq_model: Callable[[str], Path]) -> None:
    nlp = spacy.blank("en")
    engine = {"@misc": "spacy_xlt.Seq2SeqTranslator.v1", "model": str(seq2seq_model("mbart50")), "beam_size": 1}
    nlp.add_pipe("xlt_translator", config={"engine": {**engine, "max_length_factor": 1}, "target": "pt"})
    expected = [t.text for t in make().translate(SHORT, **EN_PT)]
    docs = list(nlp.pipe(SHORT, n_process=n_process, batch_size=2))
    assert [doc._.xlt["pt"].target.text for doc in docs] == expected
