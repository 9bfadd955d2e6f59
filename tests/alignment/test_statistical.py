"""StatisticalAligner: what it learns from parallel text, its scores, and how it is kept."""

import builtins
import pickle
import warnings

import numpy as np
import pytest
import spacy
from helpers.ntrex import ntrex_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_xlt import Bitext
from spacy_xlt.alignment.lexical import LexicalModel
from spacy_xlt.alignment.statistical import StatisticalAligner
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Aligner

pytest.importorskip("thot", reason="the extra `statistical` is not installed")
WORDS = {"one": "um", "two": "dois", "three": "tres", "red": "vermelho", "cat": "gato", "dog": "cachorro", "sees": "ve"}


def _toy(n=60):
    """Sentences of a language whose words correspond one to one, in the order turned around."""
    random = np.random.default_rng(0)
    for _ in range(n):
        source = random.choice(list(WORDS), size=random.integers(2, 6)).tolist()
        yield source, [WORDS[word] for word in reversed(source)]


@pytest.fixture(scope="module")
def toy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XltWarning)
        return StatisticalAligner(prefix=None).fit(_toy())


@pytest.mark.parametrize("model", ["fast_align", "eflomal"])
@pytest.mark.filterwarnings("ignore:.*W350")
def test_words_that_come_together_are_linked(model):
    engine = StatisticalAligner(model=model, prefix=None, threshold=0.2)
    assert isinstance(engine, Aligner) and engine.needs_fit
    found = engine.fit(_toy(200)).align([(["red", "cat"], ["gato", "vermelho"]), ([], ["um"]), ([" "], ["um"])])
    assert found[0].links.tolist() == [[0, 1], [1, 0]]
    assert (found[0].scores > 0.2).all() and (found[0].scores <= 1).all()
    assert len(found[1]) == len(found[2]) == 0
    assert not engine.needs_fit and "learned from:200" in engine.signature and model in engine.signature


@pytest.mark.filterwarnings("ignore:.*W350")
def test_the_probabilities_are_those_of_the_package():
    direction = LexicalModel("fast_align")
    pairs = [(a, b) for a, b in _toy(80)]
    direction.fit(pairs)
    model = direction._model
    source, target = ["one", "red", "cat", "dog", "dog"], ["cachorro", "gato", "um"]
    m, n = len(source), len(target)
    expected = np.zeros((m + 1, n))
    for i, word in enumerate(["", *source]):
        index = model.get_src_word_index(word) if word else 0
        for j, other in enumerate(target):
            place = model.alignment_prob(j + 1, m, n, i)
            expected[i, j] = place * max(1e-9, model.translation_prob(index, model.get_trg_word_index(other)))
    expected /= expected.sum(axis=0)
    assert direction.weights(source, target) == pytest.approx(expected[1:], abs=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    source=st.lists(st.sampled_from([*WORDS, "new", " ", "\u200b", "a b"]), max_size=8),
    target=st.lists(st.sampled_from([*WORDS.values(), "new", "", "\t"]), max_size=8),
)
def test_any_tokens_give_links_inside_both_texts(toy, source, target):
    found = toy.align([(source, target), (target, source)])
    for alignment, (a, b) in zip(found, ((source, target), (target, source)), strict=True):
        alignment.check(len(a), len(b))
        assert all(a[i].strip() and b[j].strip() for i, j in alignment.links.tolist())
        assert np.isfinite(alignment.scores).all() and (alignment.scores <= 1.0001).all()


def test_words_never_seen_are_linked_where_they_are_the_same(toy):
    found = toy.align([(["cat", "Zanzibar"], ["Zanzibar", "gato"])])[0]
    assert found.links.tolist() == [[0, 1], [1, 0]]


@pytest.mark.filterwarnings("ignore:.*W350")
def test_capitals_and_endings_do_not_count():
    pairs = [([w + e for w in a], [w.upper() for w in b]) for (a, b), e in zip(_toy(90), "sdr" * 30, strict=True)]
    pair = (["Redness", "CATS"], ["gato", "Vermelho"])
    engine = StatisticalAligner(prefix=3).fit(pairs)
    assert engine.align([pair])[0].links.tolist() == [[0, 1], [1, 0]]


def test_real_text_teaches_real_words():
    engine = StatisticalAligner().fit(ntrex_pairs(1200))
    pair = ("The president of Brazil said this week that the police .".split(),
            "O presidente do Brasil disse esta semana que a polícia .".split())  # fmt: skip
    found = engine.align([pair])[0]
    words = {(pair[0][i], pair[1][j]) for i, j in found.links.tolist()}
    assert {("president", "presidente"), ("Brazil", "Brasil"), ("week", "semana"), ("police", "polícia")} <= words
    assert "learned from:1200" in engine.signature


@pytest.mark.filterwarnings("ignore:.*W350")
def test_the_same_text_gives_the_same_links_each_time():
    pairs = list(_toy(100))
    first, second = (StatisticalAligner(model="eflomal").fit(pairs) for _ in range(2))
    assert first.align(pairs) == second.align(pairs)


def test_what_was_learned_is_saved_and_travels(toy, tmp_path):
    pair = (["red", "cat", "sees"], ["ve", "gato", "vermelho"])
    found = toy.align([pair])
    toy.to_disk(tmp_path / "saved")
    again = StatisticalAligner(prefix=None, path=str(tmp_path / "saved"))
    assert again.align([pair]) == found and "learned from:60" in again.signature
    assert pickle.loads(pickle.dumps(toy)).align([pair]) == found
    assert len(pickle.dumps(again)) < 2000 and pickle.loads(pickle.dumps(again)).align([pair]) == found
    with pytest.raises(XltError, match="E361.*prefix was None"):
        StatisticalAligner(prefix=4).from_disk(tmp_path / "saved")
    with pytest.raises(XltError, match="E361.*settings.json"):
        StatisticalAligner(path=str(tmp_path / "none")).align([pair])
    for file in (tmp_path / "saved" / "forward").iterdir():
        file.unlink()
    with pytest.raises(XltError, match="E361.*missing"):
        StatisticalAligner(prefix=None, path=str(tmp_path / "saved")).align([pair])


def test_a_pipeline_keeps_what_its_aligner_learned(tmp_path, make_doc):
    nlp = spacy.blank("en")
    engine = {"@misc": "spacy_xlt.StatisticalAligner.v1", "prefix": None}
    nlp.add_pipe("xlt_aligner", config={"engine": engine})
    with pytest.warns(XltWarning, match="W350.*60 sentence pairs"):
        nlp.get_pipe("xlt_aligner").engine.fit(_toy())
    nlp.to_disk(tmp_path / "nlp")
    loaded = spacy.load(tmp_path / "nlp")

    def links(pipeline):
        doc = make_doc("red cat")
        doc._.xlt["pt"] = Bitext(doc, make_doc("gato vermelho", lang="pt"))
        return pipeline(doc)._.xlt["pt"].alignment

    assert links(loaded) == links(nlp) and len(links(nlp)) == 2


def test_lines_and_bitexts_are_read(tmp_path, write_corpus):
    pairs = list(_toy(50))
    (tmp_path / "c.txt").write_text("".join(f"{' '.join(a)} ||| {' '.join(b)}\n" for a, b in pairs))
    docs, (en, pt) = [], (spacy.blank(lang).vocab for lang in ("en", "pt"))
    for a, b in pairs:
        doc = Doc(en, words=a)
        doc._.xlt["pt"] = Bitext(doc, Doc(pt, words=b))
        doc._.xlt["es"] = Bitext(doc, Doc(pt, words=["nada"]))
        docs.append(doc)
    spacy_file = write_corpus(docs, "c.spacy")
    found = []
    for item in (tmp_path / "c.txt", spacy_file):
        engine = StatisticalAligner(prefix=None, corpus=[str(item)], target="pt")
        with pytest.warns(XltWarning, match="W350.*50 sentence pairs"):
            found.append(engine.align(pairs[:5]))
    assert found[0] == found[1] and len(found[0][0])


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("c.txt", "a ||| b\nc\n", r"E350.*line 2: 0 times"),
        ("c.txt", "\n\n", "E362.*`corpus`"),
        ("c.txt", None, "E502"),
    ],
)
def test_corpora_that_cannot_be_used_are_errors(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(XltError, match=message):
        StatisticalAligner(corpus=[str(tmp_path / name)]).align([(["a"], ["b"])])


def test_without_the_package_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("thot"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(XltError, match=r"E106.*pip install 'spacy-xlt\[statistical\]'"):
        StatisticalAligner().align([(["a"], ["b"])])


@pytest.mark.filterwarnings("ignore:.*W350")
def test_pairs_beyond_a_models_limit_are_told_and_long_ones_aligned_where_there_is_none():
    long = (["one", "red"] * 600, ["um", "vermelho"] * 600)
    with pytest.warns(XltWarning, match="W351.*1 pairs of more than 1024"):
        assert len(StatisticalAligner(model="eflomal").fit(_toy()).align([long])[0]) == 0
    assert len(StatisticalAligner(threshold=1e-4, prefix=None).fit(_toy()).align([long])[0])


def test_command_learns_from_all_lines_before_it_aligns(tmp_path):
    config = tmp_path / "c.cfg"
    config.write_text(
        '[nlp]\nlang = "xx"\npipeline = ["xlt_aligner"]\n[components]\n'
        '[components.xlt_aligner]\nfactory = "xlt_aligner"\n'
        '[components.xlt_aligner.engine]\n@misc = "spacy_xlt.StatisticalAligner.v1"\n'
    )
    # More lines than are aligned at a time
    pairs = list(_toy(600))
    joined, out = tmp_path / "in", tmp_path / "out"
    joined.write_text("".join(f"{' '.join(a)} ||| {' '.join(b)}\n" for a, b in pairs))
    result = CliRunner().invoke(app, ["align", str(joined), "-o", str(out), "--config", str(config)])
    assert result.exit_code == 0, result.output
    lines = out.read_text().split("\n")
    assert len(lines) == 601 and "600 sentence pairs" in " ".join(result.output.split())
    with pytest.warns(XltWarning, match="W350"):
        engine = StatisticalAligner().fit(pairs)
    assert lines[:-1] == [alignment.to_pharaoh() for alignment in engine.align(pairs)]


@pytest.mark.filterwarnings("ignore:.*W350")
def test_a_very_long_pair_is_aligned_in_parts():
    words = [f"w{i % 50}" for i in range(3000)]
    engine = StatisticalAligner(threshold=1e-4, prefix=None).fit(
        [(words[:20], words[:20]), (words[20:50], words[20:50])]
    )
    (found,) = engine.align([(words, words)])
    diagonal = [(i, j) for i, j in found.links.tolist() if i == j]
    assert len(diagonal) > 2900
