"""What pipelines say as teachers: averaged token by token, or span by span."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.tiny_ner import make_doc
from helpers.tiny_pipelines import saved_ruler

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.probabilities import SpanKey
from spacy_xlt.teaching.teachers import AveragedTagger, VotingTeacher, load_teacher

TEXT = "The Bank of Lisbon is in New York ."


def docs(*texts: str) -> list:
    vocab = spacy.blank("en")
    return [make_doc(vocab, text) for text in texts or (TEXT,)]


def test_the_distributions_of_taggers_are_averaged_for_each_token(teachers: dict[str, Path]) -> None:
    given = docs(TEXT, "", "Maria sings .")
    teacher = load_teacher([str(teachers["good"]), str(teachers["fair"])])
    assert isinstance(teacher, AveragedTagger) and teacher.lang == "en" and len(set(teacher.digests)) == 2
    taggers = [spacy.load(teachers[name]).get_pipe("xlt_ner") for name in ("good", "fair")]
    assert teacher.tags == taggers[0].tags
    alone = [tagger.tag_probabilities(given) for tagger in taggers]
    for found, first, second in zip(teacher.find(given), *alone, strict=True):
        mean = (first.astype(np.float32) + second.astype(np.float32)) / 2
        assert found.soft.dtype == np.float16 and np.allclose(found.soft, mean, atol=2e-3)


def test_one_tagger_gives_its_own_probabilities(teachers: dict[str, Path]) -> None:
    tagger = spacy.load(teachers["good"]).get_pipe("xlt_ner")
    (found,) = load_teacher([str(teachers["good"])]).find(docs())
    (expected,) = tagger.span_probabilities(docs())
    assert found.scores == pytest.approx({SpanKey(*span): score for *span, score in expected}, abs=1e-4)
    assert found.scores[SpanKey(6, 8, "LOC")] > 0.9


def test_a_calibrated_tagger_is_as_sure_as_it_was_calibrated(tmp_path: Path, teachers: dict[str, Path]) -> None:
    nlp = spacy.load(teachers["good"])
    nlp.get_pipe("xlt_ner").cfg["calibration"] = 2.0
    nlp.to_disk(tmp_path / "calibrated")
    (expected,) = nlp.get_pipe("xlt_ner").span_probabilities(docs())
    (found,) = load_teacher([str(tmp_path / "calibrated")]).find(docs())
    assert found.scores == pytest.approx({SpanKey(*span): score for *span, score in expected}, abs=1e-4)
    (before,) = load_teacher([str(teachers["good"])]).find(docs())
    assert found.scores[SpanKey(6, 8, "LOC")] < before.scores[SpanKey(6, 8, "LOC")]
    assert found.soft.max(axis=1).mean() < before.soft.max(axis=1).mean()


def test_pipelines_of_other_kinds_vote_on_spans(tmp_path: Path) -> None:
    one = saved_ruler(tmp_path / "one", "en", {"New York": "LOC", "Lisbon": "LOC"})
    two = saved_ruler(tmp_path / "two", "en", {"Bank of Lisbon": "LOC", "New York": "LOC"})
    teacher = load_teacher([str(one), str(two)])
    assert isinstance(teacher, VotingTeacher) and teacher.tags == ["O", "B-LOC", "I-LOC"]
    (found,) = teacher.find(docs())
    scores = {SpanKey(1, 4, "LOC"): 0.5, SpanKey(3, 4, "LOC"): 0.5, SpanKey(6, 8, "LOC"): 1.0}
    assert found.scores == scores
    # Of "Bank of Lisbon" and "Lisbon", each half probable
    assert found.soft[3].tolist() == [0.0, 0.5, 0.5] and found.soft[2].tolist() == [0.5, 0.0, 0.5]
    assert found.soft[7].tolist() == [0.0, 0.0, 1.0] and found.soft[8].tolist() == [1.0, 0.0, 0.0]


def test_the_soft_labels_of_votes_are_distributions_whatever_the_scores() -> None:
    teacher = VotingTeacher.__new__(VotingTeacher)
    teacher.labels, teacher.tags = ["LOC"], ["O", "B-LOC", "I-LOC"]
    (doc,) = docs("New York is far")
    scores = {SpanKey(0, 2, "LOC"): 0.9, SpanKey(1, 2, "LOC"): 0.9, SpanKey(2, 3, "PER"): 0.5}
    soft = teacher._soft_labels(doc, scores, frozenset({3}))
    assert np.allclose(soft.sum(axis=1), [1, 1, 1, 0], atol=1e-3)
    assert np.allclose(soft[1], [0, 0.5, 0.5], atol=1e-3)


def test_a_saved_ensemble_combines_as_it_was_set(tmp_path: Path) -> None:
    members = {
        name: str(saved_ruler(tmp_path / name, "en", {text: "LOC"})) for name, text in (("a", "Lisbon"), ("b", "York"))
    }
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler")
    patterns = [{"pattern": "Bank", "label": "ORG"}]
    nlp.config["initialize"]["components"]["entity_ruler"] = {"patterns": patterns}
    nlp.add_pipe("xlt_ensemble", config={"members": members, "own": "own", "weights": {"a": 3.0}, "threshold": 0.9})
    with pytest.warns(XltWarning, match="W160"):
        nlp.initialize()
    nlp.to_disk(tmp_path / "ensemble")
    teacher = load_teacher([str(tmp_path / "ensemble")])
    (found,) = teacher.find(docs())
    # Below its threshold, too
    assert found.scores == {
        SpanKey(1, 2, "ORG"): 1.0,
        SpanKey(3, 4, "LOC"): pytest.approx(0.75),
        SpanKey(7, 8, "LOC"): pytest.approx(0.25),
    }
    assert teacher.tags == ["O", "B-LOC", "B-ORG", "I-LOC", "I-ORG"]


def test_taggers_and_others_vote_together_and_labels_that_differ_are_said(
    tmp_path: Path, teachers: dict[str, Path]
) -> None:
    other = saved_ruler(tmp_path / "ruler", "en", {"Lisbon": "GPE"})
    with pytest.warns(XltWarning, match="W160.*pipeline_1 lacks GPE"):
        teacher = load_teacher([str(teachers["good"]), str(other)])
    (found,) = teacher.find(docs("Maria lives in Lisbon ."))
    assert isinstance(teacher, VotingTeacher) and found.scores[SpanKey(0, 1, "PER")] > 0.9


def test_a_pipeline_that_was_not_trained_is_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner")
    nlp.to_disk(tmp_path / "untrained")
    with pytest.raises(XltError, match="E104.*untrained.*does not annotate.*no weights"):
        load_teacher([str(tmp_path / "untrained")])


def test_a_pipeline_without_entities_is_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner", config={"mode": "per_label"})
    nlp.to_disk(tmp_path / "spans")
    with pytest.raises(XltError, match="E161.*spans.*doc.ents.*xlt_ner"):
        load_teacher([str(tmp_path / "spans")])
