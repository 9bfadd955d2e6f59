"""Seq2SeqTranslator with a tiny model of each family, beside what `transformers` itself does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.paths import ASSETS

from spacy_xlt.translation.seq2seq import Seq2SeqModel, Seq2SeqTranslator

EN_PT = {"source": "en", "target": "pt"}
PREFIX = "translate {source} to {target}: "
FAMILIES = ["nllb", "nllb-slow", "m2m100", "mbart50", "opus-mt-en-pt", "opus-mt-en-itc", "madlad", "t5"]
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
    loaded: dict[str, Any] = {}

    def make_engine(name: str, **settings: Any) -> Seq2SeqTranslator:
        prefix = PREFIX if name == "t5" else None
        engine = Seq2SeqTranslator(
            model=str(seq2seq_model(name)), prefix=prefix, **{"max_length_factor": 1, **settings}
        )
        engine._loaded = loaded.setdefault(name, engine._loaded)
        return engine

    return make_engine


def load(engine: Seq2SeqTranslator) -> tuple[Any, Any, Seq2SeqModel]:
    """RETURNS: The transformers model, its tokenizer, and what it is told of the direction."""
    direction = engine._model("en", "pt", exact=False)
    ((loaded, text),) = engine._loaded.values()
    assert isinstance(direction, Seq2SeqModel)
    return loaded.model, text.tokenizer, direction


def own_inputs(name: str, tokenizer: Any, text: str) -> tuple[list[int], dict[str, Any]]:
    """What the family's own tokenizer and documentation say to pass to `generate`."""
    extra = {}
    if name in OWN:
        tokenizer.src_lang = OWN[name][0]
        token = OWN[name][1]
        forced = tokenizer.get_lang_id(token) if name == "m2m100" else tokenizer.convert_tokens_to_ids(token)
        extra = {"forced_bos_token_id": forced}
    return tokenizer(BEFORE.get(name, "") + text).input_ids, extra


def generate(engine: Seq2SeqTranslator, name: str, text: str, **settings: Any) -> tuple[str, bool]:
    """Plain `generate`. RETURNS (str, bool): The text, and whether it reached its end."""
    model, tokenizer, direction = load(engine)
    ids, extra = own_inputs(name, tokenizer, text)
    n_pieces = len(ids) - direction.n_marks
    out = model.generate(
        input_ids=torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        do_sample=False,
        max_new_tokens=n_pieces + 1 + 8 + len(extra),
        **extra,
        **settings,
    )[0].tolist()[1:]
    return direction.target.decode(out)[0], any(i in direction._ends for i in out)


@pytest.mark.parametrize("name", FAMILIES)
def test_inputs_are_those_of_the_family_s_own_tokenizer(name: str, make: Callable) -> None:
    model, tokenizer, direction = load(make(name))
    lines = (ASSETS / "ntrex" / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()[:8]
    for text, pieces in zip(lines, direction.source.encode(lines), strict=True):
        ids = [*direction._before, *pieces.ids.tolist(), direction._ends[0]]
        assert ids == own_inputs(name, tokenizer, text)[0]
    first = own_inputs(name, tokenizer, "a")[1].values()
    assert direction._written_before == [model.config.decoder_start_token_id, *first]


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_search_is_plain_generate_whatever_the_batch(name: str, make: Callable) -> None:
    engine = make(name, beam_size=1)
    expected = [generate(engine, name, text, num_beams=1) for text in TEXTS]
    for batch_tokens in (1, 4096):
        translations = make(name, beam_size=1, batch_tokens=batch_tokens).translate(TEXTS, **EN_PT)
        assert [(t.text, "truncated" not in t.flags) for t in translations] == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_beam_search_is_that_of_generate(name: str, make: Callable) -> None:
    engine = make(name, beam_size=3)
    translations = engine.translate(TEXTS, **EN_PT)
    for text, translation in zip(TEXTS, translations, strict=True):
        expected, whole = generate(engine, name, text, num_beams=3, early_stopping=False)
        # Where one is cut off and another not, ours takes the whole one
        if whole or "truncated" in translation.flags:
            assert translation.text == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_score_is_the_sum_of_the_log_softmax(name: str, make: Callable) -> None:
    engine = make(name)
    model, tokenizer, direction = load(engine)
    targets = ["A casa.", "", "Sim, o gato dorme hoje."]
    scores = engine.score(TEXTS[:3], targets, **EN_PT)
    for text, target, score in zip(TEXTS[:3], targets, scores.tolist(), strict=True):
        source = torch.tensor([own_inputs(name, tokenizer, text)[0]])
        pieces = [*direction.target.encode([target])[0].ids.tolist(), direction._ends[0]]
        written = [*direction._written_before, *pieces]
        with torch.no_grad():
            logits = model(input_ids=source, decoder_input_ids=torch.tensor([written[:-1]])).logits[0]
        table = logits.log_softmax(-1)[len(direction._written_before) - 1 :]
        assert score == pytest.approx(sum(float(table[i, piece]) for i, piece in enumerate(pieces)), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_attention_is_the_model_s_own_over_words(name: str, make: Callable) -> None:
    engine = make(name)
    model, _, direction = load(engine)
    source, target = ["The", "\u200b", "house"], ["A", "casa", "azul"]
    weights, empty = engine.attend([source, []], [target, ["a"]], **EN_PT)
    assert weights.shape == (3, 3) and weights.dtype == np.float32 and empty.shape == (0, 1)
    assert (weights.sum(axis=0) <= 1 + 1e-5).all() and weights.sum() > 0
    # By hand, for the last word of each: OPUS-MT is trained to align with the first head of its last layer
    read, written = direction.source.encode([" ".join(source)])[0], direction.target.encode([" ".join(target)])[0]
    ids = [*direction._before, *read.ids, direction._ends[0]]
    inputs = [*direction._written_before, *written.ids]
    before = model.config._attn_implementation
    model.config._attn_implementation = "eager"
    with torch.no_grad():
        attentions = model(
            input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([inputs]), output_attentions=True
        ).cross_attentions
    model.config._attn_implementation = before
    heads = attentions[-1][0, :1] if "opus" in name else attentions[-2][0]
    n_before = len(direction._written_before) - 1
    table = heads.mean(dim=0)[n_before : n_before + len(written)].numpy()
    rows = [i for i, (start, _) in enumerate(written.spans) if start >= len("A casa ")]
    columns = [len(direction._before) + j for j, (start, _) in enumerate(read.spans) if start >= len("The \u200b ")]
    assert weights[2, 2] == pytest.approx(table[np.ix_(rows, columns)].sum(axis=1).mean(), abs=1e-4)


def test_attend_leaves_the_model_as_it_was(make: Callable) -> None:
    """Attention was once switched on a live model, which another thread may be running."""
    engine = make("nllb")
    model, _, _ = load(engine)
    before = model.config._attn_implementation
    assert before != "eager"
    ((loaded, _),) = engine._loaded.values()
    assert loaded.transparent.config._attn_implementation == "eager"
    assert model.config._attn_implementation == before
    assert next(loaded.transparent.parameters()) is next(model.parameters())


def test_prefix_of_t5_s_own_is_known(make: Callable) -> None:
    engine = make("t5-tasks")
    engine.translate(["A cat."], source="en", target="de")
    ((_, text),) = engine._loaded.values()
    assert text.marks("en", "de").before == text.tokenizer("translate English to German:").input_ids[:-1]


@pytest.mark.parametrize("name", ["nllb", "m2m100", "opus-mt-en-pt", "t5"])
def test_what_looks_like_a_mark_in_a_text_is_text(name: str, make: Callable) -> None:
    _, _, direction = load(make(name))
    (pieces,) = direction.source.encode(["a </s> <pad> b"])
    assert not {*direction._ends, direction._pad} & set(pieces.ids.tolist())
    assert len(pieces.spans) == len(pieces.ids) and pieces.spans[-1].tolist() == [13, 14]
