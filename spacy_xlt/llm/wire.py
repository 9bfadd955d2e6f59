"""Requests and answers as OpenAI's API writes them (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .api import Answer, Request
from .cache import answer_key

# What the engine itself fills in or relies on, and what would put a key into a config
OWN_PARAMETERS = frozenset(
    ("model", "messages", "prompt", "n", "stream", "api_key", "authorization", "headers", "extra_headers")
)
# Half of a pair, which JSON can have and no document
_SURROGATE = re.compile("[\ud800-\udfff]")


class Call(NamedTuple):
    """A request as it is sent.

    Attributes:
        request: What it was made from.
        path: Where to, below the address of the API.
        body: What is sent, as plain data.
        key: Stands for everything that decides the answer.
    """

    request: Request
    path: str
    body: dict[str, Any]
    key: bytes


def call_of(request: Request, *, model: str, log_probs: bool, seed: int | None, defaults: Mapping[str, Any]) -> Call:
    """Write a request down.

    Args:
        request: What to ask.
        model: The model's name.
        log_probs: Ask for the log-probabilities of the answer's tokens.
        seed: Goes up by one with each further sample; None for none.
        defaults: The parameters `temperature`, `max_tokens`, and others that the user gave. Those that are None in the
            end are left out.
    """
    is_chat = not isinstance(request.prompt, str)
    body: dict[str, Any] = {"model": model}
    if isinstance(request.prompt, str):
        body["prompt"] = request.prompt
    else:
        body["messages"] = [dict(message) for message in request.prompt]
    parameters: dict[str, Any] = {"seed": None if seed is None else seed + request.sample}
    if log_probs:
        # A switch for chats, for texts the number of alternatives
        parameters["logprobs"] = True if is_chat else 1
    if request.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.stop:
        parameters["stop"] = list(request.stop)
    parameters.update(defaults)
    # The newer name of the same, without which some models are not to be had
    most = "max_completion_tokens" if "max_completion_tokens" in parameters else "max_tokens"
    for name, value in (("temperature", request.temperature), (most, request.max_tokens)):
        # What the user has taken out stays out
        if value is not None and parameters.get(name) is not None:
            parameters[name] = value
    parameters.update(request.parameters)
    body.update((name, value) for name, value in parameters.items() if value is not None)
    path = "chat/completions" if is_chat else "completions"
    return Call(request, path, body, answer_key(path, body, request.sample))


def answer_of(data: Any) -> Answer | None:
    """Read an answer; None where it is of another form.

    A refusal has a field of its own, or `content_filter` as the reason why the answer ended.
    """
    try:
        choice = data["choices"][0]
        message = choice.get("message") or {"content": choice["text"]}
        text = _text(message.get("content"))
        usage = data.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        finish = str(choice.get("finish_reason") or "stop")
        log_prob = _log_prob(choice.get("logprobs") or {})
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if message.get("refusal") or finish == "content_filter":
        return Answer("", "refusal", None, *tokens)
    return Answer(text, finish, log_prob, *tokens)


def refusal(reason: str) -> dict[str, Any]:
    """An answer that says no, as a server has it that does not say so by an error."""
    return {"choices": [{"message": {"content": None, "refusal": reason}, "finish_reason": "content_filter"}]}


def _text(content: Any) -> str:
    """The text of a message: nothing, a text, or parts of which some are text."""
    if content is not None and not isinstance(content, str):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    return _SURROGATE.sub("\ufffd", content or "")


def _log_prob(log_probs: Mapping[str, Any]) -> float | None:
    """The mean over the tokens, in the form of chats or in that of texts; None where it is no number."""
    if log_probs.get("content"):
        values = [float(token["logprob"]) for token in log_probs["content"]]
    else:
        values = [float(value) for value in log_probs.get("token_logprobs") or () if value is not None]
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
