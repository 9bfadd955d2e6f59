"""Ranking annotated corpora as sources for a target language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from spacy.tokens import Doc
from thinc.api import Config
from typer.testing import CliRunner

from spacy_xlt.alignment.encoder import Encoder
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.teaching.ranking import Corpus, distance, rank_sources

NEAR = ["Maria mora em Lisboa", "o Banco Central de Lisboa", "trabalha no Banco"]
FAR = ["works 0123 http : //", "z y x w v u t s r q p", "? . - _ /"]


@pytest.fixture(scope="module")
def encoder(teachers: dict[str, Path]) -> Encoder:
    return Encoder(str(teachers["encoder"]), 2)


@pytest.fixture
def corpus(make_doc: Callable[..., Doc]) -> Callable[..., Corpus]:
    def make(name: str, texts: list[str], *ents: tuple[int, int, str], lang: str = "xx") -> Corpus:
        docs = [make_doc(text, *((ents or [(0, 1, "PER")]) if i == 0 else ())) for i, text in enumerate(texts)]
        return Corpus(name, lang, f"{name}.spacy").add(docs)

    return make


def test_the_source_whose_tokens_are_nearest_is_first(encoder: Encoder, corpus: Callable[..., Corpus]) -> None:
    raw = corpus("raw", NEAR * 9, lang="pt")
    sources = [corpus("far", FAR, lang="de"), corpus("near", NEAR[::-1] + FAR, lang="pt")]
    ranked, n_words = rank_sources(raw, sources, encoder, n_sentences=25, n_words=12)
    assert [one.corpus.name for one in ranked] == ["near", "far"] and n_words == 12
    assert ranked[0].neighbours > 0.6 and sum(one.neighbours for one in ranked) == pytest.approx(1)
    assert [one.distance for one in ranked] == [0, distance("pt", "de")]


def test_every_source_gives_as_many_words_whatever_its_size(encoder: Encoder, corpus: Callable[..., Corpus]) -> None:
    raw = corpus("raw", NEAR * 9)
    small, large = corpus("small", NEAR[:1]), corpus("large", NEAR * 50)
    ranked, n_words = rank_sources(raw, [small, large], encoder, n_sentences=25, n_words=5000)
    assert n_words == small.n_words == 4
    assert {one.corpus.name: one.corpus.n_words for one in ranked} == {"small": 4, "large": 600}
    assert sum(map(len, large.draw(4))) == 4 and large.draw(4) == large.draw(4)


def test_what_is_shared_with_the_target_text_is_counted(encoder: Encoder, corpus: Callable[..., Corpus]) -> None:
    raw = corpus("raw", NEAR * 9)
    ents = [(0, 1, "PER"), (1, 3, "ORG")]
    one = corpus("one", ["Maria Banco Central mora"], *ents)
    other = corpus("other", ["maria Lisboa Central em"], *ents)
    ranked, _ = rank_sources(raw, [one, other], encoder, n_sentences=25, n_words=100)
    shared = {r.corpus.name: (r.entities, round(r.vocabulary * 10)) for r in ranked}
    # Of ten words four; "Banco Central" is there, and "Lisboa Central" is not
    assert shared == {"one": (1.0, 4), "other": (0.5, 4)}


def test_few_sentences_are_warned_of_and_none_refused(encoder: Encoder, corpus: Callable[..., Corpus]) -> None:
    sources = [corpus("one", NEAR), corpus("two", FAR)]
    with pytest.warns(XltWarning, match="W593.*3 sentences"):
        rank_sources(corpus("raw", NEAR), sources, encoder, n_sentences=25, n_words=10)
    with pytest.raises(XltError, match="E503.*two.spacy"):
        rank_sources(corpus("raw", NEAR), [sources[0], corpus("two", [])], encoder, n_sentences=25, n_words=10)


def test_the_command_prints_a_table_and_sources_for_a_training(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], teachers: dict[str, Path]
) -> None:
    (tmp_path / "raw.txt").write_text("\n".join(NEAR * 9))
    near = write_corpus([make_doc(text, (0, 1, "PER")) for text in NEAR], "near.spacy")
    far = write_corpus([make_doc(text, (0, 1, "PER")) for text in FAR], "far-away.spacy")
    model = ["--model", str(teachers["encoder"]), "--layer", "2", "--lang", "pt"]
    call = ["rank-sources", str(tmp_path / "raw.txt"), str(far), f"por={near}", *model]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert "far_away" in result.output and "neighbours %" in result.output
    config = Config().from_str(result.output[result.output.index("[corpora]") :])["corpora"]["train"]
    assert config["use"] == ["pt"] and list(config["sources"]) == ["pt", "far_away"]
    assert config["sources"]["pt"] == {"path": str(near), "lang": "pt", "kind": "gold"}
    plain = write_corpus([make_doc(text) for text in NEAR], "plain.spacy")
    for corpora, code in (([far], "E510"), ([f"qq={near}", far], "E010"), ([near, plain], "E594")):
        bad = [*call[:2], *map(str, corpora), *model]
        assert code in CliRunner().invoke(app, bad).output
