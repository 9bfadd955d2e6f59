"""The key of an endpoint is sent to it, and is in nothing else."""

from __future__ import annotations

import logging
import pickle
import traceback

import pytest
import spacy
from helpers.language_server import Fault, echo, serving

from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Request
from spacy_xlt.llm.endpoint import EndpointModel
from spacy_xlt.llm.key import masked

KEY = "sk-Ab3dEf6hIjKlMnOpQrStUvWx"
QUESTION = Request(prompt=[{"role": "user", "content": "a"}])


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model_of(url, tmp_path, **settings):
    model = EndpointModel(base_url=url, model="m", cache=str(tmp_path / "a.sqlite"), retries=1, **settings)
    model.wait = lambda seconds: None
    return model


def shown_by(err: BaseException) -> str:
    """All that a person could be shown of an error, the local variables of its frames and of its causes included.

    The first frame is that of the test, which has the key.
    """
    assert err.__traceback__ is not None
    shown = traceback.TracebackException(type(err), err, err.__traceback__.tb_next, capture_locals=True)
    return "".join(shown.format()) + repr(err)


def test_the_key_is_sent_from_the_variable_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("OTHER_KEY", " other-key\n")
    with serving() as server:
        model_of(server.url, tmp_path).complete([QUESTION])
        model_of(server.url, tmp_path, key_variable="OTHER_KEY", temperature=1.0).complete([QUESTION])
        model_of(server.url, tmp_path, key_variable="NOT_SET", temperature=0.5).complete([QUESTION])
    sent = [body["authorization"] for body in server.requests]
    assert sent == [f"Bearer {KEY}", "Bearer other-key", ""]


def test_a_key_that_is_set_anew_is_the_one_that_is_sent(tmp_path, monkeypatch):
    with serving() as server:
        model = model_of(server.url, tmp_path)
        model.complete([QUESTION])
        monkeypatch.setenv("OPENAI_API_KEY", "another")
        model.complete([Request(prompt="b")])
    assert server.requests[1]["authorization"] == "Bearer another"


def test_a_key_that_is_in_a_text_by_accident_is_not_in_the_cache(tmp_path):
    texts = [Request(prompt=f"my key is {KEY}"), Request(prompt=f"say {KEY[:12]}")]
    with serving(lambda body, n: {"choices": [{"text": body["prompt"] if "my" in body["prompt"] else "no"}]}) as server:
        for _ in range(2):
            answers = model_of(server.url, tmp_path).complete(texts)
            assert [answer.text for answer in answers] == [texts[0].prompt, "no"]
        assert len(server.requests) == 3
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"say ***" in written and KEY[:12].encode() not in written


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("said", ["Bad key {key}", "Bad key {part}...", "{headers}", "no JSON: {key}"])
def test_an_error_that_says_the_key_back_is_shown_without_it(status, said, tmp_path, caplog, capfd):
    def script(body, n):
        text = said.format(key=KEY, part=KEY[:16], headers={"Authorization": body["authorization"]})
        fault = text if said.startswith("no JSON") else {"error": {"message": text, "code": text}}
        return Fault(status, fault, headers={"X-Your-Request": "yes"})

    caplog.set_level(logging.DEBUG)
    with serving(script) as server, pytest.raises(XltError) as caught:
        model_of(server.url, tmp_path).complete([QUESTION])
    written = "".join(file.read_bytes().decode("latin1") for file in tmp_path.rglob("*") if file.is_file())
    printed = capfd.readouterr()
    for place in (shown_by(caught.value), caplog.text, written, printed.out, printed.err):
        assert KEY not in place and KEY[:16] not in place
    assert "***" in str(caught.value) and server.requests[0]["authorization"] == f"Bearer {KEY}"


def test_an_error_of_the_connection_does_not_show_it(tmp_path):
    model = model_of("http://127.0.0.1:1/v1", tmp_path)
    with pytest.raises(XltError, match="E272") as caught:
        model.complete([QUESTION])
    assert KEY not in shown_by(caught.value)


def test_nothing_that_is_kept_or_shown_of_the_engine_has_it(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with serving() as server:
        model = model_of(server.url, tmp_path)
        model.complete([QUESTION])
    config = {"engine": {"@misc": "spacy_xlt.EndpointModel.v1", "base_url": server.url, "model": "m"}}
    made = spacy.registry.resolve(config)["engine"]
    shown = [repr(model), str(vars(model)), model.signature, repr(pickle.dumps(model)), repr(made), caplog.text]
    files = [file.read_bytes().decode("latin1") for file in tmp_path.rglob("*") if file.is_file()]
    assert files and not any(KEY in text for text in [*shown, *files])


@pytest.mark.parametrize("variable", [KEY, "gsk_abc123", "", "MY KEY"])
def test_a_key_in_place_of_the_variable_s_name_is_refused_and_not_shown(variable, tmp_path):
    with pytest.raises(XltError, match="E150.*key_variable.*not shown") as caught:
        model_of("http://localhost/v1", tmp_path, key_variable=variable)
    assert not variable or variable not in str(caught.value)


def test_a_key_among_the_parameters_is_refused_and_not_shown(tmp_path):
    with pytest.raises(XltError, match="E150.*parameters.*api_key") as caught:
        model_of("http://localhost/v1", tmp_path, parameters={"api_key": KEY})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [f"https://user:{KEY}@host/v1", f"https://{KEY}@host/v1", f"https://host/v1?api_key={KEY}", f"https://host/#{KEY}"],
)
def test_an_address_with_a_secret_is_refused_and_the_secret_not_shown(url, tmp_path):
    with pytest.raises(XltError, match="E150.*base_url.*https://host/.*key_variable") as caught:
        model_of(url, tmp_path)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("value", [f"{KEY}\nX-Evil: 1", f"{KEY} {KEY}", f"{KEY}é"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(value, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with serving(echo) as server, pytest.raises(XltError, match="E275.*OPENAI_API_KEY") as caught:
        model_of(server.url, tmp_path).complete([QUESTION])
    assert KEY not in shown_by(caught.value) and server.requests == []


def test_a_server_elsewhere_that_it_is_sent_on_to_does_not_get_it(tmp_path):
    with serving() as other:
        elsewhere = Fault(307, "", headers={"Location": f"{other.url}/chat/completions"})
        with serving(lambda body, n: elsewhere) as server, pytest.raises(XltError, match="E270.*307"):
            model_of(server.url, tmp_path).complete([QUESTION])
        assert other.requests == []


def test_a_short_word_as_key_is_hidden_as_a_word_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert masked("EMPTY is no key, EMPTYING", "OPENAI_API_KEY") == "*** is no key, EMPTYING"
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert masked("any text", "OPENAI_API_KEY") == "any text"


def test_a_key_in_another_case_is_hidden(monkeypatch):
    assert masked(f"İ {KEY.upper()} {KEY.lower()[:12]}, İ", "OPENAI_API_KEY") == "İ *** ***, İ"
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    assert masked("Key ABC", "OPENAI_API_KEY") == "Key ***"
