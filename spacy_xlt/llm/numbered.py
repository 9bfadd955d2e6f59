"""Answers in JSON with a text for each of several numbered questions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .answers import without_thoughts

# Places of an answer at which JSON may begin that are tried
_TRIES = 64
_NUMBER = re.compile(r"\W*(?:[^\W\d]+\W*)?(\d+)\b")


def schema_of(n: int, texts: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of such an answer.

    Args:
        n: How many questions.
        texts: The schema of each text.
    """
    names = [str(number) for number in range(1, n + 1)]
    # Written once where it is long; not all servers know references
    text = {"$ref": "#/$defs/words"} if "enum" in texts else dict(texts)
    whole = {"type": "object", "properties": dict.fromkeys(names, text), "required": names}
    shared = {"$defs": {"words": dict(texts)}} if "enum" in texts else {}
    return {**whole, "additionalProperties": False, **shared}


def read_numbered(answer: str, n: int) -> dict[int, str]:
    """The texts of an answer by number, from 1 on; empty for one that is not JSON, such as one that was cut off.

    What stands around the JSON is left out, so are other keys; a list with a text for each question will do, too. Of
    several objects the one with most of the numbers counts, the last of those.
    """
    best: dict[int, str] = {}
    for value in _values(without_thoughts(answer)):
        try:
            readings = list(_readings(value, n))
        except RecursionError:
            # Nested deeper than anything that was asked for
            continue
        for texts in readings:
            if texts and len(texts) >= len(best):
                best = texts
    return best


def _values(text: str) -> Iterator[Any]:
    """The JSON objects and lists in a text, one after the other."""
    # Numbers stay as they are written
    decoder = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
    place = 0
    for _ in range(_TRIES):
        start = min((found for found in (text.find("{", place), text.find("[", place)) if found >= 0), default=-1)
        if start < 0:
            return
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
        else:
            yield value


def _readings(value: Any, n: int) -> Iterator[dict[int, str]]:
    """What a value, or one inside it, has for the numbers."""
    if isinstance(value, list):
        texts = [_text(item) for item in value]
        if len(texts) == n and None not in texts:
            yield {number: text for number, text in enumerate(texts, 1) if text is not None}
            return
    elif isinstance(value, dict):
        found = _of_object(value, n)
        if found:
            yield found
            return
        value = list(value.values())
    else:
        return
    for inner in value:
        yield from _readings(inner, n)


def _of_object(value: Mapping[str, Any], n: int) -> dict[int, str]:
    texts: dict[int, str] = {}
    # Keys that are the number alone, before those that have it in them
    for key in sorted(value, key=lambda key: not key.strip().isdecimal()):
        match = _NUMBER.match(key)
        number = int(match[1]) if match and len(match[1]) < 6 else 0
        text = _text(value[key])
        if 1 <= number <= n and text is not None:
            texts.setdefault(number, text)
    return texts


def _text(value: Any) -> str | None:
    """A value as text; None where it is none."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(value) if value and all(isinstance(item, str) for item in value) else None
    return value if isinstance(value, str) else None
