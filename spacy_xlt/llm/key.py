"""The key of an endpoint: read from the environment where it is sent, and kept out of all that is shown."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Generator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..engine import invalid_setting
from ..errors import error

if TYPE_CHECKING:
    import httpx

# Of a key that a server shows in part, so many characters in a row are taken for it
_PART = 8
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HIDDEN = "(not shown)"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def check_variable(owner: str, variable: str) -> None:
    """Make sure that a setting names a variable of the environment, and is not the key itself.

    Raises:
        XltError: E150, without the value, which may be a key.
    """
    if not _VARIABLE.fullmatch(variable):
        expected = "the name of an environment variable in capitals, such as OPENAI_API_KEY, and not the key itself"
        raise invalid_setting(owner, "key_variable", _HIDDEN, expected)


def check_address(owner: str, base_url: str) -> None:
    """Make sure that the address of an endpoint is one, and has no secret in it.

    Raises:
        XltError: E150, without the parts that may be secret.
    """
    expected = "the address of an OpenAI-compatible API, such as http://localhost:8000/v1"
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
        # What no address can be found for
        (host or "").encode("idna")
    except ValueError:
        raise invalid_setting(owner, "base_url", _HIDDEN, expected) from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}, and more that is not shown"
        expected += ", without user, password, query and fragment: a key is read from the variable `key_variable`"
        raise invalid_setting(owner, "base_url", shown, expected)
    if parts.scheme not in ("http", "https") or not host or not base_url.isprintable() or " " in base_url:
        raise invalid_setting(owner, "base_url", base_url, expected)


def read_key(variable: str) -> str | None:
    """The key in a variable of the environment; None where it is not set or empty.

    Raises:
        XltError: E275 for one that cannot be sent.
    """
    key = os.environ.get(variable, "").strip()
    # An HTTP library would show it where it refuses it
    if not all("!" <= char <= "~" for char in key):
        del key
        raise error("E275", variable=variable)
    return key or None


def masked(text: str, variable: str) -> str:
    """A text in which the key, and parts of it, in whatever case, are three stars."""
    key = os.environ.get(variable, "").strip()
    if not key:
        return text
    if len(key) < _PART:
        # No more than a word, such as the "EMPTY" that a local server is given
        return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", "***", text, flags=re.I)
    key, plain = key.translate(_LOWER), text.translate(_LOWER)
    parts = {key[i : i + _PART] for i in range(len(key) - _PART + 1)}
    covered = [False] * len(text)
    for i in range(len(text) - _PART + 1):
        if plain[i : i + _PART] in parts:
            covered[i : i + _PART] = [True] * _PART
    shown = "".join("\0" if is_covered else char for char, is_covered in zip(text, covered, strict=True))
    return re.sub("\0+", "***", shown)


def is_shown(text: str, variable: str) -> bool:
    """Whether the whole key is in a text. One that is no more than a word may be there by chance."""
    key = os.environ.get(variable, "").strip()
    return len(key) >= _PART and key in text


def authorization(variable: str) -> httpx.Auth:
    """What puts the key into the header of a request, and holds it no longer than that."""
    import httpx

    class KeyAuth(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            if read_key(variable):
                request.headers["Authorization"] = f"Bearer {read_key(variable)}"
            yield request

    return KeyAuth()
