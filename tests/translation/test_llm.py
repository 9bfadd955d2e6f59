"""`LlmTranslator`: what a language model is asked, what is taken from its answers, and builds with it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time

import pytest
import spacy
from helpers.builds import CODE, LLM_CONFIG, write_texts
from helpers.children import WITHOUT_TORCH
from helpers.cli import spacy_cli
from helpers.language_server import Fault, chat, serving
from helpers.projection import project
from helpers.scripted_model import ScriptedModel
from helpers.tiny_causal import make_tiny_causal
from helpers.tiny_scorer import found, make_bitext

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.projection.sentences import MARKERS_FLAG
from spacy_xlt.protocols import Translation, Translator
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.requirements import extras_of
from spacy_xlt.translation.llm import LlmTranslator, marks_in

pytestmark = pytest.mark.usefixtures("without_key")


def asked_in(body):
    """The text that a prompt asks to translate."""
    return body["messages"][-1]["content"].rpartition("\n\n")[2]


def saying(table):
    """A model that says what a table has, and else the text in capitals."""

    def script(body, n):
        text = asked_in(body)
        made = table.get(text, text.upper())
        return chat(made) if isinstance(made, str) else made

    return script


def make(server, **settings):
    model = {"model": "m", "cache": None, "retries": 0, **settings}
    return LlmTranslator(model=EndpointModel(base_url=server.url, **model))


def translate(table, *texts, **settings):
    with serving(saying(table)) as server:
        return make(server, **settings).translate(texts, source="en", target="pt")


def test_each_text_is_a_request_that_names_the_languages():
    with serving(saying({})) as server:
        translator = make(server)
        assert isinstance(translator, Translator)
        made = translator.translate(["The dog.", "", "  a cat\n"], source="eng_Latn", target="pt-BR")
        assert [translation.text for translation in made] == ["THE DOG.", "", "  A CAT\n"]
        assert len(server.requests) == 2 and translator.translate([], source="en", target="pt") == []
    assert all("from English into Portuguese (Brazil)" in text and "has marks" not in text for text in server.asked)


def test_the_log_probability_of_the_answer_is_the_score():
    (made,) = translate({"dog": chat("cão", log_probs=[-0.5, -1.5])}, "dog", log_probs=True)
    assert made == Translation("cão", -1.0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<think>dog is cão</think>\n\n“O cão.”", Translation("O cão.")),
        ("Portuguese: O cão.", Translation("O cão.")),
        ("O cão.\n\nI kept the full stop.", Translation("O cão.", flags=("commented",))),
        (chat("O", finish="length"), Translation("O", flags=("truncated",))),
        (chat("<think>The do", finish="length"), Translation("", flags=("truncated",))),
        (chat(None, refusal="I will not", finish="stop"), Translation("", flags=("refused",))),
        (chat("", finish="content_filter"), Translation("", flags=("refused",))),
        (chat(None), Translation("")),
    ],
)
def test_an_answer_that_is_not_the_translation_alone_is_made_so_or_flagged(answer, expected):
    assert translate({"The dog.": answer}, "The dog.") == [expected]


@pytest.mark.parametrize(
    ("answer", "flag"),
    [
        (chat(None), "empty"),
        (chat("", refusal="no"), "refused"),
        ("The dog sleeps in the house now.", "copied"),
        ("O cão cão cão cão cão cão cão cão cão cão cão cão", "looping"),
        ("I am sorry, but I cannot help with this text, as it is about a dog in a house. " * 2, "length_ratio"),
    ],
)
def test_wrong_answers_are_flagged_in_a_pipeline(answer, flag):
    with serving(saying({"The dog sleeps in the house now.": answer})) as server:
        nlp = spacy.blank("en")
        model = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": server.url, "model": "m", "cache": None}
        engine = {"@misc": "spacy_xlt.LlmTranslator.v1", "model": model}
        nlp.add_pipe("xlt_translator", config={"engine": engine, "target": "pt"})
        assert flag in nlp("The dog sleeps in the house now.")._.xlt["pt"].flags


@pytest.mark.parametrize(
    ("markers", "marked", "answer", "shown"),
    [
        ("numbered", "[1: Ann] met [2: Bo] .", "[2: Bo] conheceu [1: Ann] .", "[1: …] [2: …]"),
        ("tags", "<a>Ann</a> met <b>Bo</b> .", "<b>Bo</b> conheceu <a>Ann</a> .", "<a>…</a> <b>…</b>"),
    ],
)
def test_marks_are_asked_for_and_found(markers, marked, answer, shown):
    bitext = make_bitext("Ann met Bo .", "Bo conheceu Ann .", "", (0, 1, "PER"), (2, 3, "ORG"))
    with serving(saying({marked: answer})) as server:
        project(MarkerProjector(translator=make(server), markers=markers, source="en", target="pt"), bitext)
    assert found(bitext) == [("Bo", "ORG"), ("Ann", "PER")] and bitext.flags == ()
    assert len(server.asked) == 1 and f"marks: {shown}." in server.asked[0]


def test_marks_that_are_lost_are_left_to_the_fallback_and_flagged():
    def without_marks(body, n):
        return chat("Ann conheceu Bo .")

    bitext = make_bitext("Ann met Bo .", "Ann conheceu Bo .", None, (0, 1, "PER"))
    with serving(without_marks) as server:
        project(MarkerProjector(translator=make(server), source="en", target="pt"), bitext)
    assert found(bitext) == [("Ann", "PER")] and bitext.flags == (MARKERS_FLAG,)


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("[1: A [2: B]] c", ["[1: …]", "[2: …]"]),
        ("[A] or [B]", ["[…]", "[…]"]),
        ("<a>A</a> or <b>B <c>C</c></b>", ["<a>…</a>", "<b>…</b>", "<c>…</c>"]),
        ("a < b, 1: 2", []),
    ],
)
def test_marks_of_every_kind_are_seen(text, marks):
    assert marks_in(text) == marks


def test_the_signature_has_the_model_and_the_prompt_and_neither_key_nor_address(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    model = EndpointModel(base_url="http://localhost:1/v1", model="m", cache=None)
    translator = LlmTranslator(model=model)
    own = tmp_path / "own.j2"
    own.write_text("{{ target_language }}, please: {{ text }}")
    assert "m" in translator.signature and LlmTranslator(model=model, prompt=str(own)).signature != translator.signature
    assert not any(text in translator.signature for text in ("localhost", "secret", "OPENAI"))
    assert pickle.loads(pickle.dumps(translator)).signature == translator.signature
    assert LlmTranslator(model=CausalModel(model="m")).signature != translator.signature


def test_a_prompt_of_the_user_is_sent(tmp_path):
    own = tmp_path / "own.j2"
    own.write_text("{{ source }} {{ target }} {{ target_language }}\n\n{{ text }}")
    with serving(saying({})) as server:
        model = EndpointModel(base_url=server.url, model="m", cache=None)
        translator = LlmTranslator(model=model, prompt=str(own))
        assert translator.translate(["a dog"], source="en", target="zh")[0].text == "A DOG"
    assert server.asked == ["en zh Chinese\n\na dog"]


def test_a_model_in_this_process_translates(tmp_path):
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "tiny", longest=1024)), max_tokens=8)
    first, again, empty = LlmTranslator(model=model).translate(["a dog", "a dog", ""], source="en", target="pt")
    assert first == again and first.score < 0 and first.flags == ("truncated",) and empty == Translation("")


@pytest.mark.parametrize("model", [None, "gpt", object()])
def test_what_is_no_language_model_is_refused(model):
    with pytest.raises(XltError, match=r"XLT-E150.*`model` of LlmTranslator.*EndpointModel"):
        LlmTranslator(model=model)


def sampled(*answers, text="The dog."):
    """What is made of several answers to one text."""
    model = ScriptedModel(lambda request: answers[request.sample])
    (made,) = LlmTranslator(model=model, samples=len(answers)).translate([text], source="en", target="pt")
    assert [request.sample for request in model.requests] == list(range(len(answers)))
    return made


def test_of_several_samples_the_one_that_is_the_most_like_the_others_is_taken():
    assert sampled("Um gato.", "O cão.", "O cão!", Answer("O cão.", log_prob=-1.0)).text == "O cão."
    assert sampled("O cão.", Answer("Esse cão.", log_prob=-1.0), Answer("Um gato.", log_prob=-2.0)).text != "Um gato."


@pytest.mark.parametrize("bad", [Answer("", "refusal"), Answer("O cão d", "length"), "", "Um cão.\n\nOr:\n\nO cão."])
def test_a_sample_with_something_wrong_is_not_taken_where_there_is_another(bad):
    assert sampled(bad, bad, "O gato.", bad) == Translation("O gato.")


def test_samples_with_the_marks_are_taken_before_others():
    text = "[1: Ann] met [2: Bo]."
    without = "Ann conheceu Bo."
    made = sampled(without, without, "[1: Ann] conheceu Bo.", "[2: Bo] conheceu [1: Ann]", text=text)
    assert made.text == "[2: Bo] conheceu [1: Ann]"
    assert sampled(without, "Ana conheceu [1: Bo].", without, text=text).text == "Ana conheceu [1: Bo]."


def test_samples_of_which_all_are_wrong_keep_their_flags():
    assert sampled(Answer("", "refusal"), Answer("", "refusal")).flags == ("refused",)


def test_several_samples_are_refused_where_they_would_be_the_same():
    with pytest.raises(XltError, match="XLT-E150.*`samples` of LlmTranslator is 2; expected 1, or.*temperature"):
        LlmTranslator(model=CausalModel(model="m"), samples=2)


def test_an_unknown_language_is_an_error_before_anything_is_asked():
    with serving(saying({})) as server:
        with pytest.raises(XltError, match="XLT-E010.*'qq'"):
            make(server).translate(["a"], source="en", target="qq")
        assert server.requests == []


def test_the_extra_of_the_endpoint_is_needed_with_it():
    block = {"@misc": "spacy_xlt.LlmTranslator.v1", "model": {"@misc": "spacy_xlt.EndpointModel.v1"}}
    assert extras_of(block) == {"llm"}


@pytest.fixture
def build_arguments(tmp_path):
    """What to write after `spacy xlt` to build with a server: 12 sentences of a person each."""

    def arguments(server):
        config = LLM_CONFIG.format(url=server.url, cache=(tmp_path / "answers.sqlite").as_posix())
        (tmp_path / "build.cfg").write_text(config, encoding="utf8")
        corpus = write_texts(tmp_path / "in.spacy", [f"Maria met {number} dogs" for number in range(12)])
        words = ["build", tmp_path / "build.cfg", corpus, tmp_path / "out", "--code", CODE, "--silent"]
        return [*words, "--docs-per-shard", "3"]

    return arguments


def test_a_build_that_was_killed_goes_on_and_asks_nothing_twice(build_arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    gate = threading.Event()

    def script(body, n):
        if n == 7:
            gate.wait(60)
        return saying({})(body, n)

    with serving(script) as server:
        words = [str(word) for word in build_arguments(server)]
        command = [sys.executable, "-m", "spacy", "xlt", *words]
        process = subprocess.Popen(command, env={**os.environ, **WITHOUT_TORCH})
        while len(server.requests) < 8:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        gate.set()
        spacy_cli("xlt", *words)
        # The one that was under way has no answer that was seen
        assert len(server.requests) == 13 and len(set(server.asked)) == 12
    docs = list(read_docs(tmp_path / "out" / "target", lang="pt"))
    assert [doc.text.strip() for doc in docs] == [f"MARIA MET {number} DOGS" for number in range(12)]
    assert [[ent.text for ent in doc.ents] for doc in docs] == [["MARIA"]] * 12
    assert {body["authorization"] for body in server.requests} == {"Bearer sk-very-secret-key"}
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file())


def test_a_text_that_the_server_rejects_is_set_aside_and_the_others_are_built(build_arguments, tmp_path):
    with serving(saying({"Maria met 5 dogs": Fault(400, {"error": {"message": "too long"}})})) as server:
        spacy_cli("xlt", *build_arguments(server))
    docs = list(read_docs(tmp_path / "out" / "target", lang="pt"))
    assert [doc.text.strip() for doc in docs] == [f"MARIA MET {n} DOGS" for n in range(12) if n != 5]
