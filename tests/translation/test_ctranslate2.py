"""Tiny models with random weights, converted for real and compared with transformers' own output."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.children import WITHOUT_TORCH
from helpers.paths import ASSETS

from spacy_xlt.errors import XltError
from spacy_xlt.translation import ctranslate2_conversion as conversion
from spacy_xlt.translation.ctranslate2 import CTranslate2Model, CTranslate2Translator
from spacy_xlt.translation.seq2seq import Seq2SeqTranslator

pytest.importorskip("ctranslate2", reason="pip install 'spacy-xlt[ctranslate2]'")

EN_PT = {"source": "en", "target": "pt"}
# As long as the tiny models have places for
TEXTS = [
    line[:40]
    for line in (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[200:208]
]
FAMILIES = {
    "nllb": {},
    "m2m100": {},
    "mbart50": {},
    "opus-mt-en-pt": {},
    "opus-mt-en-itc": {},
    "madlad": {},
    "t5": {"prefix": "translate {source} to {target}: "},
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(seq2seq_model, cache: Path):
    """Make the engine with a tiny model of a family, in 32-bit floats."""

    def make_one(name: str = "nllb", **settings: Any) -> CTranslate2Translator:
        settings = {"cache_dir": str(cache), "precision": "float32", "beam_size": 1, **FAMILIES[name], **settings}
        return CTranslate2Translator(model=str(seq2seq_model(name)), **settings)

    return make_one


@pytest.mark.parametrize("name", list(FAMILIES))
def test_translations_scores_and_attention_are_those_of_transformers(make, seq2seq_model, name):
    # Greedy search of transformers; both cut off at the same place, give or take the rounding of the limit
    other = Seq2SeqTranslator(model=str(seq2seq_model(name)), precision="float32", beam_size=1, **FAMILIES[name])
    engine = make(name)
    pairs = zip(engine.translate(TEXTS, **EN_PT), other.translate(TEXTS, **EN_PT), strict=True)
    compared = 0
    for translation, expected in pairs:
        if translation.flags or expected.flags:
            # The last character may be half of one
            n = max(0, min(len(expected.text), len(translation.text)) - 2)
            assert translation.text[:n] == expected.text[:n]
            compared += n
        else:
            assert translation.text == expected.text
            assert translation.score == pytest.approx(expected.score, abs=1e-3)
            compared += 1
    assert compared > 3
    sources, targets = [*TEXTS, "", "One two"], [*TEXTS[1:], "", "Dois", ""]
    scores = engine.score(sources, targets, **EN_PT)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, other.score(sources, targets, **EN_PT), rtol=1e-3)
    looked = engine.attend(sources, targets, **EN_PT)
    assert max(weights.max() for weights in looked if weights.size) > 0.1
    for weights, expected in zip(looked, other.attend(sources, targets, **EN_PT), strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-3)


@pytest.mark.parametrize(("name", "beam_size"), [("nllb", 2), ("opus-mt-en-itc", 2), ("madlad", 3)])
def test_score_of_a_translation_is_its_mean_log_probability(make, name, beam_size):
    model = make(name, beam_size=beam_size)._model("en", "pt", exact=False)
    assert isinstance(model, CTranslate2Model)
    sources = [pieces.ids for pieces in model.source.encode(TEXTS)]
    hypotheses = model.search(sources, np.full(len(TEXTS), 60))
    written = [one.ids if one.truncated else one.ids[:-1] for one in hypotheses]
    for one, log_probs in zip(hypotheses, model.force(sources, written), strict=True):
        assert one.score == pytest.approx(sum(log_probs[: len(one.ids)]), abs=0.01)


def test_int8_is_the_default_on_a_cpu(make, cache):
    engine = make("nllb", precision="auto")
    assert engine.translate(TEXTS[:1], **EN_PT)[0].text
    ((model, _),) = engine._loaded.values()
    assert model.translator.compute_type.startswith("int8")
    assert list(cache.glob("nllb-int8-*/model.bin"))


def test_other_process_finds_the_converted_model(make, monkeypatch):
    make().translate(["Hello."], **EN_PT)
    monkeypatch.setattr(conversion, "convert", None)
    again = pickle.loads(pickle.dumps(make()))
    assert again.translate(["Hello."], **EN_PT)[0].score is not None


def test_changed_model_is_converted_again(seq2seq_model, tmp_path):
    shutil.copytree(seq2seq_model("nllb"), tmp_path / "model")
    engine = CTranslate2Translator(model=str(tmp_path / "model"), cache_dir=str(tmp_path / "cache"))
    engine.translate(["Hello."], **EN_PT)
    os.utime(tmp_path / "model" / "model.safetensors", (1, 1))
    pickle.loads(pickle.dumps(engine)).translate(["Hello."], **EN_PT)
    assert len(list((tmp_path / "cache").glob("*/model.bin"))) == 2


def test_failed_conversion_leaves_nothing_and_says_why(seq2seq_model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(seq2seq_model("nllb"), broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    engine = CTranslate2Translator(model=str(broken), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(XltError, match="E245"):
        engine.translate(["Hello."], **EN_PT)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
    with pytest.raises(XltError, match="E221"):
        CTranslate2Translator(model=str(tmp_path / "none")).translate(["Hello."], **EN_PT)
    (tmp_path / "file").write_text("")
    with pytest.raises(XltError, match="E247"):
        CTranslate2Translator(model=str(seq2seq_model("nllb")), cache_dir=str(tmp_path / "file")).translate(
            ["Hello."], **EN_PT
        )


SLOW_CONVERSION = """
import sys, time
from pathlib import Path
from spacy_xlt.translation import ctranslate2_conversion as conversion

real = conversion.convert
def slow(model, folder, **settings):
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"half")
    print("started", flush=True)
    time.sleep(60)
conversion.convert = slow
conversion.converted(sys.argv[1], quantization="int8", cache=Path(sys.argv[2]))
"""


def test_killed_conversion_is_cleaned_up_and_done_again(seq2seq_model, tmp_path):
    command = [sys.executable, "-c", SLOW_CONVERSION, str(seq2seq_model("nllb")), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **WITHOUT_TORCH})
    assert process.stdout is not None and process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(list(tmp_path.glob(".*.part"))) == 1
    engine = CTranslate2Translator(model=str(seq2seq_model("nllb")), cache_dir=str(tmp_path))
    assert engine.translate(["Hello."], **EN_PT)[0].score is not None
    assert list(tmp_path.glob(".*.part")) == []
    assert len(list(tmp_path.glob("*/model.bin"))) == 1


def test_several_that_want_the_same_model_convert_it_once(seq2seq_model, tmp_path, monkeypatch):
    model, real, done = str(seq2seq_model("nllb")), conversion.convert, []

    def counted(name: str, folder: Path, **settings: Any) -> None:
        real(name, folder, **settings)
        done.append(folder)
        # Time enough for the others to come to the lock
        time.sleep(0.3)

    monkeypatch.setattr(conversion, "convert", counted)
    folders = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(conversion.converted(model, quantization="int8", cache=tmp_path))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and len(folders) == 3 and len(set(folders)) == 1


def test_damaged_converted_model_is_an_error(seq2seq_model, tmp_path):
    engine = CTranslate2Translator(model=str(seq2seq_model("nllb")), cache_dir=str(tmp_path))
    engine.translate(["Hi"], **EN_PT)
    (weights,) = tmp_path.glob("*/model.bin")
    weights.write_bytes(b"half")
    with pytest.raises(XltError, match="E246"):
        pickle.loads(pickle.dumps(engine)).translate(["Hi"], **EN_PT)


def test_missing_package_names_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(XltError, match=r"E106.*spacy-xlt\[ctranslate2\]"):
        make().translate(["Hello."], **EN_PT)
