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

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """Cut texts into pieces. A text of nothing but spaces and characters the vocabulary drops has none."""
        # Half a surrogate pair is no character; "?" keeps the places of the others
        clean = [text.encode("utf8", "replace").decode("utf8") for text in texts]
        encoded = self._processor.encode(clean, return_type="offset_mapping", num_threads=1)
        return [
            Pieces(np.asarray(item["ids"], np.int64), word_spans(item["offsets"], text))
            for item, text in zip(encoded, clean, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> tuple[str, NDArray[np.int32]]:
        """Put pieces together.

        RETURNS (str, and int32, (n, 2)): The text, and start and end of each piece in its characters.
        """
        if not len(ids):
            return "", np.zeros((0, 2), np.int32)
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
