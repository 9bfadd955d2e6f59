"""Seq2SeqTranslator as users meet it: settings, files, long texts, memory, processes, the component."""

from __future__ import annotations

import json
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
from spacy_xlt.protocols import Attender, Scorer, Translator
from spacy_xlt.translation import seq2seq
from spacy_xlt.translation.seq2seq import Seq2SeqModel, Seq2SeqTranslator

EN_PT = {"source": "en", "target": "pt"}
SHORT = ["The house is blue.", "Yes.", "Two old cats sleep.", "Welsh AMs worried."]

pytestmark = pytest.mark.filterwarnings("ignore:Recommended:UserWarning")


@pytest.fixture(scope="module")
def make(seq2seq_model: Callable[[str], Path]) -> Callable[..., Seq2SeqTranslator]:
    """Make the engine with a tiny model whose translations end now and then."""

    def make_engine(name: str = "mbart50", **settings: Any) -> Seq2SeqTranslator:
        defaults = {"model": str(seq2seq_model(name)), "beam_size": 1, "max_length_factor": 1}
        return Seq2SeqTranslator(**{**defaults, **settings})

    return make_engine


@pytest.fixture(scope="module")
def translator(make: Callable) -> Seq2SeqTranslator:
    return make()


# settings


def test_engine_is_registered_and_keeps_the_protocols() -> None:
    made = spacy.registry.misc.get("spacy_xlt.Seq2SeqTranslator.v1")()
    assert "nllb-200" in made.signature
    assert isinstance(made, Translator) and isinstance(made, Scorer) and isinstance(made, Attender)


def test_signature_names_what_changes_the_output(make: Callable) -> None:
    signature = make(beam_size=3, directions=[["en", "pt"]]).signature
    assert "model:mbart50|" in signature and "beam_size:3" in signature and "[[en,pt]]" in signature
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
def test_invalid_setting_is_named_with_its_value(setting: str, value: Any) -> None:
    with pytest.raises(XltError, match=f"E150.*`{setting}` of Seq2SeqTranslator") as caught:
        Seq2SeqTranslator(**{setting: value})
    assert str(value) in str(caught.value)


# files


def test_model_that_does_not_exist_is_named_when_first_used(tmp_path: Path) -> None:
    with pytest.raises(XltError, match="E221.*nothing.*`model`"):
        Seq2SeqTranslator(model=str(tmp_path / "nothing")).translate(["Hello."], **EN_PT)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "vocab.json", "cut", "other"])
def test_half_downloaded_model_is_an_error(missing: str, tmp_path: Path, seq2seq_model: Callable) -> None:
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
        Seq2SeqTranslator(model=str(folder)).translate(["Hello."], **EN_PT)


def test_weights_that_would_run_code_are_not_read(tmp_path: Path, seq2seq_model: Callable) -> None:
    folder = tmp_path / "model"
    shutil.copytree(seq2seq_model("opus-mt-en-pt"), folder)
    (folder / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model.shared.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(XltError, match="E221"):
        Seq2SeqTranslator(model=str(folder)).translate(["Hello."], **EN_PT)
    assert not (tmp_path / "ran").exists()


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path, seq2seq_model: Callable) -> None:
    folder = tmp_path / "model"
    shutil.copytree(seq2seq_model("m2m100"), folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings |= {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}
    path.write_text(json.dumps(settings))
    (folder / "own.py").write_text(f"import os; os.mkdir({str(tmp_path / 'ran')!r})\n")
    with pytest.raises(XltError, match="E221"):
        Seq2SeqTranslator(model=str(folder)).translate(["Hello."], **EN_PT)
    assert not (tmp_path / "ran").exists()


def test_model_without_a_decoder_is_refused(tmp_path: Path) -> None:
    from helpers.tiny_encoder import make_tiny_encoder

    with pytest.raises(XltError, match="E221.*no decoder"):
        Seq2SeqTranslator(model=str(make_tiny_encoder(tmp_path))).translate(["Hello."], **EN_PT)


def test_unknown_direction_lists_the_known_ones(make: Callable) -> None:
    with pytest.raises(XltError, match="E201.*'fr'.*It knows: en to pt"):
        make("opus-mt-en-pt").translate(["Hello."], source="en", target="fr")
    with pytest.raises(XltError, match="E201.*'wo'.*any two of af, .*pt"):
        make("mbart50").translate(["Hello."], source="en", target="wo")


def test_model_without_codes_names_the_setting(make: Callable) -> None:
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


@pytest.mark.parametrize("beam_size", [1, 3])
def test_translation_at_its_limit_is_cut_off_and_flagged(make: Callable, beam_size: int) -> None:
    (cut,) = make("nllb", beam_size=beam_size).translate(["Yes yes."], **EN_PT)
    assert cut.flags == ("truncated",)
    assert "truncated" not in make("mbart50").translate(SHORT[:1], **EN_PT)[0].flags


def test_long_text_is_translated_in_parts_and_put_together(make: Callable) -> None:
    sentences = ["The house is blue and old and it stands there.", "Two old cats sleep in the house near a river."]
    engine = make(max_pieces=40)
    parts = engine.translate(sentences, **EN_PT)
    (whole,) = engine.translate([" ".join(sentences)], **EN_PT)
    assert whole.text == " ".join(part.text for part in parts)


@pytest.mark.parametrize("name", ["opus-mt-en-pt", "m2m100"])
def test_limit_of_the_model_cuts_longer_texts_too(make: Callable, name: str) -> None:
    # 128 places; without cutting, transformers would raise an IndexError for Marian
    text = " ".join(SHORT * 12)
    engine = make(name, max_pieces=4000)
    assert engine._model("en", "pt", exact=False).max_pieces < 128
    (translation,) = engine.translate([text], **EN_PT)
    assert translation.text
    scores = engine.score([text, "Yes."], ["Sim. " * 100, "Sim. " * 100], **EN_PT)
    assert np.isfinite(scores).all()
    (weights,) = engine.attend([text.split()], [["Sim."] * 100], **EN_PT)
    assert weights.shape == (len(text.split()), 100) and (weights.sum(axis=0) > 0).all()


@pytest.mark.parametrize("beam_size", [1, 3])
def test_score_of_a_translation_is_the_one_that_score_gives(make: Callable, beam_size: int) -> None:
    engine = make("opus-mt-en-pt", beam_size=beam_size)
    compared = 0
    for text, translation in zip(SHORT, engine.translate(SHORT, **EN_PT), strict=True):
        if translation.flags or translation.score is None:
            continue
        ((log_probs, _),) = engine.force([text], [translation.text], **EN_PT)
        # The search may write a text in other pieces than the vocabulary cuts it into; the padding, which it must not
        # write, has some probability
        compared += abs(float(log_probs.mean()) - translation.score) < 1e-3
    assert compared >= 1


# memory


def test_batch_with_too_little_memory_is_halved_and_warned_of_once(
    make: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make().translate(SHORT * 3, **EN_PT)
    search, sizes = Seq2SeqModel.search, []

    def small(model: Any, sources: Any, limits: Any, **settings: Any) -> Any:
        sizes.append(len(sources))
        if len(sources) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return search(model, sources, limits, **settings)

    monkeypatch.setattr(Seq2SeqModel, "search", small)
    engine = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        translations = engine.translate(SHORT * 3, **EN_PT)
        tried = len(sizes)
        engine.translate(SHORT * 3, **EN_PT)
    assert [t.text for t in translations] == [t.text for t in expected]
    warned = [w for w in caught if issubclass(w.category, XltWarning)]
    assert len(warned) == 1 and "W220" in str(warned[0].message) and "`batch_tokens`" in str(warned[0].message)
    # What was too much once is not tried again
    assert len(sizes) - tried < tried


def test_single_text_too_large_for_the_memory_is_an_error(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: Any, sources: Any, limits: Any, **settings: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Seq2SeqModel, "search", fail)
    with pytest.raises(XltError, match="E226.*`beam_size` or `max_pieces`"), pytest.warns(XltWarning, match="W220"):
        make().translate(SHORT, **EN_PT)


def test_batch_of_short_texts_is_bounded_by_the_vocabulary(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    model = engine._model("en", "pt", exact=False)
    monkeypatch.setitem(seq2seq._MAX_LOGITS, model.device.type, 3 * model._model.config.vocab_size)
    search, sizes = Seq2SeqModel.search, []
    monkeypatch.setattr(
        Seq2SeqModel, "search", lambda *args, **settings: sizes.append(len(args[1])) or search(*args, **settings)
    )
    engine.translate(["Yes."] * 9, **EN_PT)
    assert sum(sizes) == 9 and max(sizes) <= 3


def test_half_precision_gives_nearly_the_same_scores(make: Callable) -> None:
    full = make().score(SHORT, SHORT, **EN_PT)
    half = make(precision="bfloat16").score(SHORT, SHORT, **EN_PT)
    np.testing.assert_allclose(half, full, rtol=0.1)
    assert half.dtype == np.float32 and not np.array_equal(half, full)


# processes and the component


def test_pickled_engine_is_small_and_translates_the_same(translator: Seq2SeqTranslator) -> None:
    before = [t.text for t in translator.translate(SHORT, **EN_PT)]
    data = pickle.dumps(translator)
    assert len(data) < 2000
    assert [t.text for t in pickle.loads(data).translate(SHORT, **EN_PT)] == before


@pytest.mark.parametrize(
    "n_process", [1, pytest.param(2, marks=pytest.mark.skipif(not hasattr(os, "fork"), reason=""))]
)
def test_component_translates_documents(n_process: int, make: Callable, seq2seq_model: Callable[[str], Path]) -> None:
    nlp = spacy.blank("en")
    engine = {"@misc": "spacy_xlt.Seq2SeqTranslator.v1", "model": str(seq2seq_model("mbart50")), "beam_size": 1}
    nlp.add_pipe("xlt_translator", config={"engine": {**engine, "max_length_factor": 1}, "target": "pt"})
    expected = [t.text for t in make().translate(SHORT, **EN_PT)]
    docs = list(nlp.pipe(SHORT, n_process=n_process, batch_size=2))
    assert [doc._.xlt["pt"].target.text for doc in docs] == expected
