"""Seq2SeqTranslator with a tiny model of each family, beside what `transformers` itself does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ASSETS

from spacy_xlt.translation.seq2seq.engine import Seq2SeqTranslator, make_seq2seq_translator

EN_PT = {"source": "en", "target": "pt"}
PREFIX = "translate {source} to {target}: "
FAMILIES = ["nllb", "nllb-slow", "m2m100", "small100", "mbart50", "opus-mt-en-pt", "opus-mt-en-itc", "madlad", "t5"]
# Their languages, as their tokenizers call them
OWN = {
    "nllb": ("eng_Latn", "por_Latn"),
    "nllb-slow": ("eng_Latn", "por_Latn"),
    "m2m100": ("en", "pt"),
    "mbart50": ("en_XX", "pt_XX"),
}
BEFORE = {"opus-mt-en-itc": ">>por<<", "madlad": "<2pt> ", "t5": "translate English to Portuguese: "}
TEXTS = [
    "Yes.",
    "The house is blue and old.",
    "Welsh AMs worried about muppets",
    "Two!",
]

pytestmark = pytest.mark.filterwarnings("ignore:Recommended:UserWarning")


@pytest.fixture(scope="module")
def make(seq2seq_model: Callable[[str], Path]) -> Callable[..., Seq2SeqTranslator]:
    """Make the engine with the tiny model of this name; each is loaded once."""
    made: dict[str, Any] = {}

    def make_one(name: str, **settings: Any) -> Seq2SeqTranslator:
        prefix = PREFIX if name == "t5" else None
        engine = make_seq2seq_translator(
            model=str(seq2seq_model(name)), prefix=prefix, **{"max_length_factor": 1, **settings}
        )
        if name not in made:
            made[name] = engine._load()
        engine._loaded = made[name]
        return engine

    return make_one


def own_inputs(name: str, tokenizer: Any, text: str) -> tuple[list[int], dict[str, Any]]:
    """What the family's own tokenizer and documentation say to pass to `generate`."""
    extra = {}
    if name == "small100":
        # As its tokenizer's code does: the target's code before the source
        ids = tokenizer(text, add_special_tokens=False).input_ids
        return [tokenizer.get_lang_id("pt"), *ids, tokenizer.eos_token_id], {}
    if name in OWN:
        tokenizer.src_lang = OWN[name][0]
        token = OWN[name][1]
        forced = tokenizer.get_lang_id(token) if name == "m2m100" else tokenizer.convert_tokens_to_ids(token)
        extra = {"forced_bos_token_id": forced}
    return tokenizer(BEFORE.get(name, "") + text).input_ids, extra


def generate(engine: Seq2SeqTranslator, name: str, text: str, **settings: Any) -> tuple[str, bool]:
    """Plain `generate`. RETURNS (str, bool): The text, and whether it reached its end."""
    loaded = engine._loaded
    assert loaded is not None
    ids, extra = own_inputs(name, loaded.tokenizer, text)
    n_after = len(loaded.markers(**EN_PT).after)
    n_own = len(ids) - len(loaded.markers(**EN_PT).before) - n_after
    limit = n_own + n_after + 8 + len(extra)
    out = loaded.model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=limit,
        **extra,
        **settings,
    )[0].tolist()[1:]
    return loaded.target.decode(out), any(i in loaded.ends for i in out)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_source_has_the_pieces_of_the_family_s_own_tokenizer(name: str, make: Callable) -> None:
    loaded = make(name)._load()
    markers = loaded.markers(**EN_PT)
    lines = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:8]
    for text, pieces in zip(lines, loaded.source.encode(lines), strict=True):
        assert [*markers.before, *pieces.ids.tolist(), *markers.after] == own_inputs(name, loaded.tokenizer, text)[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_piece_is_the_family_s_own(name: str, make: Callable) -> None:
    loaded = make(name)._load()
    markers = loaded.markers(**EN_PT)
    forced = own_inputs(name, loaded.tokenizer, "a")[1]
    assert markers.first == list(forced.values())
    assert markers.start == loaded.model.config.decoder_start_token_id


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_search_is_plain_generate_whatever_the_batch(name: str, make: Callable) -> None:
    engine = make(name, beam_size=1)
    expected = [generate(engine, name, text, num_beams=1) for text in TEXTS]
    for batch_tokens in (1, 4096):
        found = make(name, beam_size=1, batch_tokens=batch_tokens).translate(TEXTS, **EN_PT)
        assert [(t.text, "truncated" not in t.flags) for t in found] == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_beam_search_is_that_of_generate(name: str, make: Callable) -> None:
    engine = make(name, beam_size=3)
    found = engine.translate(TEXTS, **EN_PT)
    for text, translation in zip(TEXTS, found, strict=True):
        expected, whole = generate(engine, name, text, num_beams=3, early_stopping=False)
        # Where one is cut off and another not, ours takes the whole one
        if whole or "truncated" in translation.flags:
            assert translation.text == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_a_score_is_the_sum_of_the_log_softmax(name: str, make: Callable) -> None:
    engine = make(name)
    loaded = engine._load()
    targets = ["A casa.", "", "Sim, o gato dorme hoje."]
    scores = engine.score(TEXTS[:3], targets, **EN_PT)
    markers = loaded.markers(**EN_PT)
    for text, target, score in zip(TEXTS[:3], targets, scores.tolist(), strict=True):
        source = torch.tensor([own_inputs(name, loaded.tokenizer, text)[0]])
        own = [*loaded.target.encode([target])[0].ids.tolist(), loaded.ends[0]]
        written = [markers.start, *markers.first, *own]
        with torch.no_grad():
            logits = loaded.model(input_ids=source, decoder_input_ids=torch.tensor([written[:-1]])).logits[0]
        table = logits.log_softmax(-1)[len(markers.first) :]
        assert score == pytest.approx(sum(float(table[i, piece]) for i, piece in enumerate(own)), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_attention_is_the_model_s_own_over_words(name: str, make: Callable) -> None:
    engine = make(name, attention_layer=0, attention_heads=[1])
    loaded = engine._load()
    source, target = ["The", "\u200b", "house"], ["A", "casa", "azul"]
    weights, empty = engine.attend([source, []], [target, ["a"]], **EN_PT)
    assert weights.shape == (3, 3) and weights.dtype == np.float32 and empty.shape == (0, 1)
    assert (weights.sum(axis=0) <= 1 + 1e-5).all() and weights.sum() > 0
    # By hand, for the last word of each
    markers = loaded.markers(**EN_PT)
    read, written = loaded.source.encode([" ".join(source)])[0], loaded.target.encode([" ".join(target)])[0]
    ids = [*markers.before, *read.ids, *markers.after]
    inputs = [markers.start, *markers.first, *written.ids]
    before = loaded.model.config._attn_implementation
    loaded.model.config._attn_implementation = "eager"
    with torch.no_grad():
        attentions = loaded.model(
            input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([inputs]), output_attentions=True
        ).cross_attentions
    loaded.model.config._attn_implementation = before
    table = attentions[0][0, 1, len(markers.first) : len(markers.first) + len(written)].numpy()
    rows = [i for i, (start, _) in enumerate(written.spans) if start >= len("A casa ")]
    columns = [len(markers.before) + j for j, (start, _) in enumerate(read.spans) if start >= len("The \u200b ")]
    assert weights[2, 2] == pytest.approx(table[np.ix_(rows, columns)].sum(axis=1).mean(), abs=1e-4)


def test_t5_s_own_prefix_is_found(make: Callable) -> None:
    loaded = make("t5-tasks")._load()
    markers = loaded.markers("en", "de")
    assert markers.before == loaded.tokenizer("translate English to German:").input_ids[:-1]


def test_code_that_comes_with_a_model_is_not_run(make: Callable, seq2seq_model: Callable[[str], Path]) -> None:
    assert "RuntimeError" in (seq2seq_model("small100") / "tokenization_small100.py").read_text()
    loaded = make("small100")._load()
    assert loaded.codes.family == "small100" and type(loaded.tokenizer).__name__ == "M2M100Tokenizer"


@pytest.mark.parametrize("name", ["nllb", "m2m100", "opus-mt-en-pt", "t5"])
def test_what_looks_like_a_mark_in_a_text_is_text(name: str, make: Callable) -> None:
    loaded = make(name)._load()
    (pieces,) = loaded.source.encode(["a </s> <pad> b"])
    assert not {*loaded.ends, loaded.pad} & set(pieces.ids.tolist())
    assert len(pieces.spans) == len(pieces.ids) and pieces.spans[-1].tolist() == [13, 14]
