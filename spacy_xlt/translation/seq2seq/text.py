"""Texts to pieces and back with a Hugging Face tokenizer, fast or slow, with the place of each piece in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bergamot.vocab import Pieces, word_spans
from ..terms import continues_word


class Side:
    """The tokenizer as it reads and writes one of the two languages.

    tokenizer (PreTrainedTokenizerBase): The tokenizer.
    processor (SentencePieceProcessor | None): What a slow tokenizer cuts this side's text with.
    vocabulary (Mapping[str, int]): Its pieces.
    """

    def __init__(self, tokenizer: Any, processor: Any, vocabulary: Mapping[str, int]):
        self._tokenizer = tokenizer
        self._processor = processor
        self.vocabulary = vocabulary
        self.unk = int(vocabulary.get(str(tokenizer.unk_token), -1))

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """Cut texts into pieces, without special ones: what looks like one in a text is an unknown word."""
        # Half a surrogate pair is no character; "?" keeps the places of the others
        clean = [text.encode("utf8", "replace").decode("utf8") for text in texts]
        if self._processor is None:
            backend = self._tokenizer.backend_tokenizer
            # One by one: a batch would start threads, which do not survive a fork for nlp.pipe(n_process=...)
            encoded = [backend.encode(text, add_special_tokens=False) for text in clean]
            return [
                Pieces(self._harmless(item.ids), word_spans([list(place) for place in item.offsets], text))
                for item, text in zip(encoded, clean, strict=True)
            ]
        cut = self._processor.encode(clean, return_type="offset_mapping", num_threads=1)
        return [
            Pieces(
                self._model_ids[np.asarray(item["ids"], np.int64)],
                word_spans(item["offsets"], text),
            )
            for item, text in zip(cut, clean, strict=True)
        ]

    def words_inside(self, text: str, *, spaced: bool) -> list[int]:
        """The pieces of words as they would stand within a text.

        spaced (bool): Whether the language puts spaces between words.
        RETURNS (list[int]): None where the vocabulary lacks a character.
        """
        (pieces,) = self.encode([text])
        ids = pieces.ids.tolist()
        if not spaced:
            (mark,), (after_mark,) = self.encode(["。"]), self.encode(["。" + text])
            n = len(mark)
            if after_mark.ids[:n].tolist() == mark.ids.tolist():
                ids = after_mark.ids[n:].tolist()
        return [] if self.unk in ids else ids

    def decode(self, ids: Sequence[int]) -> str:
        """Put pieces together, without special ones."""
        kept = [int(i) for i in ids if int(i) not in self._special]
        if self._processor is None:
            return self._tokenizer.backend_tokenizer.decode(kept, skip_special_tokens=True).strip()
        return self._processor.decode_pieces([self._by_id.get(i, "") for i in kept]).strip()

    @cached_property
    def _model_ids(self) -> NDArray[np.int64]:
        """The model's number of each piece of the processor: int64, (n_pieces,)."""
        names = [self._processor.id_to_piece(i) for i in range(len(self._processor))]
        return np.asarray([self.vocabulary.get(name, self.unk) for name in names], np.int64)

    @cached_property
    def continues(self) -> NDArray[np.bool_]:
        """Which pieces go on with the word before them: bool, (n_pieces,)."""
        return continues_word([self._by_id.get(i, "") for i in range(max(self._by_id) + 1)])

    def marks(self, n_pieces: int) -> list[int]:
        """The numbers below `n_pieces` that stand for no text."""
        return [i for i in range(n_pieces) if i in self._special or i not in self._by_id]

    def _harmless(self, ids: Sequence[int]) -> NDArray[np.int64]:
        own = np.asarray(ids, np.int64)
        return np.where(np.isin(own, list(self._special)), self.unk, own)

    @cached_property
    def _special(self) -> frozenset[int]:
        return frozenset(self._tokenizer.all_special_ids)

    @cached_property
    def _by_id(self) -> dict[int, str]:
        return {i: piece for piece, i in self.vocabulary.items()}


def sides(tokenizer: Any) -> tuple[Side, Side]:
    """The source's and the target's side of a tokenizer; Marian's may have two vocabularies."""
    if tokenizer.is_fast:
        side = Side(tokenizer, None, tokenizer.get_vocab())
        return side, side
    if hasattr(tokenizer, "spm_source"):
        target = tokenizer.target_encoder if tokenizer.separate_vocabs else tokenizer.encoder
        return Side(tokenizer, tokenizer.spm_source, tokenizer.encoder), Side(tokenizer, tokenizer.spm_target, target)
    side = Side(tokenizer, tokenizer.sp_model, tokenizer.get_vocab())
    return side, side
