"""Pipelines and builds in which a language model annotates: raw text, and translations."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
import spacy
from helpers.annotating import annotator, ents, honest, missing, tagged
from helpers.builds import CODE
from helpers.children import WITHOUT_TORCH
from helpers.cli import spacy_cli
from helpers.engines import DIAGONAL, UPPER
from helpers.language_server import Fault, chat, serving
from helpers.tiny_pipelines import saved_ruler
from spacy.tokens import Span

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.requirements import extras_of

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


pytestmark = pytest.mark.usefixtures("without_key")


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
