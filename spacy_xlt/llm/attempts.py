"""One try at an HTTP request for JSON, what may be tried again, and after which time."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .key import masked

if TYPE_CHECKING:
    import httpx

# Besides all from 500 on: a time-out, a conflict, too early, too many
_PASSING = frozenset((408, 409, 425, 429))
# Seconds before the second try, doubled for each further one up to the most
_FIRST_WAIT, _MOST_WAIT = 0.5, 60.0
# What no answer reaches, in bytes
_MOST_BYTES = 64 << 20
# Of what a server says, characters that are shown
_SHOWN = 300
# Not that of the module random, whose seed others set for what they want to repeat
_random = random.SystemRandom()


class Attempt(NamedTuple):
    """What came of one try.

    Attributes:
        data: What was received, as plain data, where that is an answer.
        problem: Else why it is none, without the key.
        status: The HTTP status; 0 where none came, or the answer was cut.
        code: The server's own code of the error.
        wait: Seconds that the server asks to wait.
    """

    data: Any = None
    problem: str = ""
    status: int = 0
    code: str = ""
    wait: float | None = None

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status == 0 or self.status in _PASSING or self.status >= 500


def attempt(client: httpx.Client, url: str, body: Mapping[str, Any], *, timeout: float, variable: str) -> Attempt:
    """Send a request once.

    Args:
        client: Sends it.
        url: Where to.
        body: Plain data.
        timeout: Seconds that the whole answer may take.
        variable: Where the key is, which is not shown.
    """
    import httpx

    deadline = time.monotonic() + timeout
    content = json.dumps(body).encode("ascii")
    try:
        with client.stream("POST", url, content=content, headers={"Content-Type": "application/json"}) as response:
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > _MOST_BYTES:
                    return Attempt(problem=f"the answer has more than {_MOST_BYTES >> 20} MiB")
                if time.monotonic() > deadline:
                    return Attempt(problem=f"the answer was not there in {timeout:g} seconds")
    except httpx.TimeoutException:
        return Attempt(problem=f"no answer in {timeout:g} seconds")
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as err:
        return Attempt(problem=_shown(f"{type(err).__name__}: {err}", variable))
    return _read(response.status_code, response.headers, bytes(received), variable)


def _read(status: int, headers: Mapping[str, str], received: bytes, variable: str) -> Attempt:
    is_good = 200 <= status < 300
    text = received.decode("utf-8-sig", "replace")
    wait = seconds_to_wait(headers.get("Retry-After", ""))
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        if is_good:
            return Attempt(problem=f"no JSON: {_shown(text, variable)}", wait=wait)
        return Attempt(None, _shown(text, variable), status, wait=wait)
    said = data.get("error") if isinstance(data, dict) else None
    if is_good and not said:
        return Attempt(data, status=status)
    said = said or data
    fields = said if isinstance(said, dict) else {"message": said}
    code = fields.get("code")
    if is_good:
        # Some gateways pass an error on with the status 200, and its own status inside
        status = code if isinstance(code, int) else 400
    return Attempt(
        None, _shown(str(fields.get("message") or said), variable), status, _shown(str(code), variable), wait
    )


def _shown(text: str, variable: str) -> str:
    """What a server says, on one line, without the key, cut short."""
    # No more of a long text is gone through than what may be shown of it
    text = masked(" ".join(text.split())[: 4 * _SHOWN], variable)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def seconds_to_wait(retry_after: str) -> float | None:
    """Seconds in a header Retry-After, which has a number or a date (RFC 9110, 10.2.3); None where it has neither."""
    try:
        seconds = float(retry_after)
        return seconds if 0 <= seconds < float("inf") else None
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(retry_after)
    except (ValueError, TypeError, IndexError):
        return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def back_off(n: int) -> float:
    """Seconds to wait before a try, `n` of which failed so far. A part is random, lest all come back at once."""
    return min(_MOST_WAIT, _FIRST_WAIT * 2.0 ** (n - 1)) * _random.uniform(0.5, 1.0)
