"""Files with slips in them: bytes changed at random in valid ones, and what a reader makes of them.

A fuzz test compares `read(...)` with a simple reading of the same bytes that the test does itself: what was read
without an error and without a warning has to be the same. `XLT_TRIES=2000 pytest tests/readers` tries more.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_xlt.errors import XltError
from spacy_xlt.readers import ReadNotes, read_corpus

# The number of tries is the only setting, so that it can be raised by hand
fuzzed = settings(
    max_examples=int(os.environ.get("XLT_TRIES", "150")), deadline=None, suppress_health_check=list(HealthCheck)
)
# What readers may take for something else
_PIECES = [
    *(piece.encode() for piece in ("\n", "\r", "\r\n", "\n\n", "\t", " ", "  ", "\v", "\f", "\x1c", "\x85", "\xa0")),
    *(piece.encode() for piece in ("\u2028", "\u202f", "\u3000", "\ufeff", "\0", "\u200b", "😀", "é", "İ", "\u0301")),
    *(piece.encode() for piece in ("#", "# ", "# text = ", "-DOCSTART-", "O", " O", "B-PER", "I-", "-", "_", "1-2")),
    *(piece.encode() for piece in ('"', "\\", r"\ud83d", r"\u0000", "{", "}", "[", "]", ",", ":", "null", "0", "-1")),
    *(piece.encode() for piece in ("1.5", "1e9", "true", "NaN", '"text"', '"spans"', '"start"', '"label"', "T1", ";")),
    *(b"\xff", b"\xfe", b"\xff\xfe", b"\xc3", b"\x80", b"\xed\xa0\xbd", b"9999999999999999999999"),
]


@st.composite
def mutated(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """One of these files with one to three slips: bytes put in, replaced, left out, moved or said twice."""
    data = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 6)))
        piece = draw(st.one_of(st.sampled_from(_PIECES), st.binary(min_size=1, max_size=2), st.just(b"")))
        if draw(st.integers(0, 3)) == 0:
            start = draw(st.integers(0, len(data)))
            piece = data[start : start + draw(st.integers(1, 40))]
        data = data[:at] + piece + data[end:]
    return data


class Reading(NamedTuple):
    """What came of a file: documents, or an error; and what was said on the way."""

    docs: list[Doc]
    error: XltError | None
    said: list[str]
    notes: ReadNotes

    @property
    def is_silent(self) -> bool:
        """Whether it was read as if nothing was wrong."""
        return self.error is None and not self.said


def read(files: dict[str, bytes], name: str = "", **reading: Any) -> Reading:
    """Read files, which may have any bytes. Whatever is raised but an `XltError` fails the test.

    Args:
        files: By name; more than one for brat.
        name: Which of them is read; the folder where left out.
        **reading: Settings of `read_corpus`.
    """
    docs: list[Doc] = []
    error, notes = None, ReadNotes()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for path, data in files.items():
            Path(folder, path).write_bytes(data)
        try:
            docs.extend(read_corpus(Path(folder, name), notes=notes, **reading))
        except XltError as err:
            error = err
    return Reading(docs, error, [str(warning.message) for warning in caught], notes)
