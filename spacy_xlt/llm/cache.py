"""A cache of the answers of language models on the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple
from typing import Any

from ..io.disk_cache import DiskCache
from .api import Answer

_FORMAT = 1


class AnswerCache(DiskCache[Answer]):
    """Answers on the disk, by everything that decides them; see `DiskCache`."""

    what = "answers"
    # "xlta"
    application = 0x786C7461
    labels = ("model",)
    counted = ("model",)

    def pack(self, value: Answer) -> bytes:
        """An answer as bytes: JSON takes any text, also one with half of a surrogate pair."""
        return json.dumps(astuple(value)).encode("ascii")

    def unpack(self, data: bytes) -> Answer | None:
        """The counterpart; None for bytes that are damaged."""
        try:
            text, finish, *rest = json.loads(data)
            return Answer(text, finish, *rest) if isinstance(text, str) and isinstance(finish, str) else None
        except (ValueError, TypeError):
            return None

    def show(self, value: Answer) -> str:
        """The text, and why it ended where that is not as it should be."""
        return value.text if value.finish == "stop" else f"{value.text} ({value.finish})"


def answer_key(path: str, body: Any, sample: int) -> bytes:
    """The key of an answer: a digest of everything that decides it.

    Args:
        path: What is asked for, such as "chat/completions".
        body: All parameters with the model and the prompt, as plain data.
        sample: Which of several answers.
    """
    whole = json.dumps([_FORMAT, path, body, sample], ensure_ascii=True)
    return hashlib.sha256(whole.encode("ascii")).digest()
