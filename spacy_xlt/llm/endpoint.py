"""`EndpointModel`: a language model behind an OpenAI-compatible API (vLLM, Ollama, llama.cpp, a cloud)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, ClassVar

from ..engine import Engine, invalid_setting, setting
from ..errors import missing_package
from .api import Answer, Request, nothing
from .budget import Budget
from .cache import AnswerCache
from .connection import Connection
from .key import check_address, check_variable, is_shown, masked, read_key
from .threads import gather
from .wire import OWN_PARAMETERS, Call, call_of

OWNER = "EndpointModel"


@dataclass(kw_only=True, eq=False)
class EndpointModel(Engine):
    """Asks a model behind an OpenAI-compatible API, with chats (`chat/completions`) and texts (`completions`).

    An answer is kept in the cache as soon as it is there, under everything that decides it: the model's name, prompt,
    parameters and sample, but not the address. So a run that was killed asks for nothing twice. An answer that has the
    key in it is not kept.

    The key is read from the environment when a request is sent. It is in no setting, signature, error or file.

    Args:
        base_url: Address of the API, usually ending in /v1. What is asked is sent there, so none is taken unasked.
        model: The model's name there.
        key_variable: The variable of the environment that has the key. Where it is not set, none is sent.
        temperature: 0 for the most probable answer.
        max_tokens: The most tokens of an answer.
        seed: For samples; the further ones of the same request have the numbers after it. Null to send none.
        log_probs: Ask for log-probabilities. Not every server has them.
        parameters: Further parameters of each request, as the server has them; null takes one out. For example
            {"top_p": 0.9}, or {"max_tokens": null, "max_completion_tokens": 1024} for a server that wants it so.
        concurrency: How many requests are under way at once.
        timeout: Seconds that an answer may take.
        retries: How often a request that failed for a passing reason is sent again: too many at once, an error of the
            server, no connection, no answer in time, half an answer. Where the server says when to come back, it is
            asked again then, for ten minutes a request.
        budget_requests: The most requests that this process sends, all tries counted.
        budget_tokens: The most tokens that this process has read and written. Requests that are under way when it is
            used up come on top.
        cache: File to keep answers in; "user" for one in the user's cache folder; null for none.

    Raises:
        XltError: E150 for an invalid setting.
    """

    extra: ClassVar[str | None] = "llm"

    base_url: str = setting("", decides=False)
    model: str = ""
    key_variable: str = setting("OPENAI_API_KEY", decides=False)
    temperature: float = setting(0.0, ge=0)
    max_tokens: int = setting(1024, ge=1)
    seed: int | None = 0
    log_probs: bool = False
    parameters: dict[str, Any] | None = None
    concurrency: int = setting(16, ge=1, le=1024, decides=False)
    timeout: float = setting(120.0, gt=0, le=86400, decides=False)
    retries: int = setting(6, ge=0, decides=False)
    budget_requests: int | None = setting(None, ge=1, decides=False)
    budget_tokens: int | None = setting(None, ge=1, decides=False)
    cache: str | None = setting("user", decides=False)

    def __post_init__(self) -> None:
        # Before other settings are, so that no error shows a key that was put into one of them
        check_variable(OWNER, str(self.key_variable))
        check_address(OWNER, str(self.base_url))
        super().__post_init__()
        if not self.model.strip():
            raise invalid_setting(OWNER, "model", self.model, "the name of a model that the endpoint has")
        if own := OWN_PARAMETERS & set(self.parameters or ()):
            raise invalid_setting(OWNER, "parameters", sorted(own), f"none of {', '.join(sorted(OWN_PARAMETERS))}")
        self._cache = None if self.cache is None else AnswerCache(self.cache)
        self._connection: Connection | None = None
        self._process = 0
        # How to wait for so many seconds, where that is not to be done by waiting
        self.wait: Callable[[float], object] | None = None

    def complete(self, requests: Sequence[Request], *, progress: Callable[[int], object] = nothing) -> list[Answer]:
        """Ask the model; see `LanguageModel.complete`.

        What came before an error or an interrupt is in the cache.

        Raises:
            XltError: E106 where httpx is not installed; E275 for a key that cannot be sent; E279 for proxies or
                certificates in the environment that cannot be used; others as `Connection.ask`.
        """
        defaults = {"temperature": self.temperature, "max_tokens": self.max_tokens, **(self.parameters or {})}
        given: dict[str, Any] = {
            "model": self.model,
            "log_probs": self.log_probs,
            "seed": self.seed,
            "defaults": defaults,
        }
        calls = [call_of(request, **given) for request in requests]
        counts = Counter(call.key for call in calls)
        answers = {} if self._cache is None else self._cache.get(list(counts))
        progress(sum(counts[key] for key in answers))
        new = {call.key: call for call in calls if call.key not in answers}

        def keep(call: Call, answer: Answer) -> None:
            answers[call.key] = answer
            # A text may have the key in it by accident, and a model repeat it
            if self._cache is not None and not is_shown(answer.text, self.key_variable):
                self._cache.put([(call.key, masked(call.request.text, self.key_variable), answer)], model=self.model)
            progress(counts[call.key])

        if new:
            connection = self._connected()

            def ask(call: Call, stop: Event) -> Answer:
                return connection.ask(call, stop, wait=self.wait)

            gather(ask, list(new.values()), keep, n_threads=self.concurrency)
        return [answers[call.key] for call in calls]

    @property
    def spent(self) -> tuple[int, int]:
        """Requests that this process has sent, and tokens that it has read and written."""
        budget = None if self._connection is None else self._connection.budget
        return (0, 0) if budget is None else (budget.requests, budget.tokens)

    def _connected(self) -> Connection:
        """The connection of this process: one must not be used in a process that was forked."""
        if self._connection is not None and self._process == os.getpid():
            return self._connection
        read_key(self.key_variable)
        try:
            self._connection = Connection(
                self.base_url,
                self.key_variable,
                size=self.concurrency,
                timeout=self.timeout,
                retries=self.retries,
                budget=Budget(self.budget_requests, self.budget_tokens, kept=self._kept),
            )
        except ImportError as err:
            raise missing_package(OWNER, "httpx", "llm") from err
        self._process = os.getpid()
        return self._connection

    def _kept(self) -> str:
        """What becomes of answers, in words."""
        if self._cache is None:
            return "not kept, as `cache` is null"
        return f"{'not kept, as nothing can be written to' if self._cache.is_broken else 'kept in'} {self._cache.path}"
