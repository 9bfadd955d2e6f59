"""`CausalModel`: a tiny random model answers as the search by hand does, whatever else is in its batch."""

from __future__ import annotations

import pickle
import threading

import pytest
import spacy
import torch
from helpers.language_server import chat, serving
from helpers.tiny_causal import make_tiny_causal
from transformers import AutoModelForCausalLM, AutoTokenizer

from spacy_xlt.errors import DocumentError, XltError
from spacy_xlt.llm.api import LanguageModel, Request
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.llm.endpoint import EndpointModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(make_tiny_causal(tmp_path_factory.mktemp("causal") / "tiny"))


def ask(text, **fields):
    return Request(prompt=[{"role": "user", "content": text}], **fields)


def by_hand(folder, text, n):
    """The most probable token, n times, and the mean log-probability."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(text).input_ids
    start, total = len(ids), 0.0
    for _ in range(n):
        with torch.no_grad():
            log_probs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        ids.append(int(log_probs.argmax()))
        total += float(log_probs.max())
        if ids[-1] == tokenizer.eos_token_id:
            break
    return tokenizer.decode(ids[start:], skip_special_tokens=True), total / (len(ids) - start), len(ids) - start


def test_answers_are_the_most_probable_ones_in_any_batch(folder):
    texts = ["hello", "a", "what is it.", "go on", "hello"]
    limits = [12, 3, 20, 8, 12]
    expected = [by_hand(folder, f"<user>{text}<assistant>", n) for text, n in zip(texts, limits, strict=True)]
    requests = [ask(text, max_tokens=n) for text, n in zip(texts, limits, strict=True)]
    assert len({text for text, _, _ in expected}) > 2
    for batch_tokens in (1, 16384):
        model = CausalModel(model=folder, batch_tokens=batch_tokens)
        assert isinstance(model, LanguageModel)
        for answer, (text, log_prob, n) in zip(model.complete(requests), expected, strict=True):
            assert (answer.text, answer.tokens) == (text, n)
            assert answer.log_prob == pytest.approx(log_prob, abs=1e-4)


def test_a_text_is_gone_on_from_as_it_is(folder):
    (answer,) = CausalModel(model=folder, max_tokens=6).complete([Request(prompt="hello")])
    assert answer.text == by_hand(folder, "hello", 6)[0] and answer.prompt_tokens == 5


def test_an_answer_that_is_cut_off_says_so(folder):
    model = CausalModel(model=folder, max_tokens=60)
    answers = model.complete([ask(c) for c in "abcdefghijkl"])
    assert {"length"} <= {answer.finish for answer in answers} <= {"length", "stop"}
    assert all((answer.finish == "length") is (answer.tokens == 60) for answer in answers)


def test_it_ends_before_a_stop_text_and_others_in_the_batch_go_on(folder):
    model = CausalModel(model=folder, max_tokens=30)
    whole = model.complete([ask("go on")])[0].text
    stop = whole[4:6]
    cut, other = model.complete([ask("go on", stop=[stop, "never there"]), ask("go on")])
    assert (cut.text, cut.finish) == (whole[: whole.index(stop)], "stop") and other.text == whole
    assert cut.tokens < other.tokens


def test_samples_differ_and_are_the_same_again_in_another_batch(folder):
    model = CausalModel(model=folder, temperature=2.0, max_tokens=15)
    texts = [answer.text for answer in model.complete([ask("go", sample=i) for i in range(6)])]
    assert len(set(texts)) == 6
    again = CausalModel(model=folder, temperature=2.0, max_tokens=15, batch_tokens=1)
    assert [again.complete([ask("go", sample=i)])[0].text for i in (4, 1)] == [texts[4], texts[1]]
    other = CausalModel(model=folder, temperature=2.0, max_tokens=15, seed=1)
    assert other.complete([ask("go")])[0].text != texts[0]
    greedy = {answer.text for answer in model.complete([ask("go", sample=i, temperature=0) for i in range(3)])}
    assert greedy == {by_hand(folder, "<user>go<assistant>", 15)[0]}


def test_sampling_follows_the_probabilities(folder):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer("go").input_ids])).logits[0, -1]
    expected = (logits / 2.0).softmax(-1)
    engine = CausalModel(model=folder, temperature=2.0, max_tokens=1)
    n = 2000
    answers = engine.complete([Request(prompt="go", sample=i) for i in range(n)])
    best = int(expected.argmax())
    share = sum(answer.text == tokenizer.decode([best]) for answer in answers) / n
    p = float(expected[best])
    assert 0.1 < p < 0.99 and abs(share - p) < 5 * (p * (1 - p) / n) ** 0.5


def test_random_numbers_of_others_are_left_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    CausalModel(model=folder, temperature=1.0, max_tokens=5).complete([ask("go")])
    assert torch.equal(torch.rand(3), expected)


def test_a_prompt_that_is_too_long_is_an_error_of_its_document(folder, tmp_path):
    short = str(make_tiny_causal(tmp_path / "short", longest=20))
    model = CausalModel(model=short)
    with pytest.raises(DocumentError, match="E277.*25 tokens.*20"):
        model.complete([Request(prompt="a" * 25)])
    (answer,) = model.complete([Request(prompt="a" * 15)])
    assert answer.tokens <= 5


def test_a_model_without_a_chat_template_takes_texts_only(tmp_path):
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "base", template=None)), max_tokens=3)
    assert model.complete([Request(prompt="a")])
    with pytest.raises(XltError, match="E276.*template"):
        model.complete([ask("a")])


def test_a_role_that_the_template_refuses_is_said(tmp_path):
    template = "{{ raise_exception('no system role') }}"
    model = CausalModel(model=str(make_tiny_causal(tmp_path / "odd", template=template)))
    with pytest.raises(XltError, match="E276.*no system role"):
        model.complete([ask("a")])


def test_what_is_no_causal_model_is_refused(tmp_path):
    with pytest.raises(XltError, match="E150"):
        CausalModel(model=" ")
    (tmp_path / "empty").mkdir()
    with pytest.raises(XltError, match="E303.*empty"):
        CausalModel(model=str(tmp_path / "empty")).complete([ask("a")])


def test_progress_pickling_config_and_signature(folder):
    made = spacy.registry.resolve({"engine": {"@misc": "spacy_xlt.CausalModel.v1", "model": folder, "max_tokens": 4}})
    model = pickle.loads(pickle.dumps(made["engine"]))
    steps: list[int] = []
    answers = model.complete([ask("a"), ask("b"), ask("a")], progress=steps.append)
    assert answers[0] == answers[2] and sum(steps) == 3 and model.complete([]) == []
    assert "model:tiny|" in model.signature and folder not in model.signature


def test_it_answers_the_same_behind_an_endpoint(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    model = CausalModel(model=folder)
    lock = threading.Lock()

    def script(body, n):
        fields = {"max_tokens": body["max_tokens"], "stop": body.get("stop", ()), "temperature": body["temperature"]}
        with lock:
            (answer,) = model.complete([Request(prompt=body["messages"], **fields)])
        return chat(answer.text, finish=answer.finish, log_probs=[answer.log_prob])

    requests = [ask("hello", max_tokens=9), ask("go on", max_tokens=20, stop=["a"]), ask("", max_tokens=1)]
    with serving(script) as server:
        there = EndpointModel(base_url=server.url, model="tiny", cache=None, log_probs=True).complete(requests)
    for one, other in zip(there, model.complete(requests), strict=True):
        assert (one.text, one.finish) == (other.text, other.finish)
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
