"""Text into Apertium's stream format and back, so that everything that is no word comes back as it was.

The format is described in Forcada et al., "Documentation of the Open-Source Shallow-Transfer Machine Translation
Platform Apertium", 2010, section 2: words stand bare, some characters take a backslash, and what is in square brackets
(a "superblank") is handed through. What a tool might change or stumble over is replaced by a numbered superblank.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"[\[\]{}^$/\\@<>]")
# White space but a single space, control and format characters, half characters, and the post-generator's `~`
_HANDED_THROUGH = re.compile(
    r"(?: ?[~\x00-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff] ?| {2,})+"
)
_ESCAPED_OR_BLANK = re.compile(r"\\(?P<escaped>.)|\[(?P<blank>[^\]\\]*)\]", re.DOTALL)
# Put behind a text: a full stop that is none of it, so that the tagger sees an end
_STOP = "."


def protect(text: str, number: int) -> tuple[bytes, list[str]]:
    """Write a text for the pipeline.

    text (str): Without white space around it.
    number (int): To recognise the text by, where it comes out again.
    RETURNS (tuple[bytes, list[str]]): The text with its end mark, and what its superblanks stand for.
    """
    kept: list[str] = []
    parts: list[str] = []
    place = 0
    for match in _HANDED_THROUGH.finditer(text):
        parts.append(_ESCAPED.sub(r"\\\g<0>", text[place : match.start()]))
        # A paragraph ends a sentence
        if match.group().count("\n") > 1:
            parts.append(f"{_STOP}[]")
        parts.append(f"[{len(kept)}]")
        kept.append(match.group())
        place = match.end()
    parts.append(_ESCAPED.sub(r"\\\g<0>", text[place:]))
    return f"{''.join(parts)}{_STOP}[]".encode() + end_mark(number), kept


def end_mark(number: int) -> bytes:
    """What follows text number so and so, on the way in and out."""
    return f"[end{number}]".encode("ascii")


def restore(output: str, kept: list[str]) -> tuple[str, bool]:
    """Read what the pipeline wrote for a text.

    output (str): Without the end mark.
    kept (list[str]): What the superblanks stand for.
    RETURNS (tuple[str, bool]): The text, and whether all superblanks came back, each once.
    """
    seen: list[int] = []

    def read(match: re.Match[str]) -> str:
        if match.lastgroup == "escaped":
            return match.group("escaped")
        name = match.group("blank")
        if not name.isdecimal() or int(name) >= len(kept):
            return ""
        seen.append(int(name))
        return kept[int(name)]

    # The text's own repeated spaces are in superblanks; these are where a word was left out
    output = re.sub(" {2,}", " ", output.replace(f"{_STOP}[]", ""))
    text = _ESCAPED_OR_BLANK.sub(read, output)
    return text, sorted(seen) == list(range(len(kept)))
