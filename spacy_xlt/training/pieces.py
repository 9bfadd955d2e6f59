"""Counting the word pieces of an encoder, which are what fills memory in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.tokens import Doc, Span

from ..errors import error


class WordCounter:
    """Counts words, for pipelines without an encoder: what a PieceCounter does where every word is one piece."""

    marks = 0

    def docs(self, docs: Sequence[Doc | Span]) -> list[int]:
        """Words of each document or span."""
        return [len(doc) for doc in docs]

    def words(self, words: Sequence[str]) -> list[int]:
        """One for each word."""
        return [1] * len(words)


class PieceCounter:
    """Counts the word pieces that an encoder's tokenizer makes of texts. The tokenizer is loaded at first use.

    encoder (str): Model folder or Hugging Face name, the one the pipeline is trained with.
    """

    def __init__(self, encoder: str):
        if not encoder:
            raise error("E601", setting="encoder", value=encoder, expected="a model folder or a Hugging Face name")
        self.encoder = str(encoder)
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "_tokenizer": None}

    @property
    def tokenizer(self) -> Any:
        """The encoder's own tokenizer.

        RAISES (XltError): E602 where it cannot be loaded, E630 where it is not a fast one.
        """
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            try:
                self._tokenizer = AutoTokenizer.from_pretrained(self.encoder)
            except (OSError, ValueError, KeyError) as err:
                raise error("E602", encoder=self.encoder, reason=" ".join(str(err).split())[:300]) from err
            if not self._tokenizer.is_fast:
                slow, self._tokenizer = type(self._tokenizer).__name__, None
                raise error("E630", encoder=self.encoder, found=slow, setting="encoder")
            # We count, and say ourselves what is too long.
            self._tokenizer.model_max_length = int(1e9)
        return self._tokenizer

    def docs(self, docs: Sequence[Doc | Span]) -> list[int]:
        """Pieces of each whole document or span, with the marks that the encoder adds at its ends.

        Never fewer than its words: spaces and zero-width characters can be words and no pieces, and thousands of them
        would still be windows for the encoder and words for the other components.
        """
        # What spacy-transformers gives the encoder is a span's text, which has no space at its end.
        found = self._count([doc[:].text for doc in docs], special=True)
        return [max(n_pieces, len(doc)) for n_pieces, doc in zip(found, docs, strict=True)]

    def words(self, words: Sequence[str]) -> list[int]:
        """Pieces of each word taken alone, without marks, and one at least: never fewer than in the text, up to joined
        spaces."""
        return [max(1, n_pieces) for n_pieces in self._count(words, special=False)]

    @property
    def marks(self) -> int:
        """Pieces that the encoder adds to every text."""
        return int(self.tokenizer.num_special_tokens_to_add())

    def _count(self, texts: Sequence[str], *, special: bool) -> list[int]:
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), add_special_tokens=special, return_attention_mask=False)
        return [len(ids) for ids in encoded["input_ids"]]
