"""The connection of one process to an endpoint: tries again where that may help, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from ..errors import XltError, error
from .api import Answer
from .attempts import Attempt, attempt, back_off
from .budget import Budget
from .key import authorization
from .threads import Stopped
from .wire import Call, answer_of, refusal

# Seconds that an endpoint may take to let us in
_CONNECT_SECONDS = 10.0
# A server that asks to wait longer for one request, all in all, is not waited for
_LONGEST_WAIT = 600.0
# About a single request, which is too long or has a parameter that does not fit it
_OF_THE_REQUEST = frozenset((400, 413, 422))


class Connection:
    """Asks an endpoint, from several threads.

    Args:
        base_url: The address of the API.
        variable: The variable of the environment that has the key.
        size: How many requests are under way at once.
        timeout: Seconds that an answer may take.
        retries: How often a request that failed is sent again.
        budget: What may be spent.

    Raises:
        XltError: E279 for proxies or certificates in the environment that cannot be used.
    """

    def __init__(self, base_url: str, variable: str, *, size: int, timeout: float, retries: int, budget: Budget):
        import httpx

        self._base_url = base_url.rstrip("/")
        self._variable = variable
        self._timeout = timeout
        self._retries = retries
        self.budget = budget
        try:
            self._client = httpx.Client(
                auth=authorization(variable),
                timeout=httpx.Timeout(timeout, connect=min(_CONNECT_SECONDS, timeout), pool=None),
                # Whoever asks bounds the requests. What an interrupt left under way is not to keep new ones waiting
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=size),
            )
        # Of the environment: a proxy's address, the package for one, a file of certificates
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as err:
            raise error("E279", reason=str(err).rstrip(".")) from err
        # When a server that asked everybody to wait can be asked again
        self._open_again = 0.0

    def ask(self, call: Call, stop: Event, *, wait: Callable[[float], object] | None = None) -> Answer:
        """Get the answer to one request.

        Args:
            call: The request.
            stop: Says that there is no more use in waiting.
            wait: Waits for so many seconds; `stop.wait` where left out.

        Raises:
            XltError: E270 where access is refused or there is nothing at the address, E271 (a `DocumentError`) where
                the server rejects the request, E272 where it does not answer in spite of all tries, E273 where it
                answers something else, E274 where the budget is used up.
            Stopped: Where `stop` is set before there is an answer.
        """
        wait = wait or stop.wait
        n = failures = 0
        waited = 0.0
        while True:
            if (seconds := self._open_again - time.monotonic()) > 0:
                wait(seconds)
            if stop.is_set():
                raise Stopped
            self.budget.take()
            n += 1
            url = f"{self._base_url}/{call.path}"
            tried = attempt(self._client, url, call.body, timeout=self._timeout, variable=self._variable)
            if tried.data is not None or not tried.is_passing:
                return self._result(call, tried)
            if tried.wait is None:
                failures += 1
                if failures > self._retries:
                    raise self._gave_up(tried, n)
                wait(back_off(failures))
                continue
            # Many requests that share a limit may lose their turn again and again: it is the time that counts
            waited += max(1.0, tried.wait)
            if waited > _LONGEST_WAIT:
                raise self._gave_up(tried, n)
            self._open_again = max(self._open_again, time.monotonic() + tried.wait)
            wait(tried.wait + back_off(1))

    def _result(self, call: Call, tried: Attempt) -> Answer:
        data = tried.data
        if data is None and tried.status == 400 and tried.code.startswith("content_"):
            # Azure's content_filter and OpenAI's content_policy_violation
            data = refusal(tried.problem)
        if data is None:
            where = {"url": self._base_url, "status": tried.status, "reason": tried.problem.rstrip(".")}
            if tried.status in _OF_THE_REQUEST:
                raise error("E271", **where)
            raise error("E270", variable=self._variable, **where)
        answer = answer_of(data)
        if answer is None:
            raise error("E273", url=f"{self._base_url}/{call.path}")
        self.budget.add(call.request, answer)
        return answer

    def _gave_up(self, tried: Attempt, n: int) -> XltError:
        reason = tried.problem if not tried.status else f"status {tried.status}: {tried.problem}"
        if tried.wait is not None:
            reason += f" (it asks to wait {tried.wait:.0f} seconds)"
        return error("E272", url=self._base_url, n=n, reason=reason)
