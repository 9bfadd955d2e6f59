"""`LlmAnnotator`: what is asked, what its answers make of documents, and pipelines and builds with it."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import threading
import time
import unicodedata
import warnings

import pytest
import spacy
from helpers.builds import CODE
from helpers.children import WITHOUT_TORCH
from helpers.cli import spacy_cli
from helpers.engines import DIAGONAL, UPPER
from helpers.language_server import Fault, chat, serving
from helpers.tiny_causal import make_tiny_causal
from helpers.tiny_pipelines import saved_ruler
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.annotate.llm import LlmAnnotator
from spacy_xlt.annotate.tags import TagSet
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.requirements import extras_of

LABELS = {"PER": "people", "LOC": "places"}
# What an honest model knows
NAMES = {"Maria": "PER", "MARIA": "PER", "Pedro": "PER", "Lisboa": "LOC", "Porto": "LOC"}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No key, and no proxy before loopback."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Saying:
    """A language model that says what a function makes of the text in a prompt and the number of the sample."""

    signature = "saying"

    def __init__(self, say):
        self.say = say
        self.requests = []

    def complete(self, requests, *, progress=None):
        self.requests += requests
        made = [self.say(request.text.rpartition("\n\n")[2], request.sample) for request in requests]
        return [answer if isinstance(answer, Answer) else Answer(answer) for answer in made]


def tagged(text):
    """The text with the names in it tagged."""
    return re.sub(r"\w+", lambda m: f"<{NAMES[m[0]]}>{m[0]}</{NAMES[m[0]]}>" if m[0] in NAMES else m[0], text)


def honest(body, n):
    return chat(tagged(body["messages"][-1]["content"].rpartition("\n\n")[2]))


def annotator(say, **changes):
    return LlmAnnotator(model=Saying(say), **{"labels": LABELS, **changes})


def annotate(text, *answers, lang="pt", **changes):
    """A text as one sentence, annotated with an answer for each vote."""
    doc = spacy.blank(lang)(text)
    for token in doc:
        token.is_sent_start = token.i == 0
    return annotator(lambda _, sample: answers[sample], votes=len(answers), **changes).annotate([doc])[0]


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def missing(doc):
    return [token.text for token in doc if token.ent_iob == 0]


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


# Letters of several scripts, marks, spaces, and what looks like tags or escapes
PIECES = ["<", ">", "/", "<PER>", "</LOC>", "<b>", "<<PER>>", "&", "&amp;", "&lt", ";", "PER", " ", "\u00a0", "\u200b"]
PIECES += ["Maria", "São", "Sa\u0303o", "北京", "กรุงเทพ", "한국", "😀", "👩\u200d🚀", "'", "”", "-", "10", "km", "ß"]
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
WORDS = st.lists(st.sampled_from(PIECES) | LETTERS, min_size=1, max_size=12)


@st.composite
def annotated_docs(draw):
    """A document of one sentence on one line, and spans of it, none of which overlap."""
    words = [word for word in draw(WORDS) if word and not any(c in "\r\n\v\f\x85\u2028\u2029" for c in word)]
    # Text is asked for without the white space around it
    assume(words and all(word == word.strip() or word.isspace() for word in words))
    doc = Doc(Vocab(), words=words, spaces=[draw(st.booleans()) for _ in words])
    spans, at = [], 0
    while at < len(doc):
        start = draw(st.integers(at, len(doc)))
        end = draw(st.integers(start, min(len(doc), start + 3)))
        if start < end and not doc[start].text.isspace() and not doc[end - 1].text.isspace():
            spans.append(Span(doc, start, end, label=draw(st.sampled_from(sorted(LABELS)))))
        at = max(end, start + 1)
    return doc, spans


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(annotated_docs())
def test_an_honest_answer_gives_exactly_its_spans_whatever_the_text(made):
    doc, spans = made
    for token in doc:
        token.is_sent_start = token.i == 0
    tags = TagSet(list(LABELS))
    asked = {}

    def say(text, _):
        offset = doc.text.index(text, asked.get("end", 0))
        asked["end"] = offset + len(text)
        inside = [s for s in spans if offset <= s.start_char and s.end_char <= offset + len(text)]
        brackets, parts, at = tags.brackets(text), [], 0
        for span in inside:
            opening, closing = tags.pair(span.label_, brackets)
            begin, end = span.start_char - offset, span.end_char - offset
            parts += [text[at:begin], opening, text[begin:end], closing]
            at = end
        return "".join([*parts, text[at:]])

    engine = annotator(say)
    (copy,) = engine.annotate([doc])
    # A mark of the end of a sentence cuts inside of words where there are no spaces, and with it spans
    assume(len(engine.model.requests) <= 1)
    # Without anything that can be seen, nothing is asked
    assume(engine.model.requests or not spans)
    assert [(e.start, e.end, e.label_) for e in copy.ents] == [(s.start, s.end, s.label_) for s in spans]
    assert missing(copy) == [] and not engine.left_out


ORDINARY = "Maria mora em Lisboa desde ontem Straße Việt 10 北 京 大 学 กรุง".split()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_careless_answer_gives_only_true_spans_and_what_it_changed_is_missing(data):
    words = data.draw(st.permutations(ORDINARY))[: data.draw(st.integers(1, len(ORDINARY)))]
    doc = Doc(Vocab(), words=words)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    true = [(i, j, "PER") for i, j in zip(cuts[::2], cuts[1::2], strict=False)]
    kinds = [data.draw(st.sampled_from(["same"] * 5 + ["case", "form", "lost", "changed"])) for _ in words]
    change = {"case": str.swapcase, "form": lambda w: unicodedata.normalize("NFD", w), "lost": lambda w: ""}
    said = [change.get(kind, str)(w) if kind != "changed" else "zzz" for kind, w in zip(kinds, words, strict=True)]
    marks = {i: "<PER>" for i, _, _ in true}, {j - 1: "</PER>" for _, j, _ in true}
    space = data.draw(st.sampled_from([" ", "  ", "\u00a0", " , "]))
    answer = space.join(marks[0].get(i, "") + word + marks[1].get(i, "") for i, word in enumerate(said))
    doc[0].is_sent_start = True
    for token in doc[1:]:
        token.is_sent_start = False
    engine = annotator(lambda *_: answer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (copy,) = engine.annotate([doc])
    # Nobody can tell on which side of a tag a word was that is not there
    marked = [[i for i in range(start, end) if kinds[i] != "lost"] for start, end, _ in true]
    whole = [range(inside[0], inside[-1] + 1) for inside in marked if inside]
    good = [span for span in whole if not {"lost", "changed"}.intersection(kinds[span.start : span.stop])]
    if not engine.not_annotated:
        assert [range(ent.start, ent.end) for ent in copy.ents] == good
    unknown = {i for i, kind in enumerate(kinds) if kind in ("lost", "changed")}
    unknown.update(i for span in whole if span not in good for i in span)
    assert unknown <= {token.i for token in copy if token.ent_iob == 0}


ENGINE = """
[components.xlt_annotator]
factory = "xlt_annotator"
side = "{side}"

[components.xlt_annotator.engine]
@misc = "spacy_xlt.LlmAnnotator.v1"

[components.xlt_annotator.engine.labels]
PER = "people"
LOC = "places"

[components.xlt_annotator.engine.model]
@misc = "spacy_xlt.EndpointModel.v1"
base_url = "{url}"
model = "m"
cache = "{cache}"
concurrency = 1
retries = 0
"""
RAW = """
[nlp]
lang = "pt"
pipeline = ["xlt_annotator"]

[components]
"""
PROJECTING = """
[components.xlt_translator]
factory = "xlt_translator"
target = "{target}"
quality = null
engine = {{"@misc":"test.UpperTranslator.v1"}}

[components.xlt_aligner]
factory = "xlt_aligner"
engine = {{"@misc":"test.DiagonalAligner.v1"}}

[components.xlt_projector]
factory = "xlt_projector"
direction = "{direction}"
"""


@pytest.fixture
def write_config(tmp_path):
    """Writes a config with the annotator on a side, alone or with the components that project."""

    def write(server, *, side="source", direction="", pipeline=("xlt_annotator",)):
        text = RAW.replace('["xlt_annotator"]', str(list(pipeline)).replace("'", '"')) + ENGINE
        text = text.format(side=side, url=server.url, cache=(tmp_path / "answers.sqlite").as_posix())
        path = tmp_path / "pipeline.cfg"
        path.write_text(text + (PROJECTING.format(target="en", direction=direction) if direction else ""), "utf8")
        return path

    return write


def test_a_pipeline_annotates_raw_text_and_is_saved_with_its_engine_and_no_key(write_config, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    with serving(honest) as server:
        nlp = load_pipeline_config(write_config(server))
        nlp.to_disk(tmp_path / "saved")
        again = spacy.load(tmp_path / "saved")
        docs = list(again.pipe(["Maria mora em Lisboa.", "", "Pedro saiu."]))
        in_bytes = spacy.blank("pt").from_config(nlp.config).from_bytes(nlp.to_bytes())
        assert ents(in_bytes("Maria saiu.")) == [("Maria", "PER")]
        assert [ents(doc) for doc in again.pipe(["Maria mora.", "Porto"], n_process=2)] == [
            [("Maria", "PER")], [("Porto", "LOC")],
        ]  # fmt: skip
    assert [ents(doc) for doc in docs] == [[("Maria", "PER"), ("Lisboa", "LOC")], [], [("Pedro", "PER")]]
    pipe = again.get_pipe("xlt_annotator")
    assert pipe.found_labels == ("LOC", "PER") and "EndpointModel" in pipe.signature and pipe.inner_pipelines() == []
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert extras_of(nlp.config["components"]["xlt_annotator"]) == {"llm"}


def test_what_was_annotated_before_is_replaced_and_categories_stay():
    nlp = spacy.blank("pt")
    pipe = nlp.add_pipe("xlt_annotator", config={"side": "source"})
    pipe.engine = annotator(lambda text, _: "" if "Pedro" in text else tagged(text))
    docs = [nlp.make_doc("Maria saiu"), nlp.make_doc("Pedro saiu")]
    for doc in docs:
        doc.set_ents([Span(doc, 1, 2, label="LOC")])
        doc.cats = {"news": 1.0}
    with pytest.warns(XltWarning, match="empty 1"):
        docs = [pipe(doc) for doc in docs]
    assert [ents(doc) for doc in docs] == [[("Maria", "PER")], []] and missing(docs[1]) == ["Pedro", "saiu"]
    assert [doc.cats for doc in docs] == [{"news": 1.0}] * 2


def test_translations_are_annotated_for_translate_test(write_config):
    pipeline = ["xlt_translator", "xlt_annotator", "xlt_aligner", "xlt_projector"]

    def script(body, n):
        return chat(None, refusal="no") if "PEDRO" in body["messages"][-1]["content"] else honest(body, n)

    with serving(script) as server:
        path = write_config(server, side="target", direction="target_to_source", pipeline=pipeline)
        nlp = load_pipeline_config(path)
        with pytest.warns(XltWarning, match=r"of 2 sentences 1 are not annotated \(refused 1\)"):
            doc = nlp("Maria saiu. Pedro ficou.")
    assert ents(doc) == [("Maria", "PER")] and missing(doc) == ["Pedro", "ficou", "."]
    assert all("English text" in text for text in server.asked)


def test_votes_are_carried_to_the_text_with_their_scores():
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_translator", config={"target": "en", "quality": None, "engine": UPPER})
    nlp.add_pipe("xlt_annotator", config={"pipeline": None})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source"})
    nlp.get_pipe("xlt_annotator").engine = annotator(lambda text, k: tagged(text) if k else text, votes=3)
    doc = nlp("Maria saiu.")
    group = doc.spans["xlt_candidates"]
    assert ents(doc) == [("Maria", "PER")] and group.attrs["source_scores"] == [2 / 3]


@pytest.mark.parametrize(("setting", "value"), [("pipeline", "x"), ("beam_width", 2), ("spans_key", "sc")])
def test_a_pipeline_and_its_settings_are_refused_beside_an_engine(setting, value):
    nlp = spacy.blank("pt")
    model = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": "http://localhost:1/v1", "model": "m", "cache": None}
    engine = {"@misc": "spacy_xlt.LlmAnnotator.v1", "labels": ["PER"], "model": model}
    with pytest.raises(XltError, match=f"E150.*`{setting}` of xlt_annotator.*`engine`"):
        nlp.add_pipe("xlt_annotator", config={"engine": engine, setting: value})


def test_an_engine_that_does_not_annotate_is_refused():
    with pytest.raises(XltError, match="E101.*`annotate`"):
        spacy.blank("pt").add_pipe("xlt_annotator", config={"engine": UPPER})


def test_build_annotate_takes_the_place_of_the_engine(write_config, tmp_path):
    with serving(honest) as server:
        ruler = saved_ruler(tmp_path / "ruler", "pt", {"Pedro": "PER"})
        nlp = load_pipeline_config(write_config(server), annotator=str(ruler))
        assert nlp.pipe_names == ["xlt_annotator"] and ents(nlp("Maria e Pedro")) == [("Pedro", "PER")]
        assert server.requests == []


def test_label_annotates_raw_text_with_a_saved_pipeline(write_config, tmp_path):
    def script(body, n):
        return chat(None, refusal="no") if "Pedro" in body["messages"][-1]["content"] else honest(body, n)

    (tmp_path / "raw.txt").write_text("Maria mora em Lisboa.\nPedro saiu.\nChove.\n", "utf8")
    with serving(script) as server:
        load_pipeline_config(write_config(server)).to_disk(tmp_path / "saved")
        said = spacy_cli("xlt", "label", tmp_path / "saved", tmp_path / "raw.txt", tmp_path / "labelled")
    assert "XLT-W241" in said and "refused 1" in said
    docs = list(read_docs(tmp_path / "labelled" / "target", lang="pt"))
    assert [ents(doc) for doc in docs] == [[("Maria", "PER"), ("Lisboa", "LOC")], [], []]
    assert [missing(doc) for doc in docs] == [[], ["Pedro", "saiu", "."], []]


@pytest.fixture
def build_words(write_config, tmp_path):
    """What to write after `spacy xlt` to build from 12 raw texts with a server."""

    def words(server):
        (tmp_path / "raw.txt").write_text("".join(f"Maria viu {n} gatos\n" for n in range(12)), "utf8")
        pipeline = ["xlt_annotator", "xlt_translator", "xlt_aligner", "xlt_projector"]
        path = write_config(server, direction="source_to_target", pipeline=pipeline)
        paths = [path, tmp_path / "raw.txt", tmp_path / "out"]
        options = ["--format", "lines", "--docs-per-shard", "3", "--code", CODE, "--no-report"]
        return [str(word) for word in ("build", *paths, *options)]

    return words


def test_a_build_of_raw_text_that_was_killed_goes_on_and_asks_nothing_twice(build_words, tmp_path):
    gate = threading.Event()

    def script(body, n):
        if n == 7:
            gate.wait(60)
        return honest(body, n)

    with serving(script) as server:
        words = build_words(server)
        process = subprocess.Popen(
            [sys.executable, "-m", "spacy", "xlt", *words, "--silent"], env={**os.environ, **WITHOUT_TORCH}
        )
        while len(server.requests) < 8:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        gate.set()
        spacy_cli("xlt", *words, "--silent")
        # The one that was under way has no answer that was seen
        assert len(server.requests) == 13 and len(set(server.asked)) == 12
    docs = list(read_docs(tmp_path / "out" / "target", lang="en"))
    assert [ents(doc) for doc in docs] == [[("MARIA", "PER")]] * 12


def test_a_build_counts_sentences_without_annotation_and_sets_rejected_texts_aside(build_words, tmp_path):
    def script(body, n):
        text = body["messages"][-1]["content"]
        if "viu 5 gatos" in text:
            return Fault(400, {"error": {"message": "too long"}})
        return chat("", finish="length") if "viu 7 gatos" in text else honest(body, n)

    with serving(script) as server:
        said = spacy_cli("xlt", *build_words(server))
    docs = list(read_docs(tmp_path / "out" / "target", lang="en"))
    assert len(docs) == 11 and [missing(doc) for doc in docs if "7" in doc.text] == [["MARIA", "VIU", "7", "GATOS"]]
    assert "XLT-W241" in said and "Sentences not annotated: cut off 1" in said
