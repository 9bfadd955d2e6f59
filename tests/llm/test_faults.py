"""What goes wrong with endpoints: what is tried again, what is not, and what is said."""

from __future__ import annotations

import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from helpers.language_server import Fault, chat, echo, serving

from spacy_xlt.errors import DocumentError, XltError
from spacy_xlt.llm.api import Request
from spacy_xlt.llm.attempts import back_off, seconds_to_wait
from spacy_xlt.llm.endpoint import EndpointModel

GOOD = chat("good")


pytestmark = pytest.mark.usefixtures("without_key")


@pytest.fixture
def waits():
    """Seconds that were to be waited."""
    return []


@pytest.fixture
def model_of(waits):
    """Makes models that write seconds down instead of waiting."""

    def make(url, **settings):
        model = EndpointModel(base_url=url, model="m", cache=None, **settings)
        model.wait = waits.append
        return model

    return make


def ask(text="question"):
    return Request(prompt=[{"role": "user", "content": text}])


def failing(*faults):
    """Each of the faults once, then a good answer."""
    return lambda body, n: faults[n] if n < len(faults) else GOOD


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status, {"error": {"message": "later"}}) for status in (408, 409, 425, 429, 500, 502, 503, 529)),
        Fault(503, "<html>busy</html>"),
        Fault(200, b'{"choices": [{"mess', declared=500),
        Fault(200, b'{"choices": [{"mess'),
        Fault(200, b"\xff\xfe not JSON"),
        Fault(200, {"error": {"code": 503, "message": "the model is loading"}}),
        Fault(200, GOOD, delay=1.0),
        Fault(200, GOOD, drip=0.05),
    ],
    ids=lambda fault: f"{fault.status} {fault.body[:16]!r} {fault.delay or ''}{fault.drip or ''}",
)
def test_a_passing_fault_is_tried_again(fault, model_of, waits):
    with serving(failing(fault, fault)) as server:
        model = model_of(server.url, timeout=0.4)
        assert model.complete([ask()])[0].text == "good"
        assert len(server.requests) == 3 and len(waits) == 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "E271", DocumentError),
        (413, "E271", DocumentError),
        (401, "E270", XltError),
        (403, "E270", XltError),
        (404, "E270", XltError),
        (301, "E270", XltError),
    ],
)
def test_a_lasting_fault_is_not_tried_again_and_shown_in_the_server_s_words(status, code, kind, model_of):
    with serving(lambda body, n: Fault(status, {"error": {"message": "because " + "x" * 999}})) as server:
        with pytest.raises(kind, match=f"{code}.*status {status}.*because x+…") as caught:
            model_of(server.url).complete([ask()])
        assert type(caught.value) is kind and len(server.requests) == 1 and len(str(caught.value)) < 700


def test_after_a_lasting_fault_no_more_is_asked(model_of):
    with serving(lambda body, n: Fault(401, {"error": "no"})) as server:
        with pytest.raises(XltError, match="E270"):
            model_of(server.url, concurrency=2).complete([ask(str(i)) for i in range(50)])
        assert len(server.requests) <= 3


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"choices": []},
        {"choices": [{"message": {"content": 7}}]},
        '"text"',
        3,
        {**GOOD, "usage": {"prompt_tokens": float("inf")}},
    ],
)
def test_an_answer_of_another_form_is_an_error(said, model_of):
    with serving(lambda body, n: Fault(200, said)) as server:
        with pytest.raises(XltError, match="E273.*base_url"):
            model_of(server.url).complete([ask()])
        assert len(server.requests) == 1


def test_a_long_error_is_shown_in_part_and_takes_no_time(model_of, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with serving(lambda body, n: Fault(400, "too long " * 2_000_000)) as server:
        start = time.perf_counter()
        with pytest.raises(DocumentError, match="E271.*too long too…"):
            model_of(server.url).complete([ask()])
        assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "nothing://127.0.0.1"),
        ("HTTP_PROXY", "http://127.0.0.1:port"),
        ("SSL_CERT_FILE", "/not/there"),
    ],
)
def test_an_environment_that_no_connection_can_be_made_with_is_an_error(variable, value, model_of, monkeypatch):
    monkeypatch.setenv(variable, value)
    with serving() as server, pytest.raises(XltError, match=f"E279.*{variable}"):
        model_of(server.url).complete([ask()])


def test_retry_after_is_waited_for_by_all(model_of, waits):
    when = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90), usegmt=True)
    for header, least, most in (("7", 7, 8), ("0.5", 0.5, 2), (when, 80, 91)):
        with serving(failing(Fault(429, {}, headers={"Retry-After": header}))) as server:
            waits.clear()
            model_of(server.url, concurrency=1).complete([ask("a"), ask("b")])
        assert least <= waits[0] <= most
        # Nobody has really waited, so the second one finds the time not come
        assert all(least - 0.5 <= seconds <= most for seconds in waits[1:]) and len(waits) >= 2


def test_a_server_that_asks_to_wait_very_long_is_not_waited_for(model_of):
    with serving(failing(Fault(429, {"error": {"message": "quota"}}, headers={"Retry-After": "86400"}))) as server:
        with pytest.raises(XltError, match="E272.*tried 1 times.*429.*quota.*86400 seconds"):
            model_of(server.url).complete([ask()])


def test_a_limit_that_many_share_is_waited_for_and_not_for_ever(model_of, waits):
    busy = Fault(429, {"error": {"message": "busy"}}, headers={"Retry-After": "50"})
    with serving(failing(*[busy] * 11)) as server:
        assert model_of(server.url, retries=0).complete([ask()])[0].text == "good"
    with serving(lambda body, n: busy) as server:
        with pytest.raises(XltError, match="E272.*tried 13 times.*429: busy"):
            model_of(server.url, retries=0).complete([ask()])


def test_it_gives_up_after_so_many_tries(model_of):
    with serving(lambda body, n: Fault(500, "out of order")) as server:
        with pytest.raises(XltError, match="E272.*tried 3 times.*status 500: out of order"):
            model_of(server.url, retries=2).complete([ask()])
        assert len(server.requests) == 3


def test_where_nothing_listens_it_says_so(model_of, waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        model = model_of(url, retries=3)
        with pytest.raises(XltError, match="E272.*ConnectError") as caught:
            model.complete([ask()])
        assert url in str(caught.value) and len(waits) == 3


def test_tries_count_in_the_budget(model_of):
    with serving(lambda body, n: Fault(500, "")) as server:
        with pytest.raises(XltError, match="E274"):
            model_of(server.url, budget_requests=2).complete([ask()])
        assert len(server.requests) == 2


def test_a_wait_ends_when_another_request_has_failed_for_good():
    both = threading.Barrier(2, timeout=30)

    def script(body, n):
        # Each is under way before the other is answered
        both.wait()
        is_first = body["messages"][-1]["content"] == "first"
        return Fault(429, {}, headers={"Retry-After": "300"}) if is_first else Fault(401, {}, delay=0.2)

    with serving(script) as server:
        start = time.monotonic()
        model = EndpointModel(base_url=server.url, model="m", cache=None, concurrency=2)
        with pytest.raises(XltError, match="E270"):
            model.complete([ask("first"), ask("second")])
        assert time.monotonic() - start < 60


def test_one_busy_answer_among_many_loses_none(model_of):
    def busy(body, n):
        return Fault(429, {}) if n % 3 == 1 else echo(body, n)

    with serving(busy) as server:
        made = model_of(server.url, concurrency=8).complete([ask(str(i)) for i in range(40)])
        assert [answer.text for answer in made] == [str(i) for i in range(40)]


def test_waits_grow_up_to_a_minute_and_differ():
    assert all(0.25 <= back_off(1) <= 0.5 and 2 <= back_off(4) <= 4 and 30 <= back_off(50) <= 60 for _ in range(50))
    assert len({back_off(3) for _ in range(20)}) > 10


@pytest.mark.parametrize("header", ["", "soon", "-3", "nan", "inf", "Foo, 99 Bar 2026"])
def test_a_retry_after_that_says_nothing_is_none(header):
    assert seconds_to_wait(header) is None


def test_a_retry_after_in_the_past_is_no_wait():
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
