"""`xlt_ner` in ensembles and on translations: its probabilities are read without a beam search."""

from __future__ import annotations

import pytest
import spacy
from helpers.engines import DIAGONAL
from helpers.tiny_ner import make_doc, make_ner, train
from spacy.tokens import Span
from spacy.util import split_requirement

from spacy_xlt.probabilities import annotate_scored, finds, labels_of
from spacy_xlt.translation.parallel_text import given


def test_probabilities_are_those_of_the_component(trained):
    texts = ["Maria lives in Lisbon .", "The Bank of Lisbon is in New York ."]
    annotated, scores = annotate_scored(trained, [make_doc(trained, text) for text in texts], beam_width=1)
    for doc, by_span in zip(annotated, scores, strict=True):
        for span, score in zip(doc.spans["xlt_ents"], doc.spans["xlt_ents"].attrs["scores"], strict=True):
            assert by_span[span.start, span.end, span.label_] == pytest.approx(score)
        # And what else is possible
        assert all(0.05 <= score <= 1 for score in by_span.values())


def test_labels_are_known(trained):
    assert finds(trained, None) and labels_of(trained) == {"LOC", "ORG", "PER"}


def test_a_group_has_its_own_probabilities(encoder):
    nlp = make_ner(encoder, mode="per_label", init={"labels": ["LOC"]})
    doc = make_doc(nlp, "Lisbon is far .")
    doc.spans["sc"] = [Span(doc, 0, 1, label="LOC")]
    train(nlp, examples=[spacy.training.Example(make_doc(nlp, doc.text), doc)])
    _, (scores,) = annotate_scored(nlp, [make_doc(nlp, doc.text)], beam_width=1, spans_key="sc")
    assert max(scores, key=scores.__getitem__) == (0, 1, "LOC")


def test_an_ensemble_reads_the_scores_of_the_pipeline_around_it(trained, tmp_path):
    trained.to_disk(tmp_path / "member")
    nlp = spacy.load(tmp_path / "member")
    nlp.add_pipe("xlt_ensemble", config={"members": {"other": str(tmp_path / "member")}, "own": "mine"})
    nlp.get_pipe("xlt_ensemble").initialize(lambda: [], nlp=nlp)
    doc = nlp(make_doc(nlp, "Maria lives in Lisbon ."))
    group = doc.spans["xlt_ensemble"]
    assert [span.text for span in group] == ["Maria", "Lisbon"]
    for members, score in zip(group.attrs["members"], doc.spans["xlt_ents"].attrs["scores"], strict=True):
        assert members["mine"] == pytest.approx(score) and members["other"] == pytest.approx(score)


def test_annotated_source_has_its_probabilities_and_so_has_what_is_projected_from_it(trained, tmp_path):
    trained.to_disk(tmp_path / "member")
    nlp = spacy.blank("xx")
    nlp.add_pipe("xlt_annotator", config={"pipeline": str(tmp_path / "member"), "side": "source"})
    nlp.add_pipe("xlt_parallel")
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector")
    text = "Maria lives in Lisbon ."
    doc = nlp(given(make_doc(nlp, text), "Maria vive em Lisboa .", source="en", target="pt"))
    scores = doc.spans["xlt_ents"].attrs["scores"]
    target = doc._.xlt["pt"].target
    assert [ent.text for ent in target.ents] == ["Maria", "Lisboa"] and all(0.4 < score < 1 for score in scores)
    assert target.spans["xlt_ents"].attrs["source_scores"] == pytest.approx(scores)


def test_the_annotator_of_translations_saves_it(trained, tmp_path):
    trained.to_disk(tmp_path / "member")
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_annotator", config={"pipeline": str(tmp_path / "member")})
    nlp.initialize()
    nlp.to_disk(tmp_path / "holder")
    assert any((tmp_path / "holder").rglob("head.safetensors"))
    spacy.load(tmp_path / "holder")
    # And what its package needs
    assert {"torch", "transformers"} <= {split_requirement(item)[0] for item in nlp.meta["requirements"]}
