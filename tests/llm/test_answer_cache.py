"""The cache of answers: what was put in comes back, and the command shows it."""

from __future__ import annotations

import pytest
from helpers.cli import spacy_cli
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.llm.api import Answer
from spacy_xlt.llm.cache import AnswerCache, answer_key


@settings(deadline=None, max_examples=20)
@given(st.text(), st.text(), st.none() | st.floats(allow_nan=False), st.integers(0), st.integers(0))
def test_an_answer_comes_back_as_it_was(tmp_path_factory, text, finish, log_prob, prompt_tokens, tokens):
    cache = AnswerCache(tmp_path_factory.mktemp("cache") / "a.sqlite")
    answer = Answer(text, finish, log_prob, prompt_tokens, tokens)
    cache.put([(b"key", "question", answer)], model="m")
    assert AnswerCache(cache.path).get([b"key", b"other"]) == {b"key": answer}


@pytest.mark.parametrize("data", [b"\x00\xff", b"null", b"[]", b"[null]", b"[1, 2]", b'{"text": 1}', b'["a"'])
def test_what_is_no_answer_is_not_read_as_one(data, tmp_path):
    assert AnswerCache(tmp_path / "a.sqlite").unpack(data) is None


def test_all_that_decides_an_answer_is_in_its_key():
    body = {"model": "m", "temperature": 0.0, "messages": [{"role": "user", "content": "a"}]}
    others = [
        ("completions", body, 0),
        ("chat/completions", body, 1),
        ("chat/completions", {**body, "model": "n"}, 0),
        ("chat/completions", {**body, "temperature": 0.1}, 0),
        ("chat/completions", {**body, "messages": [{"role": "system", "content": "a"}]}, 0),
    ]
    assert len({answer_key("chat/completions", body, 0), *(answer_key(*other) for other in others)}) == 6


def test_the_order_of_a_schema_s_properties_is_in_the_key():
    keys = {answer_key("chat/completions", {"schema": dict.fromkeys(order, {})}, 0) for order in ("ab", "ba")}
    assert len(keys) == 2


def test_the_command_shows_and_empties_a_cache_of_answers(tmp_path):
    path = tmp_path / "a.sqlite"
    AnswerCache(path).put([(b"1", "How\nmany?", Answer("two\nor", "length"))], model="some-model")

    def xlt(action):
        result = CliRunner().invoke(app, ["xlt", "cache", action, str(path)])
        assert result.exit_code == 0, result.output
        return result.output

    assert "1 answers" in xlt("stats") and "some-model" in xlt("stats")
    assert "some-model\tHow many?\ttwo or (length)" in xlt("list")
    assert "1 answers removed" in xlt("clear") and "0 answers" in xlt("stats")


def test_the_command_finds_the_one_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = AnswerCache("user")
    cache.put([(b"key", "a question", Answer("an answer"))], model="m")
    cache.close()
    assert "1 answers" in spacy_cli("xlt", "cache", "stats", "answers")
