"""What is learnt from a document: labels, missing annotation, scores of spans, soft labels."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
from helpers.tiny_ner import make_doc, make_examples, make_ner
from spacy.tokens import Doc, DocBin, SpanGroup
from spacy.training import Example

from spacy_xlt import docs
from spacy_xlt.ner import xlt_ner
from spacy_xlt.ner.xlt_ner import get_soft_labels, set_soft_labels


@pytest.fixture(scope="module")
def nlp(encoder):
    return make_ner(encoder)


def gold_of(nlp, *examples):
    return nlp.get_pipe("xlt_ner").gold(examples)


def tags_of(nlp, *examples) -> list[str | None]:
    tags = nlp.get_pipe("xlt_ner").tags
    return [None if i < 0 else tags[i] for i in gold_of(nlp, *examples).tags[:, 0]]


def test_labels_and_tags_are_sorted(nlp):
    component = nlp.get_pipe("xlt_ner")
    assert component.labels == ("LOC", "ORG", "PER")
    assert component.tags == ["O", "B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER"]


def test_entities_become_tags(nlp):
    ents = [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]
    (example,) = make_examples(nlp, [("Maria Silva John in Lisbon .", ents)])
    assert tags_of(nlp, example) == ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "O"]


def test_missing_annotation_is_no_tag(nlp):
    doc = make_doc(nlp, "Maria lives in Lisbon .")
    assert tags_of(nlp, Example(make_doc(nlp, doc.text), doc)) == [None] * 5
    doc.set_ents([doc[3:4].char_span(0, 6, label="LOC")], missing=[doc[0:1]], default="outside")
    assert tags_of(nlp, Example(make_doc(nlp, doc.text), doc)) == [None, "O", "O", "B-LOC", "O"]


def test_other_tokens_are_aligned(nlp):
    reference = make_doc(nlp, "Maria lives in New York .", [(0, 1, "PER"), (3, 5, "LOC")])
    predicted = Doc(nlp.vocab, words=["Maria", "lives", "in", "New York", "."])
    assert tags_of(nlp, Example(predicted, reference)) == ["B-PER", "O", "O", "B-LOC", "O"]
    words = ["Mar", "ia", "lives", "in", "New", "York", "."]
    predicted = Doc(nlp.vocab, words=words, spaces=[False, *[True] * 6])
    assert tags_of(nlp, Example(predicted, reference)) == ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O"]


def test_an_unknown_label_is_an_error_that_names_it(nlp):
    (example,) = make_examples(nlp, [("Maria reads War .", [(2, 3, "WORK")])])
    with pytest.raises(ValueError, match=r"XLT-E174.*WORK.*LOC, ORG, PER.*add_label"):
        nlp.update([example])


def scored(nlp) -> Example:
    (example,) = make_examples(nlp, [("Maria lives in Lisbon .", [(0, 1, "PER"), (3, 4, "LOC")])])
    doc = example.reference
    doc.spans["xlt_ents"] = SpanGroup(doc, name="xlt_ents", spans=list(doc.ents), attrs={"scores": [0.25, 0.75]})
    return example


@pytest.mark.parametrize(
    "method, expected",
    [("off", [1, 1, 1, 1, 1]), ("linear", [0.25, 1, 1, 0.75, 1]), ("threshold", [0, 1, 1, 1, 1])],
)
def test_scores_of_spans_weigh_the_loss_of_their_words(encoder, method, expected):
    nlp = make_ner(encoder, span_scores=method, score_threshold=0.5)
    assert gold_of(nlp, scored(nlp)).weights[:, 0].tolist() == expected


def test_a_word_below_the_threshold_has_no_loss(encoder):
    nlp = make_ner(encoder, span_scores="threshold", score_threshold=0.8)
    assert gold_of(nlp, scored(nlp)).known.tolist() == [False, True, True, False, True]


def test_soft_labels_are_saved_with_a_document(nlp):
    tags = nlp.get_pipe("xlt_ner").tags
    doc = make_doc(nlp, "Maria lives")
    values = np.random.default_rng(0).dirichlet(np.ones(len(tags)), size=2)
    set_soft_labels(doc, tags, values)
    (read,) = DocBin(docs=[doc], store_user_data=True).get_docs(spacy.blank("en").vocab)
    stored = get_soft_labels(read)
    assert stored is not None and stored[0] == tags
    assert np.array_equal(stored[1], values.astype(np.float16))
    assert get_soft_labels(make_doc(nlp, "Maria")) is None


def test_a_part_of_a_document_has_its_soft_labels(nlp):
    tags = nlp.get_pipe("xlt_ner").tags
    doc = make_doc(nlp, "Maria lives in Lisbon .", [(3, 4, "LOC")])
    values = np.random.default_rng(0).dirichlet(np.ones(len(tags)), size=5).astype(np.float16)
    set_soft_labels(doc, tags, values)
    assert docs.SOFT_LABELS == xlt_ner.SOFT_LABELS
    for part in (docs.slice_doc(doc, 2, 4), docs.with_words(docs.slice_doc(doc, 2, 4), ["im", "Lis"])):
        stored = get_soft_labels(part)
        assert stored is not None and stored[0] == tags and np.array_equal(stored[1], values[2:4])


def test_soft_labels_take_the_place_of_labels(nlp):
    first, second = make_examples(nlp, [("Maria sings", [(0, 1, "PER")]), ("Lisbon", [(0, 1, "LOC")])])
    soft = np.zeros((2, 7))
    soft[0, 3] = 1.0
    set_soft_labels(first.reference, nlp.get_pipe("xlt_ner").tags, soft)
    gold = gold_of(nlp, first, second)
    assert gold.soft is not None and gold.soft.shape == (3, 1, 7)
    # A row of zeros leaves the label, and so does a document without any
    assert gold.soft[:, 0].any(axis=1).tolist() == [True, False, False]
    assert gold.tags[1:, 0].tolist() == [0, 1]


def test_soft_labels_of_other_labels_are_an_error(nlp):
    (example,) = make_examples(nlp, [("Maria sings", [])])
    set_soft_labels(example.reference, ["O", "B-PER", "I-PER"], np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"XLT-E176.*O, B-PER, I-PER.*B-LOC"):
        nlp.update([example])


def test_soft_labels_of_other_tokens_are_an_error(nlp):
    cut = Doc(nlp.vocab, words=["Mar", "ia", "sings"], spaces=[False, True, True])
    example = Example(cut, make_doc(nlp, "Maria sings", []))
    set_soft_labels(example.reference, nlp.get_pipe("xlt_ner").tags, np.ones((2, 7)))
    with pytest.raises(ValueError, match=r"XLT-E177.*2 rows for 3 tokens.*gold_tokens"):
        nlp.update([example])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5])
def test_soft_labels_are_probabilities(nlp, value):
    doc = make_doc(nlp, "Maria sings")
    with pytest.raises(ValueError, match=r"XLT-E177.*from 0 to 1"):
        set_soft_labels(doc, ["O", "B-PER", "I-PER"], np.full((2, 3), value))
    with pytest.raises(ValueError, match=r"XLT-E177.*\(2, 5\) for 2 tokens and 3 tags"):
        set_soft_labels(doc, ["O", "B-PER", "I-PER"], np.ones((2, 5)))


@pytest.mark.parametrize("stored", [{"tags": ["O"]}, [1], {"tags": ["O", "B-A", "I-A"], "values": b"12345"}])
def test_soft_labels_in_another_form_are_an_error(nlp, stored):
    doc = make_doc(nlp, "Maria sings")
    doc.user_data["xlt_soft_labels"] = stored
    with pytest.raises(ValueError, match="XLT-E177"):
        get_soft_labels(doc)


@pytest.mark.parametrize("score", [None, "x", 100.0, float("nan"), -1])
def test_scores_of_spans_are_probabilities(encoder, score):
    nlp = make_ner(encoder, span_scores="linear")
    doc = make_doc(nlp, "Maria sings", [(0, 1, "PER")])
    doc.spans["xlt_ents"] = list(doc.ents)
    doc.spans["xlt_ents"].attrs["scores"] = [score]
    with pytest.raises(ValueError, match=r"XLT-E170.*xlt_ents"):
        nlp.update([Example(make_doc(nlp, doc.text), doc)])


def test_each_label_has_a_sequence_of_its_own(encoder):
    nlp = make_ner(encoder, mode="per_label", init={"labels": ["LOC", "ORG"]})
    doc = make_doc(nlp, "The Bank of Lisbon is far")
    doc.spans["sc"] = [doc[1:4].char_span(0, 14, label="ORG"), doc[3:4].char_span(0, 6, label="LOC")]
    doc.spans["sc"].append(doc[0:4].char_span(0, 18, label="ORG"))
    gold = gold_of(nlp, Example(make_doc(nlp, doc.text), doc))
    assert gold.tags[:, 0].tolist() == [0, 0, 0, 1, 0, 0]
    # Of two spans with the same label and words in common, the longer one
    assert gold.tags[:, 1].tolist() == [1, 2, 2, 2, 0, 0]


def test_without_the_span_group_annotation_is_missing(encoder):
    nlp = make_ner(encoder, mode="per_label", init={"labels": ["LOC"]})
    doc = make_doc(nlp, "The Bank of Lisbon", [])
    assert not gold_of(nlp, Example(make_doc(nlp, doc.text), doc)).known.any()
    doc.spans["sc"] = []
    assert gold_of(nlp, Example(make_doc(nlp, doc.text), doc)).known.all()


def test_scores_of_any_kind_of_number_are_taken(encoder):
    nlp = make_ner(encoder, span_scores="linear")
    doc = make_doc(nlp, "Maria sings", [(0, 1, "PER")])
    doc.spans["xlt_ents"] = list(doc.ents)
    doc.spans["xlt_ents"].attrs["scores"] = [np.float32(0.25)]
    assert gold_of(nlp, Example(make_doc(nlp, doc.text), doc)).weights[:, 0].tolist() == [0.25, 1.0]
