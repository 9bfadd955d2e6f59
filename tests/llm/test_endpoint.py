"""`EndpointModel`: what is sent, what is read, what is kept, and what is asked for only once."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import pytest
import spacy
from helpers.language_server import Fault, chat, echo, serving
from spacy.language import Language

from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Answer, LanguageModel, Request
from spacy_xlt.llm.cache import AnswerCache
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.requirements import extras_of

pytestmark = pytest.mark.usefixtures("without_key")


@pytest.fixture
def make(tmp_path):
    def make_model(server, **settings):
        settings = {"model": "m", "cache": str(tmp_path / "a.sqlite"), **settings}
        return EndpointModel(base_url=server.url, **settings)

    return make_model


def ask(text, **fields):
    return Request(prompt=[{"role": "user", "content": text}], **fields)


def texts_of(answers):
    return [answer.text for answer in answers]


def test_answers_come_in_order_and_equal_requests_are_sent_once(make):
    with serving() as server:
        model = make(server)
        assert isinstance(model, LanguageModel)
        assert texts_of(model.complete([ask("b"), ask("a"), ask("b")])) == ["B", "A", "B"]
        assert sorted(server.asked) == ["a", "b"] and model.complete([]) == []


def test_a_chat_and_a_text_go_to_their_own_addresses_with_the_settings(make):
    with serving() as server:
        model = make(server, temperature=0.5, max_tokens=9, seed=4, parameters={"top_p": 0.9, "seed": None})
        model.complete([ask("a"), Request(prompt="b", stop=["\n"], max_tokens=3, temperature=0)])
    chat_body, text_body = sorted(server.requests, key=lambda body: body["path"])
    shared = {"model": "m", "top_p": 0.9, "authorization": ""}
    messages = [{"role": "user", "content": "a"}]
    assert chat_body == {
        **shared, "path": "/v1/chat/completions", "messages": messages, "temperature": 0.5, "max_tokens": 9
    }  # fmt: skip
    assert text_body == {
        **shared, "path": "/v1/completions", "prompt": "b", "stop": ["\n"], "temperature": 0, "max_tokens": 3
    }  # fmt: skip


def test_a_schema_and_a_grammar_are_sent_as_servers_have_them(make):
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    with serving() as server:
        request = ask("a", schema=schema, parameters={"structured_outputs": {"choice": ["x", "y"]}})
        make(server).complete([request])
        make(server, parameters={"response_format": None}).complete([request])
    first, second = server.requests
    assert first["response_format"]["json_schema"]["schema"] == schema and "response_format" not in second
    assert first["structured_outputs"] == second["structured_outputs"] == {"choice": ["x", "y"]}


def test_the_newer_name_of_the_limit_takes_that_of_a_request(make):
    with serving() as server:
        model = make(server, parameters={"max_tokens": None, "max_completion_tokens": 50})
        model.complete([ask("a"), ask("b", max_tokens=7)])
    limits = {asked: body["max_completion_tokens"] for asked, body in zip(server.asked, server.requests, strict=True)}
    assert limits == {"a": 50, "b": 7} and not any("max_tokens" in body for body in server.requests)


def test_log_probabilities_are_asked_for_in_the_form_of_each_address(make):
    with serving() as server:
        make(server, log_probs=True).complete([ask("a"), Request(prompt="b")])
        make(server).complete([ask("a")])
    assert {body["path"]: body["logprobs"] for body in server.requests if "logprobs" in body} == {
        "/v1/chat/completions": True,
        "/v1/completions": 1,
    }
    assert len(server.requests) == 3


def test_samples_of_a_request_are_asked_for_one_by_one_with_seeds_of_their_own(make):
    with serving(lambda body, n: chat(f"seed {body['seed']}")) as server:
        model = make(server, seed=10)
        assert texts_of(model.complete([ask("a", sample=i) for i in range(3)])) == ["seed 10", "seed 11", "seed 12"]
        model.complete([ask("a", sample=i) for i in range(5)])
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (chat("yes", log_probs=[-1, -2]), Answer("yes", "stop", -1.5, 3, 2)),
        (chat("ye", finish="length"), Answer("ye", "length", None, 3, 2)),
        (chat(None, finish="length"), Answer("", "length", None, 3, 2)),
        (chat(""), Answer("", "stop", None, 3, 2)),
        (chat(None, refusal="I can't"), Answer("", "refusal", None, 3, 2)),
        (chat("half", finish="content_filter"), Answer("", "refusal", None, 3, 2)),
        ({"choices": [{"message": {"content": [{"type": "text", "text": "in parts"}]}}]}, Answer("in parts")),
        ({"choices": [{"text": "t", "logprobs": {"token_logprobs": [None, -3]}}]}, Answer("t", "stop", -3.0)),
        (chat("yes", log_probs=[float("nan")]), Answer("yes", "stop", None, 3, 2)),
        (chat("yes", log_probs=[-1, float("-inf")]), Answer("yes", "stop", None, 3, 2)),
        (chat("half \ud83d of a pair"), Answer("half \ufffd of a pair", "stop", None, 3, 2)),
        (Fault(200, b"\xef\xbb\xbf" + json.dumps(chat("marked")).encode()), Answer("marked", "stop", None, 3, 2)),
        (Fault(400, {"error": {"code": "content_filter", "message": "no"}}), Answer("", "refusal")),
    ],
)
def test_answers_of_every_kind_are_read_and_kept(make, said, answer):
    with serving(lambda body, n: said) as server:
        assert make(server).complete([ask("a")]) == [answer]
        assert make(server).complete([ask("a")]) == [answer]
        assert len(server.requests) == 1


def test_many_requests_are_under_way_at_once(make):
    lock, now, most = threading.Lock(), [0], [0]

    def slow(body, n):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return echo(body, n)

    with serving(slow) as server:
        start = time.perf_counter()
        make(server, concurrency=32).complete([ask(str(i)) for i in range(64)])
        seconds = time.perf_counter() - start
        assert 8 < most[0] <= 32 and seconds < 64 * 0.05 / 2
        most[0] = 0
        make(server, concurrency=2).complete([ask(str(i)) for i in range(100, 106)])
        assert most[0] == 2


def test_it_works_where_an_event_loop_runs(make):
    async def notebook(model):
        return texts_of(model.complete([ask("a")]))

    with serving() as server:
        assert asyncio.run(notebook(make(server))) == ["A"]


def _child(model, queue):
    queue.put(texts_of(model.complete([ask(text) for text in ("a", "c")])))


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_it_works_in_forked_processes_and_after_pickling(make):
    with serving() as server:
        model = make(server)
        model.complete([ask("a")])
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=_child, args=(model, queue))
        process.start()
        assert queue.get(timeout=30) == ["A", "C"]
        process.join()
        assert texts_of(pickle.loads(pickle.dumps(model)).complete([ask("c"), ask("d")])) == ["C", "D"]
        assert sorted(server.asked) == ["a", "c", "d"]


@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_it_works_inside_of_nlp_pipe_with_processes(make):
    @Language.component("asks_for_test")
    def asks(doc):
        doc.user_data["said"] = model.complete([ask(doc.text)])[0].text
        return doc

    with serving() as server:
        model = make(server)
        nlp = spacy.blank("en")
        nlp.add_pipe("asks_for_test")
        model.complete([ask("before")])
        texts = [f"text {i}" for i in range(8)]
        docs = list(nlp.pipe(texts, n_process=2, batch_size=2))
        assert [doc.user_data["said"] for doc in docs] == [text.upper() for text in texts]
        assert len(server.requests) == 9


def test_progress_counts_every_request_once(make):
    with serving() as server:
        model = make(server)
        steps: list[int] = []
        model.complete([ask("a")])
        model.complete([ask(text) for text in "abbc"], progress=steps.append)
    assert sum(steps) == 4 and steps[0] == 1


def test_another_address_with_the_same_model_asks_for_nothing_again(make):
    with serving() as first, serving() as second:
        make(first).complete([ask("a")])
        assert texts_of(make(second).complete([ask("a")])) == ["A"] and second.requests == []
        make(second, model="other").complete([ask("a")])
        make(second, temperature=1.0).complete([ask("a")])
        assert len(second.requests) == 2
        assert make(first).signature == make(second).signature != make(first, model="other").signature


def test_without_a_cache_nothing_is_kept(make, tmp_path):
    with serving() as server:
        for _ in range(2):
            make(server, cache=None).complete([ask("a")])
        assert len(server.requests) == 2 and list(tmp_path.iterdir()) == []


def test_after_a_bad_request_the_others_are_answered_and_kept(make):
    def picky(body, n):
        if body["messages"][-1]["content"] == "bad":
            return Fault(400, {"error": {"message": "too long"}})
        return echo(body, n)

    with serving(picky) as server:
        with pytest.raises(XltError, match="E271.*400.*too long"):
            make(server, concurrency=1).complete([ask("bad"), ask("a"), ask("b")])
        assert texts_of(make(server).complete([ask("a"), ask("b")])) == ["A", "B"]
        assert sorted(server.asked) == ["a", "b", "bad"]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interrupt_stops_at_once_and_keeps_what_came(make, tmp_path):
    def hang(body, n):
        return Fault(200, chat("late"), delay=20) if 3 <= n < 5 else echo(body, n)

    with serving(hang) as server:
        model = make(server, concurrency=2)
        start = time.monotonic()

        def interrupt():
            while len(server.requests) < 5:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            model.complete([ask(str(i)) for i in range(9)])
        # Those that were left behind take nothing from those to come
        assert texts_of(model.complete([ask("x"), ask("y")])) == ["X", "Y"]
        assert time.monotonic() - start < 10
    assert AnswerCache(tmp_path / "a.sqlite").stats().entries == 5


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_kill_in_the_middle_asks_for_nothing_twice(make, tmp_path):
    code = """
import sys
from spacy_xlt.llm.api import Request
from spacy_xlt.llm.endpoint import EndpointModel
model = EndpointModel(base_url=sys.argv[1], model="m", cache=sys.argv[2], concurrency=1)
model.complete([Request(prompt=[{"role": "user", "content": str(i)}]) for i in range(20)])
"""
    gate = threading.Event()

    def script(body, n):
        if n == 8:
            gate.wait(30)
        return echo(body, n)

    with serving(script) as server:
        process = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path / "a.sqlite")])
        while len(server.requests) < 9:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        gate.set()
        assert texts_of(make(server).complete([ask(str(i)) for i in range(20)])) == [str(i) for i in range(20)]
        # The one that was under way has no answer that was seen
        assert len(server.requests) == 21 and len(set(server.asked)) == 20


def test_a_budget_of_requests_stops_and_a_higher_one_goes_on(make):
    with serving() as server:
        with pytest.raises(XltError, match="E274.*budget_requests.*= 3.*3 requests.*15 tokens.*3 answers.*sqlite"):
            make(server, budget_requests=3, concurrency=1).complete([ask(str(i)) for i in range(6)])
        assert len(server.requests) == 3
        model = make(server, budget_requests=3)
        model.complete([ask(str(i)) for i in range(6)])
        assert len(server.requests) == 6 and model.spent == (3, 15)


def test_a_budget_says_where_nothing_was_kept(make, tmp_path):
    (tmp_path / "text.sqlite").write_text("this is no data base, and long enough for SQLite to see it" * 20)
    with serving() as server:
        for cache, said in ((None, "not kept, as `cache` is null"), (str(tmp_path / "text.sqlite"), "not kept.*text")):
            model = make(server, budget_requests=1, cache=cache)
            with warnings.catch_warnings(), pytest.raises(XltError, match=f"E274.*{said}"):
                warnings.simplefilter("ignore")
                model.complete([ask("a"), ask("b")])


def test_a_budget_of_tokens_counts_what_the_server_says(make):
    with serving() as server:
        with pytest.raises(XltError, match="E274.*budget_tokens.*= 12"):
            make(server, budget_tokens=12, concurrency=1).complete([ask(str(i)) for i in range(6)])
        assert len(server.requests) == 3


def test_a_budget_of_tokens_holds_where_the_server_counts_none(make):
    with serving(lambda body, n: {"choices": [{"text": "12345"}]}) as server:
        with pytest.raises(XltError, match="E274"):
            make(server, budget_tokens=30, concurrency=1).complete([Request(prompt=f"12345 {i:03}") for i in range(9)])
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": ""},
        {"base_url": "localhost:8000"},
        {"base_url": "file:///etc"},
        {"base_url": " http://localhost/v1"},
        {"base_url": "http://localhost/v1\n"},
        {"base_url": "http://a..b/v1"},
        {"timeout": float("inf")},
        {"model": " "},
        {"parameters": {"stream": True}},
        {"temperature": -1},
        {"concurrency": 0},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings):
    with pytest.raises(XltError, match="E150"):
        EndpointModel(**{"base_url": "http://localhost/v1", "model": "m", "cache": None, **settings})


def test_httpx_is_not_imported_before_it_is_needed():
    code = "import sys, spacy_xlt, spacy_xlt.llm.endpoint; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_httpx_the_extra_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with serving() as server, pytest.raises(XltError, match=r"E106.*httpx.*spacy-xlt\[llm\]"):
        make(server).complete([ask("a")])


def test_it_is_made_from_a_config_and_named_in_requirements(tmp_path):
    settings = {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": "http://localhost/v1", "model": "m", "cache": None}
    made = spacy.registry.resolve({"engine": settings})["engine"]
    assert isinstance(made, EndpointModel) and extras_of(settings) == {"llm"}
    assert "localhost" not in made.signature
