"""Texts as pieces of words: cutting texts into pieces, finding their places, splitting what is too long, and windows.

Two kinds of codec turn texts into pieces and back: `SentencePieceCodec` for Firefox's models, `TokenizerCodec` for
those of Hugging Face.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import error, missing_package
from ..languages import UNSEGMENTED
from ..protocols import Tokens
from ..tokens import encodable

# A full stop after fewer pieces is likely to be that of an abbreviation
_SHORTEST_SENTENCE = 8
_SENTENCE_END = frozenset(".!?…。！？।؟۔")
_CLAUSE_END = frozenset(",;:—–)、，；：،")


@dataclass(frozen=True)
class Pieces:
    """A text in pieces, without the end mark.

    Attributes:
        ids: Their numbers in the vocabulary, int64 of shape (n,).
        spans: Start and end of each in characters of the text before normalisation, int32 of shape (n, 2).
    """

    ids: NDArray[np.int64]
    spans: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> Pieces:
        return Pieces(self.ids[part], self.spans[part])


class Codec(Protocol):
    """Cuts texts of one language into the pieces of a model, and puts them together again."""

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """Cut texts into pieces, without marks. A text with nothing that the vocabulary knows may have none."""
        ...

    def decode(self, ids: Sequence[int]) -> tuple[str, NDArray[np.int32] | None]:
        """The text of pieces, and start and end of each in its characters (int32, (n, 2)) where they are known."""
        ...

    @property
    def unk(self) -> int:
        """The id of what no piece is for; -1 for none."""
        ...

    @property
    def scripts(self) -> frozenset[str]:
        """The scripts in which a good part of the pieces is written, by their names in Unicode, such as "LATIN"."""
        ...


def script_of(letter: str) -> str:
    """The script of a letter: the first word of its name."""
    return unicodedata.name(letter, "").partition(" ")[0]


# Of the letters in a vocabulary: scripts with a smaller share came in by chance
_SCRIPT_SHARE = 0.1


def _scripts(pieces: Iterable[str]) -> frozenset[str]:
    letters = Counter(char for piece in pieces for char in piece if char.isalpha())
    scripts = Counter[str]()
    for letter, n in letters.items():
        scripts[script_of(letter)] += n
    return frozenset(script for script, n in scripts.items() if n > _SCRIPT_SHARE * letters.total())


def lacking(codec: Codec, characters: Sequence[str]) -> set[str]:
    """Those of some characters that the pieces cannot spell: unknown ones, and those that become others."""

    def is_spelled(char: str, ids: list[int]) -> bool:
        # Some models know no capitals
        decoded = codec.decode(ids)[0].strip().casefold()
        return codec.unk not in ids and decoded == unicodedata.normalize("NFC", char).casefold()

    encoded = zip(characters, codec.encode(characters), strict=True)
    return {char for char, pieces in encoded if not is_spelled(char, pieces.ids.tolist())}


def word_spans(offsets: Sequence[Sequence[int]], text: str) -> NDArray[np.int32]:
    """Places of pieces without the spaces around them.

    A piece that is nothing but the mark before a word stands for what follows it, so it gets the place of the next
    piece; the same holds where one character became several pieces and only the last has a place.

    Returns:
        int32 of shape (n, 2).
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


class SentencePieceCodec:
    """One side's SentencePiece model.

    Args:
        path: The `.spm` file.

    Raises:
        XltError: E211 where it cannot be read, E106 without the package.
    """

    def __init__(self, path: Path):
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as err:
            raise missing_package("The translator", "sentencepiece", "bundled", reason=str(err)) from err
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

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """As `Codec.encode`."""
        clean = [encodable(text) for text in texts]
        ids = [np.asarray(row, np.int64) for row in self._processor.encode(clean, num_threads=1)]
        spans = {}
        for i, (row, text) in enumerate(zip(ids, clean, strict=True)):
            joined = self._joined(row, text)
            if joined is not None:
                spans[i] = joined[1]
        # Asking for the places takes several times as long
        others = [i for i in range(len(clean)) if i not in spans]
        encoded = self._processor.encode([clean[i] for i in others], return_type="offset_mapping", num_threads=1)
        spans.update((i, word_spans(item["offsets"], clean[i])) for i, item in zip(others, encoded, strict=True))
        return [Pieces(row, spans[i]) for i, row in enumerate(ids)]

    def decode(self, ids: Sequence[int]) -> tuple[str, NDArray[np.int32]]:
        """As `Codec.decode`."""
        if not len(ids):
            return "", np.zeros((0, 2), np.int32)
        joined = self._joined(np.asarray(ids, np.int64))
        if joined is not None:
            return joined
        decoded = self._processor.decode([int(i) for i in ids], return_type="offset_mapping")
        return decoded["text"], word_spans(decoded["offsets"], decoded["text"])

    @cached_property
    def scripts(self) -> frozenset[str]:
        """As `Codec.scripts`."""
        return _scripts(self._processor.id_to_piece(i) for i in range(len(self)))

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

    def _joined(self, ids: NDArray[np.int64], text: str | None = None) -> tuple[str, NDArray[np.int32]] | None:
        """Text and places of pieces that stand one after the other in it, as they nearly always do; None if not.

        `text` is what they should be; anything where left out.
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


class TokenizerCodec:
    """A Hugging Face tokenizer, fast or slow, as it reads and writes one of the two languages.

    Args:
        tokenizer: A PreTrainedTokenizerBase.
        processor: The SentencePieceProcessor that a slow tokenizer cuts this side's text with; None for a fast one.
        vocabulary: Pieces to ids.
    """

    def __init__(self, tokenizer: Any, processor: Any, vocabulary: Mapping[str, int]):
        self._tokenizer = tokenizer
        self._processor = processor
        self.unk = int(vocabulary.get(str(tokenizer.unk_token), -1))
        self._special = frozenset(tokenizer.all_special_ids)
        self._by_id = {i: piece for piece, i in vocabulary.items()}
        if processor is not None:
            names = [processor.id_to_piece(i) for i in range(len(processor))]
            # The model's number of each piece of the processor
            self._model_ids = np.asarray([vocabulary.get(name, self.unk) for name in names], np.int64)

    @classmethod
    def both_sides(cls, tokenizer: Any) -> tuple[TokenizerCodec, TokenizerCodec]:
        """The source's and the target's codec of a tokenizer; Marian's may have two vocabularies."""
        if hasattr(tokenizer, "spm_source"):
            target = tokenizer.target_encoder if tokenizer.separate_vocabs else tokenizer.encoder
            return (
                cls(tokenizer, tokenizer.spm_source, tokenizer.encoder),
                cls(tokenizer, tokenizer.spm_target, target),
            )
        codec = cls(tokenizer, None if tokenizer.is_fast else tokenizer.sp_model, tokenizer.get_vocab())
        return codec, codec

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """As `Codec.encode`. What looks like a special piece in a text is an unknown word."""
        clean = [encodable(text) for text in texts]
        if self._processor is None:
            backend = self._tokenizer.backend_tokenizer
            # One by one: a batch would start threads, which do not survive a fork for nlp.pipe(n_process=...)
            encoded = [backend.encode(text, add_special_tokens=False) for text in clean]
            return [
                Pieces(self._without_special(item.ids), word_spans(item.offsets, text))
                for item, text in zip(encoded, clean, strict=True)
            ]
        items = self._processor.encode(clean, return_type="offset_mapping", num_threads=1)
        return [
            Pieces(self._model_ids[np.asarray(item["ids"], np.int64)], word_spans(item["offsets"], text))
            for item, text in zip(items, clean, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> tuple[str, None]:
        """As `Codec.decode`, without special pieces. The places are not known."""
        kept = [int(i) for i in ids if int(i) not in self._special]
        if self._processor is None:
            return self._tokenizer.backend_tokenizer.decode(kept, skip_special_tokens=True).strip(), None
        return self._processor.decode_pieces([self._by_id.get(i, "") for i in kept]).strip(), None

    @cached_property
    def scripts(self) -> frozenset[str]:
        """As `Codec.scripts`."""
        return _scripts(piece for i, piece in self._by_id.items() if i not in self._special)

    def _without_special(self, ids: Sequence[int]) -> NDArray[np.int64]:
        row = np.asarray(ids, np.int64)
        return np.where(np.isin(row, list(self._special)), self.unk, row)


def split_pieces(pieces: Pieces, text: str, *, limit: int) -> list[Pieces]:
    """Cut a text's pieces into parts of at most `limit` pieces.

    What is too long is cut at every end of a sentence, because small models leave out some of many sentences. A
    sentence that is too long by itself is cut in the second half of what fits: at the last comma or the like, else
    at the last space, else between any two pieces.

    Returns:
        All pieces, in order; the whole where it fits, nothing for no pieces.
    """
    if len(pieces) <= limit:
        return [pieces] if len(pieces) else []
    parts = []
    while len(pieces):
        fitting = range(min(_SHORTEST_SENTENCE, limit), min(limit + 1, len(pieces)))
        cut = next((i for i in fitting if _cut_quality(pieces, text, i) == 3), len(pieces))
        if cut > limit:
            cut = max(range(max(1, limit // 2), limit + 1), key=lambda i: (_cut_quality(pieces, text, i), i))
        parts.append(pieces[:cut])
        pieces = pieces[cut:]
    return parts


def _cut_quality(pieces: Pieces, text: str, cut: int) -> int:
    """How good it is to cut before this piece: 3 for the end of a sentence, 0 for the middle of a word."""
    before, after = int(pieces.spans[cut - 1, 1]), int(pieces.spans[cut, 0])
    spaced = before < after and text[before:after].isspace()
    last = text[before - 1 : before]
    # Scripts without spaces have punctuation of their own, which is always an end; "3.5" is none
    ends = spaced or not last.isascii()
    if ends and last in _SENTENCE_END:
        return 3
    if ends and last in _CLAUSE_END:
        return 2
    return int(spaced)


def join_tokens(items: Sequence[str | Tokens], language: str) -> tuple[list[str], list[NDArray[np.int32]]]:
    """Texts of token lists, and where in them each token stands: int32 of shape (n_tokens, 2) for each."""
    gap = "" if language in UNSEGMENTED else " "
    texts, spans = [], []
    for item in items:
        tokens = item.split() if isinstance(item, str) else list(item)
        texts.append(gap.join(tokens))
        lengths = np.asarray([len(token) for token in tokens], np.int32)
        starts = np.cumsum(lengths + len(gap)) - lengths - len(gap)
        spans.append(np.stack([starts, starts + lengths], axis=1).astype(np.int32))
    return texts, spans
