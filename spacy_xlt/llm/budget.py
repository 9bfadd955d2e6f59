"""What may be spent on an endpoint, and what was."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from ..errors import error
from .api import Answer, Request


class Budget:
    """Counts requests and tokens of one process, from several threads.

    Args:
        requests: The most requests, those that failed and were sent again counted; None for no limit.
        tokens: The most tokens, of prompts and answers, after which no more is asked: what is under way then comes
            on top.
        kept: Says what becomes of the answers that came, for the error.
    """

    def __init__(self, requests: int | None, tokens: int | None, *, kept: Callable[[], str]):
        self._most_requests = requests
        self._most_tokens = tokens
        self._kept = kept
        self._lock = Lock()
        self.requests = 0
        self.tokens = 0
        self.answers = 0

    def take(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            XltError: E274 where the budget is used up.
        """
        with self._lock:
            for name, spent, most in (
                ("budget_requests", self.requests, self._most_requests),
                ("budget_tokens", self.tokens, self._most_tokens),
            ):
                if most is not None and spent >= most:
                    counts = {"requests": self.requests, "tokens": self.tokens, "answers": self.answers}
                    raise error("E274", setting=name, most=most, kept=self._kept(), **counts)
            self.requests += 1

    def add(self, request: Request, answer: Answer) -> None:
        """Count the tokens of an answer; see `tokens_of`."""
        counted = sum(tokens_of(request, answer))
        with self._lock:
            self.tokens += counted
            self.answers += 1


def tokens_of(request: Request, answer: Answer) -> tuple[int, int]:
    """Tokens that were read and written. Of a server that does not count them, characters, which are not fewer."""
    if answer.prompt_tokens or answer.tokens:
        return answer.prompt_tokens, answer.tokens
    texts = [request.prompt] if isinstance(request.prompt, str) else [m["content"] for m in request.prompt]
    return sum(map(len, texts)), len(answer.text)
