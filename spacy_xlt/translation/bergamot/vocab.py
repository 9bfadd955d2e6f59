"""SentencePiece vocabularies: texts to pieces and back, with the place of each piece in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import error
from ..terms import continues_word


@dataclass(frozen=True)
class Pieces:
    """A text in pieces, without the end mark.

    ids (int64, (n,)): Their numbers in the vocabulary.
    spans (int32, (n, 2)): Start and end of each in characters of the text as it was given, before normalisation.
    """

    ids: NDArray[np.int64]
    spans: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> Pieces:
        return Pieces(self.ids[part], self.spans[part])


class Vocabulary:
    """One side's SentencePiece model.

    path (Path): The `.spm` file.
    RAISES (XltError): E211 where it cannot be read.
    """

    def __init__(self, path: Path):
        from sentencepiece import SentencePieceProcessor

        try:
            self._processor = SentencePieceProcessor(model_proto=path.read_bytes())
        except (OSError, RuntimeError) as err:
            raise error("E211", path=path, reason=str(err) or "it is not a SentencePiece model") from err
        self.eos: int = self._processor.eos_id()
        self.unk: int = self._processor.unk_id()
        if len(self) == 0 or self.eos < 0:
            raise error("E211", path=path, reason="its vocabulary has no end mark")

    def __len__(self) -> int:
        return len(self._processor)

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Which pieces make the word before them longer, and the piece for unknown characters: bool, (n_pieces,)."""
        inside = continues_word([self._processor.id_to_piece(i) for i in range(len(self))])
        inside[self.unk] = True
        return inside

    def starts_word(self, piece: int) -> bool:
        """Whether there is a space before a piece."""
        return self._processor.id_to_piece(piece).startswith("▁")

    @cached_property
    def _surfaces(self) -> tuple[list[str | None], NDArray[np.int64], NDArray[np.bool_]]:
        """The characters of each piece as they stand in a text, how many, and whether a space is the first.

        None for pieces whose characters depend on the text, or that have a space elsewhere.
        """
        surfaces: list[str | None] = []
        for i in range(len(self)):
            piece = self._processor.id_to_piece(i).replace("▁", " ")
            special = self._processor.is_unknown(i) or self._processor.is_control(i) or self._processor.is_byte(i)
            surfaces.append(None if special or " " in piece[1:] else piece)
        surfaces[self.eos] = ""
        lengths = np.asarray([len(surface or "") for surface in surfaces], np.int64)
        return surfaces, lengths, np.asarray([(surface or "").startswith(" ") for surface in surfaces])

    def _simple_spans(self, ids: NDArray[np.int64], text: str | None = None) -> tuple[str, NDArray[np.int32]] | None:
        """Text and places of pieces that stand one after the other in it, as they nearly always do.

        text (str | None): What they should be; anything where left out.
        RETURNS (tuple | None): None if it is not so simple.
        """
        surfaces, lengths, spaced = self._surfaces
        parts = [surfaces[i] for i in ids.tolist()]
        if not parts or None in parts:
            return None
        # The mark of the first word stands for no space
        joined = "".join(part or "" for part in parts)
        if joined[:1] != " " or "  " in joined or joined[-1:] == " " or (text is not None and joined[1:] != text):
            return None
        ends = np.cumsum(lengths[ids]) - 1
        starts = ends - lengths[ids] + spaced[ids]
        spans = np.stack([starts, ends], axis=1).astype(np.int32)
        # Nothing but the mark before a word: it gets the place of the next piece, as in `word_spans`
        for i in np.flatnonzero((starts == ends) & spaced[ids]).tolist():
            spans[i] = spans[i + 1]
        return joined[1:], spans

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """Cut texts into pieces. A text of nothing but spaces and characters the vocabulary drops has none."""
        # Half a surrogate pair is no character; "?" keeps the places of the others
        clean = [text.encode("utf8", "replace").decode("utf8") for text in texts]
        ids = [np.asarray(own, np.int64) for own in self._processor.encode(clean, num_threads=1)]
        simple = [self._simple_spans(*item) for item in zip(ids, clean, strict=True)]
        # Asking for the places takes several times as long
        others = [i for i, found in enumerate(simple) if found is None]
        encoded = self._processor.encode([clean[i] for i in others], return_type="offset_mapping", num_threads=1)
        spans = {i: word_spans(item["offsets"], clean[i]) for i, item in zip(others, encoded, strict=True)}
        return [
            Pieces(own, spans[i] if found is None else found[1])
            for i, (own, found) in enumerate(zip(ids, simple, strict=True))
        ]

    def decode(self, ids: Sequence[int]) -> tuple[str, NDArray[np.int32]]:
        """Put pieces together.

        RETURNS (str, and int32, (n, 2)): The text, and start and end of each piece in its characters.
        """
        if not len(ids):
            return "", np.zeros((0, 2), np.int32)
        simple = self._simple_spans(np.asarray(ids, np.int64))
        if simple is not None:
            return simple
        decoded = self._processor.decode([int(i) for i in ids], return_type="offset_mapping")
        return decoded["text"], word_spans(decoded["offsets"], decoded["text"])


def word_spans(offsets: list[Any], text: str) -> NDArray[np.int32]:
    """Places of pieces without the spaces around them.

    A piece that is nothing but the mark before a word stands for what follows it, so it gets the place of the next
    piece; the same holds where one character became several pieces and only the last has a place.
    """
    spans = []
    for start, end in offsets:
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        spans.append([start, end])
    for left, right in zip(reversed(spans[:-1]), reversed(spans[1:]), strict=True):
        if left[0] == left[1] and right[0] <= left[1] + 1 and not text[left[1] : right[0]].strip():
            left[:] = right
    return np.asarray(spans, np.int32).reshape(-1, 2)
