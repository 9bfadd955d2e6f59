"""`LlmAnnotator`: what is asked, and what its answers make of documents."""

from __future__ import annotations

import pickle
import re
import warnings

import pytest
import spacy
from helpers.annotating import LABELS, Saying, annotate, annotator, ents, honest, missing, tagged
from helpers.language_server import serving
from helpers.tiny_causal import make_tiny_causal
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_xlt.annotate.llm import LlmAnnotator
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel

pytestmark = pytest.mark.usefixtures("without_key")


def test_each_sentence_is_asked_for_with_language_labels_and_what_they_mean():
    engine = annotator(lambda text, _: tagged(text))
    nlp = spacy.blank("pt")
    doc, empty = engine.annotate([nlp("Maria mora em Lisboa. Pedro saiu!\n\u200b"), nlp("")])
    assert ents(doc) == [("Maria", "PER"), ("Lisboa", "LOC"), ("Pedro", "PER")] and missing(doc) == []
    assert doc.text == "Maria mora em Lisboa. Pedro saiu!\n\u200b" and len(empty) == 0
    first, second = (request.text for request in engine.model.requests)
    assert "Portuguese text" in first and "<LOC>…</LOC>: places" in first and "English" not in first
    assert first.endswith("\n\nMaria mora em Lisboa.") and second.endswith("\n\nPedro saiu!")
    assert annotator(None).annotate([]) == []


@pytest.mark.parametrize(
    "answer",
    [
        "<think>A <PER>name</PER>…</think>\n<PER>Maria</PER> mora em <LOC>Lisboa</LOC>.",
        "```xml\n<PER>Maria</PER> mora em <LOC>Lisboa</LOC>.\n```",
        "Answer:\n\n“<PER>Maria</PER> mora em <LOC>Lisboa</LOC>.”\n\nI marked <PER>Maria</PER> as a person.",
        "text: < PER>maria </PER>mora em<loc> Lisboa</loc>",
        "<PER>Maria</PER>\nmora em\n<LOC>Lisboa</LOC>.",
        "Tagged: <PER>Maria</PER> mora em <LOC>Lisboa</LOC>.\nBefore: Maria mora em Lisboa.",
        "<PER>Maria</PER> lives in <LOC>Lisbon</LOC>.\n<PER>Maria</PER> mora em <LOC>Lisboa</LOC>.",
    ],
)
def test_what_is_around_the_text_or_changes_nothing_of_its_words_does_no_harm(answer):
    doc = annotate("Maria mora em Lisboa.", answer)
    assert ents(doc) == [("Maria", "PER"), ("Lisboa", "LOC")] and missing(doc) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("", "refusal"), "refused 1"),
        (Answer("<PER>Maria</PER> mora", "length"), "cut off 1"),
        (Answer(""), "empty 1"),
        (Answer("<think>Maria", "stop"), "empty 1"),
        (Answer("I am sorry, but I cannot help with that."), "another text 1"),
        (Answer("<PER>Mary</PER> lives in <LOC>Lisbon</LOC>."), "another text 1"),
    ],
)
def test_a_sentence_without_a_usable_answer_is_missing_and_counted(answer, reason):
    engine = annotator(lambda text, _: answer if "mora" in text else tagged(text))
    with pytest.warns(XltWarning, match=rf"W241.*of 2 sentences 1 are not annotated \({reason}\);.*missing"):
        (doc,) = engine.annotate([spacy.blank("pt")("Maria mora em Lisboa. Pedro saiu.")])
    assert ents(doc) == [("Pedro", "PER")] and missing(doc) == ["Maria", "mora", "em", "Lisboa", "."]
    assert engine.not_annotated.total() == 1


@pytest.mark.parametrize(
    ("answer", "found", "unknown", "reason"),
    [
        # Words of a span
        ("<PER>Mary</PER> mora em <LOC>Lisboa</LOC>.", [("Lisboa", "LOC")], ["Maria"], "words changed 1"),
        # A tag that is not closed, and one that is not opened
        ("<PER>Maria mora em <LOC>Lisboa</LOC>.", [("Lisboa", "LOC")], ["Maria", "mora", "em"], "half of a pair 1"),
        ("<PER>Maria</PER> mora em Lisboa</LOC>.", [("Maria", "PER")], ["mora", "em", "Lisboa"], "half of a pair 1"),
        # A label that was not asked for
        ("<PER>Maria</PER> <V>mora</V> em Lisboa.", [("Maria", "PER")], [], "another label 1"),
        # One inside another, and two that cross
        ("<PER>Maria</PER> <LOC>mora em <LOC>Lisboa</LOC></LOC>.", [("Maria", "PER"), ("mora em Lisboa", "LOC")], [],
         "overlap 1"),
        ("<PER>Maria mora <LOC>em</PER> Lisboa</LOC>.", [("Maria mora em", "PER")], ["Lisboa"], "overlap 1"),
    ],
)  # fmt: skip
def test_what_was_marked_and_cannot_be_used_is_left_out_and_counted(answer, found, unknown, reason):
    with pytest.warns(XltWarning, match=rf"W241.*of 1 sentences 1 marked spans are left out \({reason}\)"):
        doc = annotate("Maria mora em Lisboa.", answer)
    assert ents(doc) == found and missing(doc) == unknown


def test_words_that_the_answer_does_not_have_are_missing_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doc = annotate("Maria mora em Lisboa desde ontem.", "<PER>Maria</PER> reside em <LOC>Lisboa</LOC> ontem")
    assert ents(doc) == [("Maria", "PER"), ("Lisboa", "LOC")] and missing(doc) == ["mora", "desde"]


def test_the_warning_comes_again_only_when_the_number_has_doubled():
    engine = annotator(lambda text, _: "")
    doc = spacy.blank("pt")("Maria mora em Lisboa.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(9):
            engine.annotate([doc])
    assert [re.search(r"of (\d) sentences (\d)", str(one.message)).groups() for one in caught] == [
        (n, n) for n in "1248"
    ]


def test_spans_that_overlap_go_to_a_group():
    answer = "<LOC>Porto de <PER>Maria</PER></LOC> <PER>Pedro <LOC>x</PER> y</LOC>"
    doc = annotate("Porto de Maria Pedro x y", answer, spans_key="sc")
    found = {(span.text, span.label_) for span in doc.spans["sc"]}
    assert found == {("Porto de Maria", "LOC"), ("Maria", "PER"), ("Pedro x", "PER"), ("x y", "LOC")}
    assert not doc.has_annotation("ENT_IOB") and not doc.spans["sc"].attrs


def test_what_of_a_token_is_marked_makes_all_of_it_an_entity():
    doc = Doc(Vocab(), words=["Maria-Lisboa", "saiu"])
    assert ents(annotator(lambda *_: "<PER>Maria</PER>-Lisboa saiu").annotate([doc])[0]) == [("Maria-Lisboa", "PER")]
    engine = annotator(lambda *_: "<PER>Maria</PER>-<LOC>Lisboa</LOC> saiu")
    with pytest.warns(XltWarning, match="overlap 1"):
        assert ents(engine.annotate([doc])[0]) == [("Maria-Lisboa", "LOC")]


def test_entities_that_more_than_half_of_the_answers_have_are_kept_with_their_share():
    both, one, other = (
        "<PER>Maria</PER> e <LOC>Porto</LOC>", "<PER>Maria</PER> e Porto", "<PER>Maria</PER> e <PER>Porto</PER>"
    )  # fmt: skip
    doc = annotate("Maria e Porto", both, one, other, both)
    group = doc.spans["xlt_candidates"]
    scores = {(span.text, span.label_): n for span, n in zip(group, group.attrs["scores"], strict=True)}
    assert scores == {("Maria", "PER"): 1.0, ("Porto", "LOC"): 0.5, ("Porto", "PER"): 0.25}
    assert ents(doc) == [("Maria", "PER")] and missing(doc) == []
    spans = annotate("Maria e Porto", both, one, both, spans_key="sc").spans
    assert spans["sc"].attrs["scores"] == spans["xlt_candidates:sc"].attrs["scores"] == [1.0, 2 / 3]


def test_answers_that_cannot_be_used_have_no_vote_and_half_of_them_are_too_many():
    good, bad = "<PER>Maria</PER> e Porto", Answer("", "refusal")
    assert ents(annotate("Maria e Porto", good, bad, good)) == [("Maria", "PER")]
    with pytest.warns(XltWarning, match=r"of 1 sentences 1 are not annotated \(refused 1\)"):
        doc = annotate("Maria e Porto", good, bad)
    assert missing(doc) == ["Maria", "e", "Porto"] and len(doc.spans["xlt_candidates"]) == 0


def test_votes_are_samples_of_the_same_request_at_a_temperature():
    with serving(honest) as server:
        model = EndpointModel(base_url=server.url, model="m", cache=None, temperature=0.7)
        engine = LlmAnnotator(model=model, labels=LABELS, votes=3)
        (doc,) = engine.annotate([spacy.blank("pt")("Maria saiu.")])
    assert sorted(body["seed"] for body in server.requests) == [0, 1, 2] and len(set(server.asked)) == 1
    assert doc.spans["xlt_candidates"].attrs["scores"] == [1.0]
    with pytest.raises(XltError, match=r"E150.*`votes` of LlmAnnotator is 3.*temperature"):
        LlmAnnotator(model=EndpointModel(base_url=server.url, model="m", cache=None), labels=LABELS, votes=3)


def test_the_text_is_restated_in_the_pivot_unless_it_is_in_that_language():
    def restate(text, _):
        return f"<PER>Maria</PER> lives in <LOC>Lisbon</LOC>.\n{tagged(text)}"

    engine = annotator(restate, pivot="en")
    doc, english = (engine.annotate([spacy.blank(lang)("Maria mora em Lisboa.")])[0] for lang in ("pt", "en"))
    assert ents(doc) == ents(english) == [("Maria", "PER"), ("Lisboa", "LOC")]
    first, second = (request.text for request in engine.model.requests)
    assert "what the text says in English" in first and "what the text says" not in second


def test_the_language_can_be_set_where_spacy_has_no_class_for_it():
    engine = annotator(lambda text, _: text, lang="swh_Latn")
    engine.annotate([spacy.blank("xx")("Maria analala.")])
    annotator_of_unknown = annotator(lambda text, _: text)
    annotator_of_unknown.annotate([spacy.blank("xx")("Maria analala.")])
    assert "the Swahili text" in engine.model.requests[0].text
    assert "into the text" in annotator_of_unknown.model.requests[0].text


def test_examples_are_shown_with_tags_as_the_text_needs_them():
    engine = annotator(lambda text, _: text, examples=["<PER>Ana</PER> dorme.", "Chove."])
    engine.annotate([spacy.blank("pt")("Maria"), spacy.blank("pt")("o <PER> é")])
    first, second = (request.text for request in engine.model.requests)
    assert "\n<PER>Ana</PER> dorme.\nChove.\n" in first and "\n<<PER>>Ana<</PER>> dorme.\n" in second


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "`model` of LlmAnnotator.*EndpointModel"),
        ({"labels": None}, "`labels`"),
        ({"labels": {}}, "`labels`"),
        ({"labels": ["A>"]}, "`labels`"),
        ({"labels": {"A": 1}}, "`labels`"),
        ({"labels": "PER"}, "`labels`"),
        ({"examples": ["<PER>Ana"]}, "`examples`.*'<PER>Ana'.*PER, LOC"),
        ({"examples": ["<ORG>Ana</ORG>"]}, "`examples`"),
        ({"votes": 0}, "`votes`"),
    ],
)
def test_invalid_settings_are_named(changes, message):
    with pytest.raises(XltError, match=f"E150.*{message}"):
        LlmAnnotator(**{"model": Saying(None), "labels": LABELS, **changes})


def test_unknown_languages_are_errors_before_anything_is_asked():
    for changes in ({"lang": "qq"}, {"pivot": "qq"}):
        with pytest.raises(XltError, match="E010.*'qq'"):
            annotator(None, **changes)


def test_the_signature_tells_all_that_decides_and_no_address(tmp_path):
    model = EndpointModel(base_url="http://localhost:1/v1", model="m", cache=None)
    engine = LlmAnnotator(model=model, labels=LABELS)
    own = tmp_path / "own.j2"
    own.write_text("{{ text }}")
    changed = [{"labels": {**LABELS, "LOC": "cities"}}, {"pivot": "en"}, {"examples": ["<PER>Ana</PER>"]}]
    changed += [{"prompt": str(own)}, {"lang": "sw"}, {"spans_key": "sc"}, {"labels": ["LOC", "PER"]}]
    signatures = {LlmAnnotator(**{"model": model, "labels": LABELS, **changes}).signature for changes in changed}
    assert len(signatures - {engine.signature}) == len(changed)
    assert "labels:PER+LOC" in engine.signature and "localhost" not in engine.signature
    assert pickle.loads(pickle.dumps(engine)).signature == engine.signature


def test_a_model_in_this_process_annotates(tmp_path):
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "tiny", longest=2048)), max_tokens=8)
    with pytest.warns(XltWarning, match="W241.*cut off 1"):
        (doc,) = LlmAnnotator(model=model, labels=["PER"]).annotate([spacy.blank("pt")("Maria saiu.")])
    assert missing(doc) == ["Maria", "saiu", "."]
