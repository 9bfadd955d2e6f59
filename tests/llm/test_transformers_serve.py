"""A real server, `transformers serve`, with a tiny random model: see `make test-server`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from helpers.tiny_causal import make_tiny_causal

from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Request
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.translation.llm import LlmTranslator

COMMAND = os.environ.get("TRANSFORMERS_SERVE", "")
pytestmark = pytest.mark.skipif(not COMMAND, reason="TRANSFORMERS_SERVE does not name `transformers` from 5 on")
QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its address, and the folder of a model that it has."""
    folder = make_tiny_causal(tmp_path_factory.mktemp("model"), longest=2048)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log.txt")
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.fixture
def model(server, monkeypatch):
    """Makes an engine on the server."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def make(**settings):
        url, name = server
        return EndpointModel(**{"base_url": url, "model": name, "max_tokens": 16, "cache": None, **settings})

    return make


def test_chats_and_texts_are_answered_the_same_each_time(model):
    requests = [Request(prompt=QUESTION), Request(prompt="hello and")]
    first, second = model().complete(requests), model().complete(requests)
    assert first == second
    assert [answer.finish for answer in first] == ["length", "length"]
    assert [answer.tokens for answer in first] == [16, 16] and all(answer.prompt_tokens for answer in first)


def test_many_at_once_have_their_answers_in_order(model):
    requests = [Request(prompt=[{"role": "user", "content": letter * 5}]) for letter in "abcdefghijklmnop"]
    together = model(concurrency=8).complete(requests)
    assert together == [model(concurrency=1).complete([request])[0] for request in requests]
    assert len({answer.text for answer in together}) > 4


def test_samples_differ(model):
    requests = [Request(prompt=QUESTION, sample=n, temperature=1.0) for n in range(4)]
    assert len({answer.text for answer in model().complete(requests)}) > 1


def test_stop_and_the_most_tokens_are_heeded(model):
    (free,) = model().complete([Request(prompt=QUESTION)])
    (stopped,) = model().complete([Request(prompt=QUESTION, stop=[free.text[4]])])
    (short,) = model().complete([Request(prompt=QUESTION, max_tokens=3)])
    assert stopped.finish == "stop" and stopped.text.rstrip(free.text[4]) == free.text[: free.text.index(free.text[4])]
    assert short.tokens == 3 and free.text.startswith(short.text)


def test_a_schema_and_log_probabilities_do_no_harm_where_the_server_has_none(model):
    (plain,) = model().complete([Request(prompt=QUESTION)])
    (asked,) = model(log_probs=True).complete([Request(prompt=QUESTION, schema={"type": "object"})])
    assert asked.text == plain.text


def test_a_model_that_the_server_lacks_ends_with_an_error(model, tmp_path):
    with pytest.raises(XltError, match="E27[0-9]"):
        model(model=str(tmp_path / "none"), retries=0).complete([Request(prompt=QUESTION)])


def test_a_translator_asks_it_and_the_cache_keeps_the_answers(model, tmp_path):
    cache = str(tmp_path / "answers.sqlite")
    first = LlmTranslator(model=model(cache=cache)).translate(["hello there"], source="en", target="pt")
    asked = model(cache=cache, base_url="http://127.0.0.1:9/v1", retries=0)
    assert LlmTranslator(model=asked).translate(["hello there"], source="en", target="pt") == first
