"""The limits of what is read, so that a small file does not take hours or all of the memory."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import error

# Characters of a line, of the text of a document, and of a token
LINE, TEXT, TOKEN = 1 << 24, 1 << 24, 100_000
# Documents of a `.spacy` file, where it has not more bytes than these
DOCS = 100_000
# What is packed may have so many bytes or characters, and if it is larger so many for each byte of the file
_UNPACKED, _RATIO = 1 << 28, 200
# Characters in a row that are neither letters nor digits nor white space, and "'s": the time that spaCy's tokenizers
# take grows with the square of them, as they are cut off one by one
MARKS = 5_000
_MARKS = re.compile(rf"(?:['’][sS]|[^\w\s]|_){{{MARKS + 1},}}")


def marks_in_a_row(text: str) -> int:
    """How many marks are in a row in a text, if they are more than `MARKS`; else 0."""
    return max((len(match.group()) for match in _MARKS.finditer(text)), default=0)


def check_size(path: Path, what: str, found: int, limit: int) -> None:
    """Make sure that something in a file is not too large.

    Args:
        path: The file.
        what: What is counted, such as "a token in characters".

    Raises:
        XltError: E542 where it is.
    """
    if found > limit:
        raise error("E542", path=path, what=what, found=found, limit=limit)


def unpacked_limit(packed: int) -> int:
    """The most bytes, or characters, that are taken from so many packed bytes."""
    return max(_UNPACKED, _RATIO * packed)
