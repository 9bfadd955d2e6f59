"""Raw text annotated by pipelines: what is kept, what is missing, and the folder as a source of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import spacy
from click.testing import Result
from helpers.tiny_ner import make_ner
from helpers.tiny_pipelines import saved_ruler
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError
from spacy_xlt.ner.xlt_ner import get_soft_labels
from spacy_xlt.probabilities import SpanKey
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.teaching.label import LabelSettings, combine_views, decide
from spacy_xlt.teaching.teachers import Found
from spacy_xlt.training.readers import MixedCorpus

TEXTS = ["Maria lives in Lisbon .", "Nobody is there .", "The Bank of Lisbon is in New York ."]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["label", *map(str, arguments)])


def label(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.txt"
    path.write_text("\n\n".join(TEXTS) + "\n")
    return path


def found(*, silent: tuple[int, ...] = (), **scores: float) -> Found:
    """From `PER_0_1=0.9`."""
    spans = {}
    for name, score in scores.items():
        kind, start, end = name.split("_")
        spans[SpanKey(int(start), int(end), kind)] = score
    return Found(spans, frozenset(silent), np.zeros((0, 0), dtype=np.float16))


def test_sure_entities_are_kept_and_the_words_of_doubtful_ones_are_missing(make_doc: Callable[..., Doc]) -> None:
    doc = make_doc("a b c d e f g")
    settings = LabelSettings.of(sure=0.9, doubtful=None)
    scores = found(PER_0_2=0.92, PER_0_1=0.06, LOC_2_3=0.6, ORG_3_4=0.11, LOC_5_6=0.06, silent=(6,))
    decision = decide(doc, scores, settings)
    assert decision.kept == [(SpanKey(0, 2, "PER"), 0.92)]
    assert decision.missing == {2, 3, 6}
    assert set(decision.lost.values()) == {"doubtful"}
    # A word that is probably in some entity, and surely in none of them
    assert decide(doc, found(PER_0_1=0.08, LOC_0_1=0.08, ORG_4_5=0.08), settings).missing == {0}


def test_a_doubtful_entity_does_not_reach_into_a_sure_one(make_doc: Callable[..., Doc]) -> None:
    settings = LabelSettings.of(sure=0.8, doubtful=0.1)
    decision = decide(make_doc("a b c d"), found(PER_0_2=0.85, PER_1_4=0.15), settings)
    assert decision.kept == [(SpanKey(0, 2, "PER"), 0.85)] and decision.missing == {2, 3}


def test_white_space_at_the_ends_is_no_part_of_an_entity() -> None:
    doc = Doc(spacy.blank("en").vocab, words=["a", "\n", "b"])
    decision = decide(doc, found(PER_0_1=0.5, PER_0_2=0.45, LOC_1_2=0.95), LabelSettings.of(sure=0.9, doubtful=None))
    assert decision.kept == [(SpanKey(0, 1, "PER"), pytest.approx(0.95))] and not decision.missing


def test_of_two_views_what_both_find_is_kept(make_doc: Callable[..., Doc]) -> None:
    doc = make_doc("a b c d e f", (0, 1, "PER"), (2, 3, "LOC"), (3, 4, "LOC"))
    scores = found(PER_0_1=0.6, LOC_2_3=0.4, ORG_3_4=0.7, PER_4_5=0.8)
    decision = decide(doc, scores, LabelSettings.of(sure=None, doubtful=None, agree=True))
    assert decision.kept == [(SpanKey(0, 1, "PER"), 0.6)] and decision.missing == {2, 3, 4}
    assert sorted(decision.lost.values()) == ["not found", "not found", "not projected", "not projected"]


def views(**scores: float) -> dict[SpanKey, float]:
    return found(**scores).scores


def test_what_both_views_have_keeps_the_score_of_the_pipeline() -> None:
    kept, lost = combine_views(views(PER_0_1=0.6, LOC_3_4=0.9), views(PER_0_1=0.8, ORG_6_7=0.7), either=False)
    assert kept == views(PER_0_1=0.6)
    assert lost == {SpanKey(3, 4, "LOC"): "not projected", SpanKey(6, 7, "ORG"): "not found"}


def test_what_either_view_has_is_kept() -> None:
    kept, lost = combine_views(views(PER_0_1=0.6, LOC_3_4=0.9), views(PER_0_1=0.8, ORG_6_7=0.7), either=True)
    assert kept == views(PER_0_1=0.6, LOC_3_4=0.9, ORG_6_7=0.7) and not lost


def test_of_overlapping_views_the_higher_score_stays_and_what_both_have_before_it() -> None:
    kept, lost = combine_views(views(PER_0_2=0.9, LOC_4_6=0.7), views(PER_1_3=0.8, LOC_5_7=0.8), either=True)
    assert kept == views(PER_0_2=0.9, LOC_5_7=0.8)
    assert lost == {SpanKey(1, 3, "PER"): "not found", SpanKey(4, 6, "LOC"): "not projected"}


def test_two_labels_for_the_same_words_are_none() -> None:
    kept, lost = combine_views(views(PER_0_2=0.9), views(ORG_0_2=0.4), either=True)
    assert not kept and set(lost.values()) == {"not found", "not projected"}


def test_what_was_projected_is_kept_beside_what_the_pipeline_doubts(make_doc: Callable[..., Doc]) -> None:
    doc = make_doc("a b c d e f", (0, 1, "PER"), (2, 3, "LOC"))
    scores = found(PER_0_1=0.6, ORG_2_3=0.95, PER_4_5=0.95, LOC_5_6=0.5)
    decision = decide(doc, scores, LabelSettings.of(sure=None, doubtful=None, either=True))
    # Projected entities without a score of the projector are certain
    assert decision.kept == [(SpanKey(0, 1, "PER"), 1.0), (SpanKey(4, 5, "PER"), 0.95)]
    assert decision.missing == {2, 5}
    assert decision.views == {"only projected": 1, "only found": 1}


@pytest.mark.parametrize(("sure", "doubtful"), [(0.4, None), (1.1, None), (0.8, 0.9), (0.8, -1)])
def test_probabilities_out_of_range_are_refused(sure: float, doubtful: float | None) -> None:
    with pytest.raises(XltError, match="E510.*--(sure|doubtful)"):
        LabelSettings.of(sure=sure, doubtful=doubtful)


def test_lines_of_text_become_a_source_of_a_training(tmp_path: Path, raw: Path, teachers: dict[str, Path]) -> None:
    printed = label(teachers["good"], raw, tmp_path / "out")
    assert "3 documents, 3 sentences; entities: LOC" in printed
    first, second, third = read_docs(tmp_path / "out")
    assert ents(first) == [("Maria", "PER"), ("Lisbon", "LOC")] and not missing_ranges(first)
    assert ents(second) == [] and not missing_ranges(second)
    assert all(score >= 0.9 for score in first.spans["xlt_ents"].attrs["scores"])
    block = {"path": str(tmp_path / "out"), "lang": "en", "kind": "self_labelled", "min_score": 0.5}
    corpus = MixedCorpus(sources={"taught": block}, check_language=False)
    assert len(list(corpus(spacy.blank("en")))) == 3


def test_distributions_are_learnt_by_another_pipeline(tmp_path: Path, raw: Path, teachers: dict[str, Path]) -> None:
    label(teachers["good"], teachers["fair"], raw, tmp_path / "out", "--soft")
    block = {"path": str(tmp_path / "out"), "lang": "en", "kind": "self_labelled"}
    student = make_ner(teachers["encoder"])
    examples = list(MixedCorpus(sources={"taught": block}, check_language=False)(student))
    gold = student.get_pipe("xlt_ner").gold(examples)
    assert gold.soft is not None and gold.soft.sum() == pytest.approx(
        sum(len(eg.reference) for eg in examples), rel=0.01
    )


def test_where_views_differ_there_are_no_distributions(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], teachers: dict[str, Path]
) -> None:
    text = TEXTS[0]
    projected = write_corpus([make_doc(text, (0, 1, "PER")), make_doc(text, (0, 1, "PER"), (3, 4, "LOC"))])
    label(teachers["good"], projected, tmp_path / "out", "--agree", "--soft")
    first, second = read_docs(tmp_path / "out")
    assert (ents(first), missing_ranges(first)) == ([("Maria", "PER")], [(3, 4)])
    assert (ents(second), missing_ranges(second)) == ([("Maria", "PER"), ("Lisbon", "LOC")], [])
    soft = get_soft_labels(first)
    assert soft is not None and (soft[1].sum(axis=1) > 0.5).tolist() == [True, True, True, False, True]


def test_a_self_labelled_source_may_lack_a_label_and_others_may_not(
    make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    nlp = spacy.blank("en")
    gold = write_corpus([make_doc("Ana lives in Porto", (0, 1, "PER"), (3, 4, "LOC"))], "gold.spacy")
    sure = write_corpus([make_doc("Eva lives there", (0, 1, "PER"))], "sure.spacy")
    sources = {
        "gold": {"path": str(gold), "lang": "en"},
        "taught": {"path": str(sure), "lang": "en", "kind": "self_labelled"},
    }
    assert len(list(MixedCorpus(sources=sources, check_language=False)(nlp))) == 2
    sources["taught"]["kind"] = "projected"
    with pytest.raises(XltError, match="E613"):
        list(MixedCorpus(sources=sources, check_language=False)(spacy.blank("en")))


def test_annotation_of_the_raw_text_is_not_read(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    gold = make_doc("Ana lives in Porto", (0, 1, "PER"), (3, 4, "ORG"))
    gold.spans["sc"] = [gold[0:1]]
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Porto": "LOC"})
    label(ruler, write_corpus([gold]), tmp_path / "out", "--lang", "pt")
    (doc,) = read_docs(tmp_path / "out")
    assert ents(doc) == [("Porto", "LOC")] and set(doc.spans) == {"xlt_ents"}
    assert [path.name for path in (tmp_path / "out").rglob("*.spacy")] == ["pt-00000.spacy"]


def test_sentences_of_evaluation_sets_are_left_out(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], raw: Path
) -> None:
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Lisbon": "LOC"})
    test = write_corpus([make_doc("The Bank of Lisbon is in New York !"), make_doc(TEXTS[1])])
    printed = label(ruler, raw, tmp_path / "out", "--exclude", test)
    assert "Sentences left out: duplicate 2" in printed
    assert [doc.text for doc in read_docs(tmp_path / "out")] == TEXTS[:1]


def test_what_was_interrupted_goes_on_and_ends_the_same(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spacy_xlt.teaching.label._DOCS_PER_SHARD", 1)
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Lisbon": "LOC"})
    label(ruler, raw, tmp_path / "whole")
    label(ruler, raw, tmp_path / "out")
    manifest, second = tmp_path / "out/manifest.jsonl", tmp_path / "out/target/en-00001.spacy"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    second.unlink()
    kept = (tmp_path / "out/target/en-00000.spacy").stat().st_mtime_ns
    label(ruler, raw, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "whole/target").iterdir())
    assert len(names) == 3
    assert all(
        (tmp_path / "out/target" / n).read_bytes() == (tmp_path / "whole/target" / n).read_bytes() for n in names
    )
    assert (tmp_path / "out/target/en-00000.spacy").stat().st_mtime_ns == kept
    assert "E505" in run(ruler, raw, tmp_path / "out", "--sure", "0.7").output


def test_what_cannot_be_labelled_is_said(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], raw: Path
) -> None:
    ruler = saved_ruler(tmp_path / "ruler", "en", {"Lisbon": "LOC"})
    out = tmp_path / "out"
    assert "E510" in run(ruler, raw).output
    assert "E502" in run(ruler, tmp_path / "none.txt", out).output
    assert "E104" in run(tmp_path / "none", raw, out).output
    (tmp_path / "empty.txt").write_text("\n \n")
    assert "E503" in run(ruler, tmp_path / "empty.txt", out).output
    (tmp_path / "latin.txt").write_bytes("São Paulo é longe".encode("latin1"))
    assert "E513" in run(ruler, tmp_path / "latin.txt", out).output
    assert not out.exists()
    label(ruler, tmp_path / "latin.txt", out, "--encoding", "latin1")
    test = write_corpus([make_doc(text) for text in TEXTS])
    assert "E592" in run(ruler, raw, tmp_path / "nothing", "-x", test).output
    plain = write_corpus([make_doc("nothing here")], "plain.spacy")
    assert "E593" in run(ruler, plain, tmp_path / "two", "--agree").output and not (tmp_path / "two").exists()


@pytest.fixture
def built(tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]) -> Path:
    """Projected corpora of two languages, and one without annotation."""
    for lang, spans in {"pt": [(3, 4, "LOC")], "ha": [(0, 1, "PER"), (3, 4, "LOC")], "de": []}.items():
        (tmp_path / f"built/{lang}/target").mkdir(parents=True)
        write_corpus([make_doc("Maria is in Lisbon", *spans)], f"built/{lang}/target/x.spacy")
    (tmp_path / "built/source").mkdir()
    saved_ruler(tmp_path / "ruler", "en", {"Lisbon": "LOC", "Maria": "PER"})
    return tmp_path / "built"


def test_all_languages_are_labelled_at_once_and_one_that_fails_is_in_the_table(built: Path) -> None:
    root = built.parent
    result = run(root / "ruler", built / "{lang}/target", root / "out/{lang}", "--agree")
    assert result.exit_code == 1 and "1 of 3 languages failed: de" in result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert ["pt", *"1 1 1 0 1 0 1".split()] in rows and ["ha", *"1 2 2 0 0 0 0".split()] in rows
    assert ["de", "failed", "XLT-E593"] in rows
    # As a training takes several languages
    block = {"path": str(root / "out/{lang}"), "lang": ["pt", "ha"], "kind": "self_labelled"}
    corpus = MixedCorpus(sources={"taught": block}, check_language=False)
    assert len(list(corpus(spacy.blank("xx")))) == 2


def test_languages_that_are_named_are_labelled(built: Path) -> None:
    root = built.parent
    printed = label(root / "ruler", built / "{lang}/target", root / "out/{lang}", "--either", "--lang", "pt,ha")
    assert sorted(path.name for path in (root / "out").iterdir()) == ["ha", "pt"]
    assert ["pt", *"1 2 1 0 1 0 0".split()] in [line.split() for line in printed.splitlines()]


def test_several_languages_need_a_place_in_both_paths(built: Path) -> None:
    root = built.parent
    assert "E510" in run(root / "ruler", built / "{lang}/target", root / "out", "--agree").output
    assert "E510" in run(root / "ruler", built, root / "out", "--lang", "pt,ha").output
    assert "E502" in run(root / "ruler", built / "{lang}/none", root / "out/{lang}").output
    assert "E510" in run(root / "ruler", built / "pt", root / "out", "--agree", "--either").output
    assert not (root / "out").exists()
