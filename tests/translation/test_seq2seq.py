"""Seq2SeqTranslator as users meet it: settings, files, long texts, memory, processes, the component."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spacy_xlt.errors import XltError
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


def test_signature_names_what_changes_the_output(make: Callable) -> None:
    signature = make(beam_size=3, directions=[["en", "pt"]]).signature
    assert "model:mbart50|" in signature and "beam_size:3" in signature and "[[en,pt]]" in signature
    assert "\n" not in signature and signature != make(beam_size=2).signature


@pytest.mark.parametrize(("setting", "value"), [("family", "gpt"), ("directions", [["en"]])])
def test_invalid_setting_is_named_with_its_value(setting: str, value: Any) -> None:
    with pytest.raises(XltError, match=f"E150.*`{setting}` of Seq2SeqTranslator") as caught:
        Seq2SeqTranslator(model="opus:en-de", **{setting: value})
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


def test_model_without_codes_names_the_setting(make: Callable) -> None:
    with pytest.raises(XltError, match="E224.*`prefix`"):
        make("t5").translate(["Hello."], **EN_PT)
    with pytest.raises(XltError, match="E223.*`family`"):
        make("mbart50", family="nllb").translate(["Hello."], **EN_PT)


# translating


@pytest.mark.parametrize("beam_size", [1, 3])
def test_translation_at_its_limit_is_cut_off_and_flagged(make: Callable, beam_size: int) -> None:
    (cut,) = make("nllb", beam_size=beam_size).translate(["Yes yes."], **EN_PT)
    assert cut.flags == ("truncated",)
    assert "truncated" not in make("mbart50").translate(SHORT[:1], **EN_PT)[0].flags


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


def test_batch_of_short_texts_is_bounded_by_the_vocabulary(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    model = engine._model("en", "pt", exact=False)
    monkeypatch.setitem(seq2seq.MAX_LOGITS, model.device.type, 3 * model._model.config.vocab_size)
    search, sizes = Seq2SeqModel.search, []
    monkeypatch.setattr(
        Seq2SeqModel, "search", lambda *args, **settings: sizes.append(len(args[1])) or search(*args, **settings)
    )
    engine.translate(["Yes."] * 9, **EN_PT)
    assert sum(sizes) == 9 and max(sizes) <= 3


# processes and the component
