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
import spacy
from helpers.paths import ASSETS

from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Attender, NBestTranslator, Scorer, Translator
from spacy_xlt.translation.ctranslate2 import converting
from spacy_xlt.translation.ctranslate2.engine import CTranslate2Translator

pytest.importorskip("ctranslate2", reason="pip install 'spacy-xlt[ctranslate2]'")

from helpers.tiny_seq2seq import Maker

# As long as the tiny models have places for
TEXTS = [
    line[:40]
    for line in (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[200:208]
]
FAMILIES = {
    "nllb": {},
    "nllb-slow": {},
    "m2m100": {},
    "small100": {},
    "mbart50": {},
    "opus-mt-en-pt": {},
    "opus-mt-en-itc": {},
    "madlad": {},
    "t5": {"prefix": "translate {source} to {target}: "},
}  # fmt: skip


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(maker: Maker, cache: Path):
    """Make the engine with a tiny model of a family, in 32-bit floats."""

    def make_one(name: str = "nllb", **settings: Any) -> CTranslate2Translator:
        settings = {"cache_dir": str(cache), "precision": "float32", "beam_size": 1, **FAMILIES[name], **settings}
        return CTranslate2Translator(model=str(maker(name)), **settings)

    return make_one


def generated(folder: Path, name: str, texts: list[str], engine: CTranslate2Translator) -> list[list[int]]:
    """What transformers' own greedy search writes, as ids without marks; cut off where the engine cuts."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    loaded, told = engine._direction("en", "pt")
    ids = {token: i for i, token in enumerate(loaded.source_tokens)}
    written = []
    for pieces in loaded.source.encode(texts):
        source = [*(ids[t] for t in told.before), *pieces.ids.tolist(), *(ids[t] for t in told.after)]
        start = [model.config.decoder_start_token_id, *(ids[t] for t in told.first)]
        with torch.no_grad():
            out = model.generate(
                torch.tensor([source]),
                decoder_input_ids=torch.tensor([start]),
                num_beams=1,
                do_sample=False,
                max_new_tokens=100,
                forced_bos_token_id=None,
            )[0].tolist()[len(start) :]
        written.append([i for i in out if i not in (ids[loaded.end], model.config.pad_token_id)])
    return written


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_output_is_that_of_transformers(make, maker, name):
    engine = make(name)
    expected = generated(maker(name), name, TEXTS, engine)
    loaded, _ = engine._direction("en", "pt")
    found = engine.translate(TEXTS, source="en", target="pt")
    compared = 0
    for translation, ids in zip(found, expected, strict=True):
        text = loaded.target.decode(ids)
        if "truncated" in translation.flags:
            # Cut off at another place; the last character may be half of one
            n = max(0, min(len(text), len(translation.text)) - 2)
            assert translation.text[:n] == text[:n]
            compared += n
        else:
            assert translation.text == text
            compared += 1
    assert compared > 3


@pytest.mark.parametrize("name", ["nllb", "opus-mt-en-itc", "t5"])
def test_scores_are_those_of_transformers(make, maker, name):
    from spacy_xlt.translation.seq2seq.engine import Seq2SeqTranslator

    other = Seq2SeqTranslator(model=str(maker(name)), precision="float32", **FAMILIES[name])
    targets = [*TEXTS[1:], ""]
    expected = other.score(TEXTS, targets, source="en", target="pt")
    found = make(name).score(TEXTS, targets, source="en", target="pt")
    assert found.dtype == np.float32 and found.shape == (len(TEXTS),)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert make(name).score([], [], source="en", target="pt").shape == (0,)


@pytest.mark.parametrize("name", ["nllb", "opus-mt-en-itc", "t5"])
def test_soft_alignments_are_those_of_transformers(make, maker, name):
    from spacy_xlt.translation.seq2seq.engine import Seq2SeqTranslator

    other = Seq2SeqTranslator(model=str(maker(name)), precision="float32", **FAMILIES[name])
    sources, targets = [*TEXTS, "", "One two"], [*TEXTS[1:], "Um", "Dois", ""]
    expected = other.attend(sources, targets, source="en", target="pt")
    found = make(name).attend(sources, targets, source="en", target="pt")
    assert [own.shape for own in found] == [own.shape for own in expected]
    assert max(own.max() for own in found if own.size) > 0.1
    for own, same in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, same, atol=1e-3)


def test_a_long_pair_is_scored_in_windows(make):
    engine = make("opus-mt-en-itc")
    found = engine.score([" ".join(TEXTS)], [" ".join(TEXTS)], source="en", target="pt")
    assert np.isfinite(found).all() and found[0] < engine.score(TEXTS[:1], TEXTS[:1], source="en", target="pt")[0]


@pytest.mark.parametrize(("name", "beam_size"), [("nllb", 1), ("nllb", 2), ("opus-mt-en-itc", 2), ("madlad", 3)])
def test_the_score_of_a_translation_is_its_mean_log_probability(make, name, beam_size):
    from spacy_xlt.translation.ctranslate2.search import Search, _search, _source

    model, told = make(name)._direction("en", "pt")
    parts = model.source.encode(TEXTS)
    begun = model.target.encode(["O primeiro"])[0].ids.tolist()
    found = _search(model, told, parts, [begun] * len(parts), Search(beam_size, 1, 4096, 192, 2.5))
    for part, (one,) in zip(parts, found, strict=True):
        target = [*told.first, *(model.target_tokens[i] for i in [*begun, *one.ids])]
        (scored,) = model.translator.score_batch([_source(model, told, part)], [target])
        own = scored.log_probs[-len(one.ids) - 1 :]
        assert one.score == pytest.approx(sum(own[:-1] if one.truncated else own), abs=0.01)


def test_it_is_registered_and_offers_what_it_can():
    engine = spacy.registry.misc.get("spacy_xlt.CTranslate2Translator.v1")()
    assert isinstance(engine, Translator) and isinstance(engine, NBestTranslator) and isinstance(engine, Scorer)
    assert isinstance(engine, Attender)
    assert "nllb-200" in engine.signature and "precision:auto" in engine.signature


def test_empty_texts_and_order(make):
    engine = make("nllb", batch_tokens=32)
    asked = ["", TEXTS[0], " \n", TEXTS[1], "\u200b", "😀"]
    found = engine.translate(asked, source="en", target="pt")
    assert [bool(one.text) for one in found][:3] == [False, True, False]
    assert found[0].score is None
    alone = [engine.translate([text], source="en", target="pt")[0].text for text in asked]
    assert [one.text for one in found] == alone
    assert engine.translate([], source="en", target="pt") == []


def test_n_best_are_different_and_sorted(make):
    best = make("madlad").translate_n_best(["Hello world.", ""], n=3, source="en", target="pt")
    texts = [one.text for one in best[0]]
    scores = [one.score for one in best[0]]
    assert 1 < len(texts) <= 3 and len(set(texts)) == len(texts)
    assert scores == sorted(scores, reverse=True)
    assert [one.text for one in best[1]] == [""]


@pytest.mark.parametrize("name", ["nllb", "opus-mt-en-pt", "madlad"])
def test_prefixes_are_kept(make, name):
    found = make(name).translate(TEXTS[:2], source="en", target="pt", prefixes=["O primeiro", ""])
    assert found[0].text.startswith("O primeiro")
    assert found[1].text == make(name).translate(TEXTS[1:2], source="en", target="pt")[0].text
    with pytest.raises(XltError, match="E220.*prefixes"):
        make(name).translate(TEXTS[:2], source="en", target="pt", prefixes=["O"])


def test_a_long_text_is_cut_into_parts_and_not_truncated_in_silence(make):
    engine = make("opus-mt-en-pt", max_pieces=40)
    (whole,) = engine.translate([" ".join(TEXTS)], source="en", target="pt")
    assert len(whole.text) > len(engine.translate(TEXTS[:1], source="en", target="pt")[0].text)
    (cut,) = make("nllb", max_length_factor=1).translate(TEXTS[:1], source="en", target="pt")
    assert cut.flags == ("truncated",)


def test_8_bit_integers_are_the_default_on_a_cpu(make, cache):
    engine = make("nllb", precision="auto")
    assert engine.translate(TEXTS[:1], source="en", target="pt")[0].text
    loaded, _ = engine._direction("en", "pt")
    assert loaded.translator.compute_type.startswith("int8")
    assert list(cache.glob("nllb-int8-*/model.bin"))


def test_another_process_finds_the_converted_model(make, monkeypatch):
    make().translate(["Hello."], source="en", target="pt")
    monkeypatch.setattr(converting, "_convert", None)
    again = pickle.loads(pickle.dumps(make()))
    assert again.translate(["Hello."], source="en", target="pt")[0].score is not None


def test_a_changed_model_is_converted_again(maker, tmp_path):
    shutil.copytree(maker("nllb"), tmp_path / "model")
    engine = CTranslate2Translator(model=str(tmp_path / "model"), cache_dir=str(tmp_path / "cache"))
    engine.translate(["Hello."], source="en", target="pt")
    os.utime(tmp_path / "model" / "model.safetensors", (1, 1))
    pickle.loads(pickle.dumps(engine)).translate(["Hello."], source="en", target="pt")
    assert len(list((tmp_path / "cache").glob("*/model.bin"))) == 2


def test_a_failed_conversion_leaves_nothing_and_says_why(maker, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(maker("nllb"), broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    engine = CTranslate2Translator(model=str(broken), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(XltError, match="E245"):
        engine.translate(["Hello."], source="en", target="pt")
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
    with pytest.raises(XltError, match="E221"):
        CTranslate2Translator(model=str(tmp_path / "none")).translate(["Hello."], source="en", target="pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(XltError, match="E247"):
        CTranslate2Translator(model=str(maker("nllb")), cache_dir=str(tmp_path / "file")).translate(
            ["Hello."], source="en", target="pt"
        )


SLOW_CONVERSION = """
import sys, time
from pathlib import Path
from spacy_xlt.translation.ctranslate2 import converting

real = converting._convert
def slow(model, folder, **settings):
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"half")
    print("started", flush=True)
    time.sleep(60)
converting._convert = slow
converting.converted(sys.argv[1], quantization="int8", cache=Path(sys.argv[2]))
"""


def test_a_killed_conversion_is_cleaned_up_and_done_again(maker, tmp_path):
    command = [sys.executable, "-c", SLOW_CONVERSION, str(maker("nllb")), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"started\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(list(tmp_path.glob(".*.part"))) == 1
    engine = CTranslate2Translator(model=str(maker("nllb")), cache_dir=str(tmp_path))
    assert engine.translate(["Hello."], source="en", target="pt")[0].score is not None
    assert list(tmp_path.glob(".*.part")) == []
    assert len(list(tmp_path.glob("*/model.bin"))) == 1


def test_several_that_want_the_same_model_convert_it_once(maker, tmp_path, monkeypatch):
    model, real, done = str(maker("nllb")), converting._convert, []

    def counted(name: str, folder: Path, **settings: Any) -> None:
        real(name, folder, **settings)
        done.append(folder)
        # Time enough for the others to come to the lock
        time.sleep(0.3)

    monkeypatch.setattr(converting, "_convert", counted)
    folders = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(converting.converted(model, quantization="int8", cache=tmp_path))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and len(folders) == 3 and len(set(folders)) == 1


def test_a_folder_of_the_converter_itself_is_taken(maker, make, cache, tmp_path):
    expected = make().translate(TEXTS[:2], source="en", target="pt")
    (own,) = cache.glob("nllb-float32-*")
    shutil.copytree(own, tmp_path / "ct2", ignore=shutil.ignore_patterns("hf", "spacy_xlt.json"))
    with pytest.raises(XltError, match="E246.*tokenizer"):
        CTranslate2Translator(model=str(tmp_path / "ct2")).translate(TEXTS[:1], source="en", target="pt")
    settings: dict[str, Any] = {"precision": "float32", "beam_size": 1, "tokenizer": str(maker("nllb"))}
    engine = CTranslate2Translator(model=str(tmp_path / "ct2"), **settings)
    assert engine.translate(TEXTS[:2], source="en", target="pt") == expected
    (tmp_path / "ct2" / "model.bin").write_bytes(b"half")
    with pytest.raises(XltError, match="E246"):
        CTranslate2Translator(model=str(tmp_path / "ct2"), **settings).translate(["Hi"], source="en", target="pt")


def test_an_unknown_direction_is_an_error(make):
    with pytest.raises(XltError, match="E201.*en to pt"):
        make("opus-mt-en-pt").translate(["Hello."], source="en", target="ja")


@pytest.mark.parametrize(
    "settings",
    [{"beam_size": 0}, {"batch_tokens": True}, {"precision": "int4"}, {"family": "x"}, {"directions": [["en"]]}],
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(XltError, match="E220"):
        CTranslate2Translator(**settings)


def test_a_precision_that_the_device_lacks_is_an_error(make):
    with pytest.raises(XltError, match="E244.*int8_float16|E244.*precision"):
        make(precision="int8_float16").translate(["Hello."], source="en", target="pt")


def test_a_missing_package_names_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(XltError, match=r"E241.*spacy-xlt\[ctranslate2\]"):
        make().translate(["Hello."], source="en", target="pt")


def test_documents_are_translated_in_one_and_two_processes(make, maker, cache):
    engine = {
        "@misc": "spacy_xlt.CTranslate2Translator.v1",
        "model": str(maker("opus-mt-en-pt")),
        "cache_dir": str(cache),
        "precision": "float32",
        "beam_size": 1,
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": engine, "target": "pt"})
    # The first one runs here, so that the processes are forked from one whose model is loaded
    docs = [[doc._.xlt["pt"].target.text for doc in nlp.pipe(TEXTS[:3], n_process=n)] for n in (1, 2)]
    assert docs[0] == docs[1] and any(docs[0])
