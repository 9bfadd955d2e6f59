"""What is asked of a language model and what it answers, the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Message = Mapping[str, str]


def nothing(n: int) -> object:
    """The progress that nobody looks at."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to ask.

    Attributes:
        prompt: Messages with a "role" and a "content" each, which is a chat; or a text that the model goes on from.
        sample: Which of several answers to the same question, from 0 on. Those beyond the first differ only at a
            `temperature` above 0.
        schema: A JSON schema for the answer. Not every model or server heeds it, so the answer is to be checked.
        stop: Texts before which the answer ends.
        max_tokens: The most tokens of the answer; the model's setting where left out.
        temperature: The same for the temperature.
        parameters: Further parameters of an endpoint for this request, such as a grammar; see `EndpointModel`.
    """

    prompt: str | Sequence[Message]
    sample: int = 0
    schema: Mapping[str, Any] | None = None
    stop: Sequence[str] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is asked last, for people."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[-1]["content"]


@dataclass(frozen=True)
class Answer:
    """What a model said to one request.

    Attributes:
        text: Its words; empty where it refused.
        finish: Why it ended: "stop", "length" where it was cut off, "refusal", or what else a server says.
        log_prob: Mean natural log-probability of its tokens; None where it is not known.
        prompt_tokens: Tokens that were read for it.
        tokens: Tokens that were written for it.
    """

    text: str
    finish: str = "stop"
    log_prob: float | None = None
    prompt_tokens: int = 0
    tokens: int = 0


@runtime_checkable
class LanguageModel(Protocol):
    """A model that answers."""

    @property
    def signature(self) -> str:
        """Name, model and settings in one short line, enough to get the same answers again."""
        ...

    def complete(self, requests: Sequence[Request], *, progress: Callable[[int], object] = nothing) -> list[Answer]:
        """Ask a model.

        Args:
            requests: Any number; equal ones are asked once.
            progress: Called with how many more requests have an answer.

        Returns:
            One answer for each request, in order.
        """
        ...
