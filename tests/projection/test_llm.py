"""`LlmProjector`: what a language model is asked, and with which other parts it works."""

from __future__ import annotations

import json
import pickle

import pytest
import spacy
from helpers.builds import CODE, write_texts
from helpers.builds import CONFIG as BUILD_CONFIG
from helpers.cli import spacy_cli
from helpers.gold_bitexts import KEY, gold_bitext
from helpers.language_server import chat, serving
from helpers.llm_projectors import NO_LINKS, llm, reasons
from helpers.projection import project
from helpers.scripted_model import ScriptedModel, shown_in
from helpers.tiny_causal import make_tiny_causal
from helpers.tiny_scorer import found, make_bitext, places
from spacy.tokens import Doc, Span
from thinc.api import Config

import spacy_xlt.cli  # noqa: F401
from spacy_xlt import Alignment, Bitext
from spacy_xlt.errors import XltError
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.projection.combined import StackedProjector, VotingProjector
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.projection.llm import LlmProjector
from spacy_xlt.projection.queries import LONG
from spacy_xlt.protocols import Projector
from spacy_xlt.readers.docbin import read_docs


def test_a_sentence_is_one_request_with_its_spans_their_labels_and_the_target():
    bitext = make_bitext("Ann Lee met Bo .", "Bo conheceu Ann Lee .", None, (0, 2, "PER"), (3, 4, "ORG"))
    bitext.source.spans["names"] = [Span(bitext.source, 1, 2, label="LAST"), Span(bitext.source, 0, 2, label="NAME")]
    projector = llm({"1": "Ann Lee", "2": "Lee", "3": "Bo"})
    assert isinstance(projector, Projector)
    project(projector, bitext)
    (request,) = projector.model.requests
    assert request.text.endswith(
        "1 (PER, NAME): Ann Lee\n2 (LAST): Lee\n3 (ORG): Bo\n\n"
        "English: <1>Ann <2>Lee</2></1> met <3>Bo</3> .\nPortuguese: Bo conheceu Ann Lee ."
    )
    assert request.schema["required"] == ["1", "2", "3"]
    assert [(ent.text, ent.label_) for ent in bitext.target.ents] == [("Bo", "ORG"), ("Ann Lee", "PER")]
    assert [(span.text, span.label_) for span in bitext.target.spans["names"]] == [("Lee", "LAST"), ("Ann Lee", "NAME")]
    assert set(bitext.target.spans["xlt_ents"].attrs["by"]) == {"LlmProjector"}


def test_spans_that_cross_are_marked_as_well():
    bitext = make_bitext("a b c", "x y z", NO_LINKS, groups={"g": [(0, 2, "A"), (1, 3, "B")]})
    projector = llm({"1": "x y", "2": "y z"})
    project(projector, bitext)
    assert "<1>a <2>b</1> c</2>" in projector.model.requests[0].text
    assert [(span.start, span.end) for span in bitext.target.spans["g"]] == [(0, 2), (1, 3)]


def test_nothing_is_asked_about_documents_without_spans_or_text():
    bitext = make_bitext("a b", "x y")
    empty = make_bitext("", "")
    no_target = make_bitext("Ann", "", NO_LINKS, (0, 1, "PER"))
    blank = make_bitext("Ann", "x", NO_LINKS)
    blank.source.spans["g"] = [Span(blank.source, 0, 0, label="A")]
    projector = llm({})
    for one in (bitext, empty, no_target, blank):
        project(projector, one)
    assert projector.model.requests == [] and projector.place([]) == []
    assert reasons(no_target) == ["no_candidate"] and reasons(blank) == ["empty"]


def test_very_many_spans_and_very_long_sentences_are_asked_about_in_parts():
    n = 2 * LONG
    words = [f"w{i}" for i in range(n)]
    ents = [(i, i + 1, "X") for i in range(0, n, 3)]
    bitext = make_bitext(" ".join(words), " ".join(words), None, *ents)

    def same(request):
        text, _, ranges = shown_in(request.text)
        return {str(number): text[start:end] for number, (start, end) in ranges.items()}

    projector = LlmProjector(model=ScriptedModel(same))
    project(projector, bitext)
    assert places(bitext) == ents and bitext.lost == []
    assert len(projector.model.requests) >= len(ents) / 40
    assert max(len(request.text) for request in projector.model.requests) < 6 * 5 * LONG


def test_languages_come_from_the_bitext_or_the_settings():
    source, target = (Doc(spacy.blank("xx").vocab, words=[word]) for word in ("Ann", "Ana"))
    source.ents = [Span(source, 0, 1, label="PER")]
    bitext = Bitext(source, target)
    with pytest.raises(XltError, match=r"XLT-E309.*LlmProjector"):
        project(llm({"1": "Ana"}), bitext)
    projector = llm({"1": "Ana"}, source="en", target="pt-BR")
    project(projector, bitext)
    assert "Portuguese: Ana" in projector.model.requests[0].text and found(bitext) == [("Ana", "PER")]


def test_the_server_may_be_given_the_choices_there_are():
    bitext = make_bitext("Ann left", "Ana foi , Ana", NO_LINKS, (0, 1, "PER"))
    projector = llm({"1": "Ana"}, constrain=True)
    project(projector, bitext)
    (request,) = projector.model.requests
    choices = request.schema["$defs"]["words"]["enum"]
    assert choices[:3] == ["", "Ana", "Ana foi"] and len(choices) == len(set(choices)) == 10
    words = " ".join(f"w{i}" for i in range(300))
    long = make_bitext(words, words, None, (0, 200, "X"))
    projector = llm({"1": words}, constrain=True)
    project(projector, long)
    assert projector.model.requests[0].schema["properties"] == {"1": {"type": "string"}}


def test_a_prompt_of_the_user_is_sent(tmp_path):
    own = tmp_path / "own.j2"
    own.write_text("{{ source }} {{ target }} {{ spans[0].text }} {{ text }} | {{ translation }}")
    bitext = make_bitext("Ann left", "Ana foi", NO_LINKS, (0, 1, "PER"))
    projector = llm({"1": "Ana"}, prompt=str(own))
    project(projector, bitext)
    assert projector.model.requests[0].text == "en pt Ann <1>Ann</1> left | Ana foi"
    assert projector.signature != llm({}).signature
    assert pickle.loads(pickle.dumps(LlmProjector(model=CausalModel(model="m")))).signature


# Other parts that it works with


def test_it_is_a_member_of_a_stack_and_of_a_vote():
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", [(2, 2)], (0, 1, "PER"), (2, 3, "ORG"))
    member = llm({"1": "Ana", "2": "Bo"})
    project(StackedProjector(projectors=[LinkProjector(), member], min_score=0.4), bitext)
    assert found(bitext) == [("Ana", "PER"), ("Bo", "ORG")]
    assert bitext.target.spans["xlt_ents"].attrs["by"] == ["LlmProjector", "LinkProjector"]
    project(VotingProjector(projectors=[LinkProjector(), member]), bitext)
    assert found(bitext) == [("Ana", "PER"), ("Bo", "ORG")]


def test_in_a_stack_several_answers_that_agree_count_more_than_unsure_links():
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", NO_LINKS, (0, 1, "PER"))
    bitext.alignment = Alignment([(0, 1), (1, 1)], [0.3, 0.3])
    answers = [{"1": "Ana"}] * 3
    for votes, expected in ((1, "conheceu"), (3, "Ana")):
        project(StackedProjector(projectors=[LinkProjector(), llm(*answers, votes=votes)]), bitext)
        assert found(bitext) == [(expected, "PER")]


def test_a_model_in_this_process_is_asked_and_one_that_talks_nonsense_loses_all(tmp_path):
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "tiny", longest=4096)), max_tokens=8)
    bitext = make_bitext("Ann met Bo", "Ana conheceu Bo", None, (0, 1, "PER"))
    assert reasons(project(LlmProjector(model=model), bitext)) == ["no_answer"]


def test_a_model_behind_an_endpoint_projects_in_a_pipeline(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = gold_bitext(3, "zh")

    def script(body, n):
        assert body["response_format"]["type"] == "json_schema"
        source, target, ranges = shown_in(body["messages"][-1]["content"])
        words = {str(number): made.says[source, start, end, target] for number, (start, end) in ranges.items()}
        return chat(json.dumps(words))

    with serving(script) as server:
        nlp = spacy.blank("en")
        model = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": server.url, "model": "m", "cache": None}
        nlp.add_pipe("xlt_projector", config={"engine": {"@misc": "spacy_xlt.LlmProjector.v1", "model": model}})
        source = made.bitext.source
        source._.xlt["zh"] = made.bitext
        bitext = nlp(source)._.xlt["zh"]
    assert [(span.start, span.end) for span in bitext.target.spans[KEY]] == made.places and bitext.lost == []


CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_projector"]

[components]

[components.xlt_projector]
factory = "xlt_projector"

[components.xlt_projector.engine]
@misc = "spacy_xlt.StackedProjector.v1"

[components.xlt_projector.engine.projectors]

[components.xlt_projector.engine.projectors.first]
@misc = "spacy_xlt.LlmProjector.v1"

[components.xlt_projector.engine.projectors.first.model]
@misc = "spacy_xlt.EndpointModel.v1"
base_url = "{url}"
model = "m"
cache = "{cache}"
"""


@pytest.fixture
def files(tmp_path):
    """The same words in two languages, with persons and without links, and a config."""

    def make(server):
        words = [f"Anna{n} left Rio" for n in range(6)]
        for name in ("source", "gold"):
            write_texts(tmp_path / f"{name}.spacy", words)
        config = tmp_path / "config.cfg"
        config.write_text(CONFIG.format(url=server.url, cache=(tmp_path / "answers.sqlite").as_posix()))
        return config, tmp_path / "source.spacy", tmp_path / "gold.spacy"

    return make


def say_the_same(body, n):
    text, _, ranges = shown_in(body["messages"][-1]["content"])
    return chat(json.dumps({str(number): text[start:end] for number, (start, end) in ranges.items()}))


def test_its_projection_is_evaluated_by_the_command(files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    out = tmp_path / "scores.json"
    with serving(say_the_same) as server:
        spacy_cli("xlt", "eval-projection", *files(server), "--target-lang", "pt", "--json", out)
        scores = json.loads(out.read_text())
        assert len(server.requests) == scores["pairs"] == 6 and scores["ents_f"] == 1.0
        # The answers are kept
        spacy_cli("xlt", "eval-projection", *files(server), "--target-lang", "pt", "--json", out)
        assert len(server.requests) == 6
    assert "LlmProjector" in scores["signature"] and server.url not in scores["signature"]


def test_a_build_projects_with_it_and_a_dry_run_counts_its_requests(files, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    with serving(in_capitals) as server:
        config, corpus, _ = files(server)
        whole = Config().from_str(BUILD_CONFIG).merge(Config().from_disk(config))
        whole["nlp"]["pipeline"] = ["xlt_translator", "xlt_projector"]
        whole.to_disk(config)
        words = ["build", config, corpus, tmp_path / "out", "--code", CODE]
        printed = spacy_cli("xlt", *words, "--dry-run")
        assert "xlt_projector" in printed and len(server.requests) == 6
        spacy_cli("xlt", *words, "--silent", "--no-report")
        assert len(server.requests) == 6
    docs = list(read_docs(tmp_path / "out" / "target"))
    assert [(ent.text, ent.label_) for doc in docs for ent in doc.ents] == [(f"ANNA{n}", "PER") for n in range(6)]
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"very-secret" not in kept


def in_capitals(body, n):
    """What stands for each span where the target is the source in capitals."""
    text, _, ranges = shown_in(body["messages"][-1]["content"])
    return chat(json.dumps({str(number): text[start:end].upper() for number, (start, end) in ranges.items()}))
